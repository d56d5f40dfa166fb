import { CATALOGUE } from '../catalogue.ts'
import { forms, words } from './options.ts'

/** Within single quotes of fish. */
function fishText(text: string): string {
  return text.replace(/[\\']/g, '\\$&')
}

/** The completions of fish. */
export function fish(): string {
  const names = CATALOGUE.map(({ name }) => name)
  const taking = CATALOGUE.flatMap(({ options }) =>
    options.filter(({ value }) => value !== undefined).flatMap(forms),
  )
  const lines = CATALOGUE.flatMap((spec) => {
    const seen = `__fish_seen_subcommand_from ${spec.name}; and not __holdfast_after_dashes`
    const options = spec.options.map((option) => {
      const short = option.short === undefined ? '' : ` -s ${option.short}`
      const value = option.value === undefined ? '' : ' -x'
      const text = fishText(option.text)
      return `complete -c holdfast -n '${seen}' -l ${option.name}${short}${value} -d '${text}'`
    })
    const wanted = `${seen}; and not __holdfast_named`
    const first =
      spec.completes === undefined
        ? []
        : [`complete -c holdfast -n '${wanted}' -a '${fishFirst(spec.completes)}'`]
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
function __holdfast_command
    set -l words (commandline -opc)
    while test "$words[1]" != --
        set -e words[1]
    end
    set -e words[1]
    complete -C (string join ' ' -- (string escape -- $words) (commandline -ct) | string collect)
end
function __holdfast_named
    set -l value no
    for word in (commandline -opc)[3..]
        if test $value = yes
            set value no
        else if contains -- $word ${words([...new Set(taking)])}
            set value yes
        else if not string match -q -- '-*' $word
            return 0
        end
    end
    return 1
end
complete -c holdfast -f
complete -c holdfast -n 'not __fish_seen_subcommand_from ${words(names)}' -s h -l help -d 'Show the help.'
complete -c holdfast -n 'not __fish_seen_subcommand_from ${words(names)}' -s v -l version -d 'Show the version.'
complete -c holdfast -n __holdfast_after_dashes -x -a '(__holdfast_command)'
${lines.join('\n')}
`
}

function fishFirst(completes: 'lock' | readonly string[]): string {
  return completes === 'lock' ? '(holdfast list --names 2>/dev/null)' : words(completes)
}
