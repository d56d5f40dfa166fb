import { type ParseArgsConfig, parseArgs } from 'node:util'
import { usageError } from './exit.ts'

/** Reads the arguments of `command`, or throws the one-line error that names the wrong one. */
export function readArguments<const O extends NonNullable<ParseArgsConfig['options']>>(
  command: string,
  args: readonly string[],
  options: O,
): ReturnType<typeof parseArgs<{ args: string[]; options: O; strict: true }>>['values'] {
  try {
    return parseArgs({ args: [...args], options, strict: true } as const).values
  } catch (error) {
    // The first sentence names the argument; the others are advice on parseArgs itself.
    const [problem = 'the arguments cannot be read'] = (error as Error).message.split(
      /\.? (?=To )|\n/,
    )
    throw usageError(`${problem.replace(/\.$/, '')}. See ${command} --help.`)
  }
}

/** Reads a whole number from `least` to `most`. */
export function readWhole(flag: string, text: string, least: number, most: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (value >= least && value <= most) return value
  throw usageError(
    `${flag} must be a whole number from ${least} to ${most}, got ${JSON.stringify(text)}.`,
  )
}
