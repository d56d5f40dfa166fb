/** What the command line's exit codes mean, as in sysexits.h and as shells count signals. */
export const EXIT = { ok: 0, failed: 1, usage: 64, unavailable: 69 } as const

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
