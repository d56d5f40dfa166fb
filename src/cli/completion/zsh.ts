import { CATALOGUE } from '../catalogue.ts'
import { forms, words } from './options.ts'

/** For a zsh specification, within single quotes. */
function zshText(text: string): string {
  return text.replace(/[[\]:\\]/g, '\\$&').replaceAll("'", "'\\''")
}

/** The completions of zsh. */
export function zsh(): string {
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
