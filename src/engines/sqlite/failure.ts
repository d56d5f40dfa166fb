import { EngineError, HoldfastError, type Outcome } from '../../core/errors.ts'

/** SQLite's primary result codes that the engine treats in their own way. */
const CODE = { busy: 5, locked: 6 } as const

const ADVICE: Readonly<Record<number, string>> = {
  3: 'access was denied; the file and its folder must belong to the user',
  5: 'the file was busy with other processes all the time',
  6: 'the file was busy all the time',
  8: 'the file or its folder cannot be written; check permissions and the mount',
  10: 'the disk failed, or is full',
  11: 'the file is damaged; stop every process that uses it and delete it',
  13: 'the disk is full; free some space',
  14: 'the file cannot be opened; check that its folder exists and belongs to the user',
  26: 'the file is no SQLite database',
}

/** Codes after which the same call may succeed in a moment. */
const TRANSIENT: readonly number[] = [CODE.busy, CODE.locked]

/** The primary result code of an error from SQLite; `undefined` for any other. */
export function resultCode(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | null)?.errcode
  return typeof code === 'number' ? code & 0xff : undefined
}

/** Another process is in the file. */
export function isBusy(error: unknown): boolean {
  const code = resultCode(error)
  return code === CODE.busy || code === CODE.locked
}

/** A failure that is put into words here. */
export function fileError(
  operation: string,
  problem: string,
  details: { transient?: boolean; outcome?: Outcome; cause?: unknown } = {},
): EngineError {
  const { transient = false, outcome = 'none', cause } = details
  return new EngineError({
    engine: 'sqlite',
    operation,
    outcome,
    transient,
    problem,
    ...(cause === undefined ? {} : { cause }),
  })
}

/** What the core is told of a failure; `outcome` says whether it may have been carried out. */
export function engineError(
  operation: string,
  path: string,
  error: unknown,
  outcome: Outcome,
): HoldfastError {
  if (error instanceof HoldfastError) return error
  const code = resultCode(error)
  const told = error instanceof Error ? error.message : String(error)
  const advice = code === undefined ? undefined : ADVICE[code]
  return fileError(
    operation,
    `${advice === undefined ? told : `${advice} (${told})`}, ${JSON.stringify(path)}`,
    { transient: code !== undefined && TRANSIENT.includes(code), outcome, cause: error },
  )
}
