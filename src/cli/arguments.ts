import { type ParseArgsConfig, parseArgs } from 'node:util'
import { usageError } from './exit.ts'
import type { CommandSpec } from './spec.ts'

/** Longest duration that a timer, a TTL and an engine agree on: about 24.8 days. */
export const LONGEST_MS = 2_147_483_647

/** What a command was called with. */
export interface Arguments {
  /** The value of an option, `true` for a switch that is on. */
  readonly options: Readonly<Record<string, string | boolean | undefined>>
  /** What stands in front of `--`, without options. */
  readonly positionals: readonly string[]
  /** What follows after `--`; `undefined` without one. */
  readonly rest: readonly string[] | undefined
}

/** Thrown where the arguments of a command ask for its help. */
export class HelpWanted extends Error {
  readonly spec: CommandSpec

  constructor(spec: CommandSpec) {
    super('--help')
    this.spec = spec
  }
}

/** Reads the arguments of `command`, or throws the one-line error that names the wrong one. */
export function readArguments<const O extends NonNullable<ParseArgsConfig['options']>>(
  command: string,
  args: readonly string[],
  options: O,
): ReturnType<typeof parseArgs<{ args: string[]; options: O; strict: true }>>['values'] {
  try {
    return parseArgs({ args: [...args], options, strict: true } as const).values
  } catch (error) {
    throw wrongArgument(command, error)
  }
}

/** Reads the arguments that `spec` allows. Everything after `--` is left as it is. */
export function parse(spec: CommandSpec, args: readonly string[]): Arguments {
  const dashes = args.indexOf('--')
  const own = dashes === -1 ? args : args.slice(0, dashes)
  const options = Object.fromEntries(
    spec.options.map(({ name, short, value }) => [
      name,
      { type: value === undefined ? 'boolean' : 'string', ...(short ? { short } : {}) } as const,
    ]),
  )
  const loose = { args: [...own], options, strict: false, tokens: true } as const
  const { tokens } = parseArgs(loose)
  // Before anything else is wrong; but what looks like it may be the value of another option.
  if (tokens.some((token) => token.kind === 'option' && token.name === 'help')) {
    throw new HelpWanted(spec)
  }
  try {
    const config = { args: [...own], options, strict: true, allowPositionals: true } as const
    const { values, positionals } = parseArgs(config)
    return {
      options: values as Arguments['options'],
      positionals,
      rest: dashes === -1 ? undefined : args.slice(dashes + 1),
    }
  } catch (error) {
    throw wrongArgument(`holdfast ${spec.name}`, error)
  }
}

function wrongArgument(command: string, error: unknown): Error {
  const { code, message } = error as NodeJS.ErrnoException
  const dashed = /option argument starting with a dash use '(--[^=]+=)/.exec(message)?.[1]
  if (code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE' && dashed !== undefined) {
    const flag = dashed.slice(0, -1)
    return usageError(`${flag} lacks its value; one that starts with a dash: ${dashed}-...`)
  }
  // The first sentence names the argument; the others are advice on parseArgs itself.
  const [problem = 'the arguments cannot be read'] = message.split(/\.? (?=To )|\n/)
  return usageError(`${problem.replace(/\.$/, '')}. See ${command} --help.`)
}

/** The text of an option that takes a value. */
export function textOf({ options }: Arguments, name: string): string | undefined {
  const value = options[name]
  return typeof value === 'string' ? value : undefined
}

/** What stands beside the options, at most `most` of it; also what stands after `--`. */
export function wordsOf(spec: CommandSpec, args: Arguments, most: number): string[] {
  const words = [...args.positionals, ...(args.rest ?? [])]
  const extra = words[most]
  if (extra === undefined) return words
  const quoting = spec.completes === 'lock' ? ' Quote a name that has spaces.' : ''
  const shown = JSON.stringify(extra)
  throw usageError(`${shown} is too much.${quoting} See holdfast ${spec.name} --help.`)
}

/** The name of a lock, where a command takes that and nothing else. */
export function onlyName(spec: CommandSpec, args: Arguments): string {
  const [name] = wordsOf(spec, args, 1)
  if (name === undefined) throw usageError(`name the lock: holdfast ${spec.usage[0]}.`)
  if (name === '') throw usageError('the name of a lock must not be empty.')
  return name
}

/** Reads a whole number from `least` to `most`. */
export function readWhole(flag: string, text: string, least: number, most: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (value >= least && value <= most) return value
  throw usageError(
    `${flag} must be a whole number from ${least} to ${most}, got ${JSON.stringify(text)}.`,
  )
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1000,
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** Reads a time: seconds unless it names another unit. Resolves to whole milliseconds. */
export function readMs(
  flag: string,
  text: string,
  least: number,
  most: number = LONGEST_MS,
): number {
  const { number, unit = '' } =
    /^(?<number>\d{1,10}(\.\d{1,6})?) ?(?<unit>[a-z]*)$/.exec(text)?.groups ?? {}
  const factor = Object.hasOwn(UNITS, unit) ? UNITS[unit] : undefined
  const value = Math.round(Number(number) * (factor ?? Number.NaN))
  if (value >= least && value <= most) return value
  throw usageError(
    `${flag} must be a time from ${secondsOf(least)} to ${secondsOf(most)} seconds, ` +
      `such as 30, 0.5, 500ms or 5m, got ${JSON.stringify(text)}.`,
  )
}

function secondsOf(ms: number): string {
  return String(ms / 1000)
}
