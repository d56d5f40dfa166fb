import { CATALOGUE } from './catalogue.ts'
import { EXIT_TABLE } from './exit.ts'
import type { CommandSpec, OptionSpec } from './spec.ts'
import { columns, wrap } from './text.ts'

/** What the environment may say; also in the man page. */
export const ENVIRONMENT: readonly (readonly [name: string, meaning: string])[] = [
  ['HOLDFAST_URL', 'Where the locks are, as --url. Better than --url for a URL with a password.'],
  ['NO_COLOR', 'Write no colours, whatever its value.'],
]

/** What a command that holds a lock finds in its environment; also in the man page. */
export const GIVEN: readonly (readonly [name: string, meaning: string])[] = [
  ['HOLDFAST_LOCK', 'Name of the lock.'],
  ['HOLDFAST_HOLDER', 'Unique value of the lease, 32 hex digits.'],
  ['HOLDFAST_FENCE', 'The fence: larger than that of every earlier holder.'],
  ['HOLDFAST_ENGINE', 'Kind of engine, such as redis or sqlite.'],
  ['HOLDFAST_WITHIN', 'The holders of all holdfast run around the command, outermost first.'],
]

/** How an option is written: `-w, --wait <time>`. */
export function optionForm({ name, short, value }: OptionSpec): string {
  const long = `--${name}${value === undefined ? '' : ` <${value}>`}`
  return short === undefined ? `    ${long}` : `-${short}, ${long}`
}

/** The help of the whole command line. */
export function generalHelp(width: number): string {
  const commands = CATALOGUE.map(({ name, summary }) => [name, summary] as const)
  return page([
    ...wrap('Distributed locks: leases that renew themselves, waiters in line, fences.', width),
    '',
    'Usage: holdfast <command> [options]',
    '',
    'Commands:',
    ...columns(commands, width),
    '',
    'Options:',
    ...columns(
      [
        ['-h, --help', 'Show this help; holdfast <command> --help shows that of a command.'],
        ['-v, --version', 'Show the version.'],
      ],
      width,
    ),
    '',
    'Environment:',
    ...columns(ENVIRONMENT, width),
    '',
    'Exit codes:',
    ...columns(EXIT_TABLE, width),
  ])
}

/** The help of one command. */
export function commandHelp(spec: CommandSpec, width: number): string {
  const forms = spec.options.map((option) => [optionForm(option), option.text] as const)
  const examples = spec.examples.flatMap(({ text, line }) => [
    ...wrap(text, width - 2).map((part) => `  ${part}`),
    `    ${line}`,
  ])
  const given = spec.runs ? ['Environment of the command:', ...columns(GIVEN, width), ''] : []
  return page([
    ...wrap(spec.summary, width),
    '',
    ...spec.usage.map((form, index) => `${index === 0 ? 'Usage: ' : '       '}holdfast ${form}`),
    '',
    ...spec.about.flatMap((paragraph) => [...wrap(paragraph, width), '']),
    'Options:',
    ...columns(forms, width),
    '',
    ...(spec.options.some(({ value }) => value === 'time')
      ? [...wrap('A time is in seconds, or says its unit: 500ms, 30s, 5m, 1h, 1d.', width), '']
      : []),
    ...(spec.notes ?? []).flatMap((paragraph) => [...wrap(paragraph, width), '']),
    ...given,
    'Examples:',
    ...examples,
    '',
    'Exit codes:',
    ...columns(exitsOf(spec), width),
  ])
}

/** Codes that every command can end with that has an output of its own. */
const COMMON = ['64', '69', '70', '74']

/** The exit codes of a command: its own, and those of the table that it can end with. */
export function exitsOf(spec: CommandSpec): readonly (readonly [string, string])[] {
  const own = spec.exits ?? (spec.runs ? [] : [['0', 'Done.'] as const])
  const isOwn = (code: string): boolean => own.some(([one]) => one === code)
  const rest = EXIT_TABLE.filter(([code]) => {
    const fits = spec.runs ? code !== '1' && code !== '74' : COMMON.includes(code)
    return fits && !isOwn(code)
  })
  const order = EXIT_TABLE.map(([code]) => code)
  return [...own, ...rest].sort(([a], [b]) => order.indexOf(a) - order.indexOf(b))
}

function page(lines: readonly string[]): string {
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`
}
