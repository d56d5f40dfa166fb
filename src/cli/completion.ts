import { parse, wordsOf } from './arguments.ts'
import { CATALOGUE } from './catalogue.ts'
import type { World } from './commands.ts'
import { EXIT, usageError } from './exit.ts'
import type { CommandSpec, OptionSpec } from './spec.ts'
import { COMPLETION } from './specs/looking.ts'

/** Prints the completions of one shell. */
export async function completion(args: readonly string[], world: World): Promise<number> {
  const [shell] = wordsOf(COMPLETION, parse(COMPLETION, args), 1)
  world.stdout.write(scriptFor(shell))
  return EXIT.ok
}

function scriptFor(shell: string | undefined): string {
  switch (shell) {
    case 'bash':
      return bash()
    case 'zsh':
      return zsh()
    case 'fish':
      return fish()
    default:
      throw usageError('name the shell: bash, zsh or fish.')
  }
}

/** Short and long forms of an option. */
function forms({ name, short }: OptionSpec): string[] {
  return short === undefined ? [`--${name}`] : [`-${short}`, `--${name}`]
}

const words = (items: readonly string[]): string => items.join(' ')

function bash(): string {
  const cases = CATALOGUE.map((spec) => {
    const flags = words(spec.options.map(({ name }) => `--${name}`))
    const taking = spec.options.filter(({ value }) => value !== undefined).flatMap(forms)
    return `    ${spec.name}) flags='${flags}' taking=' ${words(taking)} ' first='${firstOf(spec)}' ;;`
  })
  return `# bash completion of holdfast: source <(holdfast completion bash)
_holdfast() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} word i
  local command=\${COMP_WORDS[1]} flags='' taking='' first='' names=0 bare
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
  bare=\${cur//\\\\/}
  if [ "$first" = lock ]; then
    while IFS= read -r word; do
      if [[ $word == "$bare"* ]]; then
        word=$(printf '%q' "$word")
        case $cur in *:*) [[ $COMP_WORDBREAKS != *:* ]] || word=\${word#"\${cur%:*}:"} ;; esac
        COMPREPLY+=("$word")
      fi
    done < <(holdfast list --names 2>/dev/null)
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

/** For a zsh specification, within single quotes. */
function zshText(text: string): string {
  return text.replace(/[[\]:\\]/g, '\\$&').replaceAll("'", "'\\''")
}

function zsh(): string {
  const cases = CATALOGUE.map((spec) => {
    const options = spec.options.map((option) => {
      const text = `[${zshText(option.text)}]`
      const value = option.value === undefined ? '' : `:${zshText(option.value)}:`
      const [short, long = short] = forms(option)
      const both = short === long ? `'${long}` : `'(${short} ${long})'{${short},${long}}'`
      return `        ${both}${text}${value}' \\`
    })
    const first =
      spec.completes === 'lock'
        ? ["        '1:lock:_holdfast_locks' \\"]
        : spec.completes === undefined
          ? []
          : [`        '1:shell:(${words(spec.completes)})' \\`]
    const rest = spec.runs ? ['        "${after[@]}" \\'] : []
    return [
      `      ${spec.name})`,
      `        _arguments -S \\`,
      ...options,
      ...first,
      ...rest,
      '        ;;',
    ].join('\n')
  })
  const commands = CATALOGUE.map(({ name, summary }) => `    '${name}:${zshText(summary)}'`)
  return `#compdef holdfast
# zsh completion of holdfast: source <(holdfast completion zsh)
_holdfast_locks() {
  local -a locks
  locks=("\${(@f)$(holdfast list --names 2>/dev/null)}")
  compadd -a locks
}
_holdfast() {
  # Not "commands": that is where zsh has all programs.
  local -a verbs
  verbs=(
${commands.join('\n')}
  )
  local state line
  _arguments -C '(- *)'{-h,--help}'[Show the help.]' '(- *)'{-v,--version}'[Show the version.]' \\
    '1:command:->command' '*::argument:->argument'
  case $state in
    command) _describe command verbs ;;
    argument)
      local -a after
      # Only behind --: before it there may still be options.
      if [ "\${words[(i)--]}" -lt "$CURRENT" ]; then after=('*::: :_normal'); fi
      case $line[1] in
${cases.join('\n')}
      esac ;;
  esac
}
if [ "$funcstack[1]" = _holdfast ]; then _holdfast "$@"; else compdef _holdfast holdfast; fi
`
}

/** Within single quotes of fish. */
function fishText(text: string): string {
  return text.replace(/[\\']/g, '\\$&')
}

function fish(): string {
  const names = CATALOGUE.map(({ name }) => name)
  const lines = CATALOGUE.flatMap((spec) => {
    const seen = `__fish_seen_subcommand_from ${spec.name}`
    const options = spec.options.map((option) => {
      const short = option.short === undefined ? '' : ` -s ${option.short}`
      const value = option.value === undefined ? '' : ' -x'
      const text = fishText(option.text)
      return `complete -c holdfast -n '${seen}' -l ${option.name}${short}${value} -d '${text}'`
    })
    const first =
      spec.completes === undefined
        ? []
        : [`complete -c holdfast -n '${seen}' -a '${fishFirst(spec.completes)}'`]
    return [
      `complete -c holdfast -n __fish_use_subcommand -a ${spec.name} -d '${fishText(spec.summary)}'`,
      ...options,
      ...first,
    ]
  })
  return `# fish completion of holdfast: holdfast completion fish | source
function __holdfast_after_dashes
    contains -- -- (commandline -opc)
end
complete -c holdfast -f
complete -c holdfast -n 'not __fish_seen_subcommand_from ${words(names)}' -s h -l help -d 'Show the help.'
complete -c holdfast -n 'not __fish_seen_subcommand_from ${words(names)}' -s v -l version -d 'Show the version.'
complete -c holdfast -n __holdfast_after_dashes -x -a '(__fish_complete_subcommand --fcs-skip=3)'
${lines.join('\n')}
`
}

function fishFirst(completes: 'lock' | readonly string[]): string {
  return completes === 'lock' ? '(holdfast list --names 2>/dev/null)' : words(completes)
}
