import { CATALOGUE } from '../catalogue.ts'
import type { CommandSpec } from '../spec.ts'
import { forms, words } from './options.ts'

/** Completes the names of locks. */
const NAMES = `_holdfast_names() {
  local cur=$1 word quote='' bare
  # Within an open quote bash replaces what stands behind it, and closes it.
  case $cur in [\\"\\']*) quote=\${cur:0:1} cur=\${cur:1} ;; esac
  [ "$quote" = "'" ] && bare=$cur || bare=\${cur//\\\\/}
  while IFS= read -r word; do
    [[ $word == "$bare"* ]] || continue
    case $quote in
      "'") [[ $word != *"'"* ]] || continue ;;
      '"')
        word=$(printf '%s' "$word" | sed 's/[\\\\"$\`]/\\\\&/g')
        # Behind one that belongs to the name bash sees no need to close.
        [[ $word != *'"' ]] || word+='"' ;;
      *)
        word=$(printf '%q' "$word")
        case $cur in *:*) [[ $COMP_WORDBREAKS != *:* ]] || word=\${word#"\${cur%:*}:"} ;; esac ;;
    esac
    COMPREPLY+=("$word")
  done < <(holdfast list --names 2>/dev/null)
}`

/** The completions of bash. */
export function bash(): string {
  const cases = CATALOGUE.map((spec) => {
    const flags = words(spec.options.map(({ name }) => `--${name}`))
    const taking = spec.options.filter(({ value }) => value !== undefined).flatMap(forms)
    return `    ${spec.name}) flags='${flags}' taking=' ${words(taking)} ' first='${firstOf(spec)}' ;;`
  })
  return `# bash completion of holdfast: source <(holdfast completion bash)
${NAMES}
_holdfast() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} word i
  local command=\${COMP_WORDS[1]} flags='' taking='' first='' names=0
  local -a words=()
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${words(CATALOGUE.map(({ name }) => name))} --help --version' -- "$cur"))
    return
  fi
  # What follows after -- is completed as a command of its own.
  for ((i = 2; i < COMP_CWORD; i++)); do
    if [ "\${COMP_WORDS[i]}" = -- ]; then
      if declare -F _command_offset >/dev/null; then _command_offset $((i + 1))
      elif [ "$COMP_CWORD" -eq $((i + 1)) ]; then COMPREPLY=($(compgen -c -- "$cur"))
      else COMPREPLY=($(compgen -f -- "$cur"))
      fi
      return
    fi
  done
  case $command in
${cases.join('\n')}
  esac
  # Bash breaks words at colons too, and names have some: what was typed as one is put together.
  local rest=\${COMP_LINE-} gap
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]} gap=\${rest%%[![:space:]]*}
    rest=\${rest#"$gap"} rest=\${rest#"$word"}
    if [ -n "$gap" ] || [ "$i" -eq 0 ] || [ -z "\${COMP_LINE-}" ]
    then words+=("$word")
    else words[\${#words[@]}-1]+=$word
    fi
  done
  cur=\${words[\${#words[@]}-1]} prev=\${words[\${#words[@]}-2]}
  case $taking in *" $prev "*) return ;; esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$cur"))
    return
  fi
  for ((i = 2; i < \${#words[@]} - 1; i++)); do
    case \${words[i]} in
      -*) case $taking in *" \${words[i]} "*) i=$((i + 1)) ;; esac ;;
      *) names=1 ;;
    esac
  done
  [ "$names" = 0 ] || return
  if [ "$first" = lock ]; then
    _holdfast_names "$cur"
  else
    COMPREPLY=($(compgen -W "$first" -- "$cur"))
  fi
}
complete -F _holdfast holdfast
`
}

function firstOf({ completes }: CommandSpec): string {
  return completes === undefined ? '' : completes === 'lock' ? 'lock' : words(completes)
}
