/**
 * What the command line's exit codes mean: those of sysexits.h where one fits, and 128 + n for a
 * signal, as shells count.
 */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 64,
  mismatch: 65,
  unavailable: 69,
  internal: 70,
  output: 74,
  timeout: 75,
  lost: 79,
  notExecutable: 126,
  notFound: 127,
  signal: 128,
} as const

/** The table of `holdfast --help`, of the man page and of docs/cli.md. */
export const EXIT_TABLE: readonly (readonly [code: string, meaning: string])[] = [
  ['0', 'Done. With run and elect: the command ended with 0.'],
  [
    '1',
    'run: the lock is taken and --nonblock was given (-E changes it). show: nobody holds it or ' +
      'waits for it. release: you said no. doctor and demo: something is wrong.',
  ],
  ['64', 'Wrong usage.'],
  ['65', 'The name is in use by another kind of lock, or by something that is no lock.'],
  ['69', 'The engine cannot be reached or cannot be used.'],
  ['70', 'An error inside holdfast.'],
  ['74', 'The output of holdfast cannot be written.'],
  ['75', 'Not granted within --wait (-E changes it).'],
  ['79', 'The lease was lost while the command ran; the command was stopped.'],
  ['126', 'The command cannot be executed.'],
  ['127', 'The command was not found.'],
  ['128+n', 'Signal n ended the command, or holdfast while it waited.'],
  ['other', "With run and elect: the command's own exit code."],
]

/** A problem that one line on stderr explains, and the exit code that goes with it. */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly exitCode: number

  constructor(exitCode: number, message: string) {
    super(message)
    this.exitCode = exitCode
  }
}

export function usageError(message: string): CliError {
  return new CliError(EXIT.usage, message)
}
