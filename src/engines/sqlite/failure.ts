import { EngineError, HoldfastError, type Outcome } from '../../core/errors.ts'

/** SQLite's primary result codes that the engine treats in their own way. */
const CODE = { busy: 5, locked: 6, readonly: 8, full: 13, protocol: 15 } as const

const BUSY =
  'other processes were in the file all the time; look for one that is stopped, or for a program ' +
  'that keeps the file locked'

const ADVICE: Readonly<Record<number, string>> = {
  3: 'access was denied; this user must be allowed to read and write the file and its folder',
  5: BUSY,
  6: BUSY,
  8: 'the file or its folder cannot be written; check permissions and the mount',
  10: 'the disk failed or is full, or something else wrote to the file',
  11: 'the file is damaged; stop every process that uses it and delete it',
  13: 'the disk is full; free some space',
  14:
    'the file cannot be opened; check that this user may read and write it and its folder, and ' +
    'that this process may open more files',
  15: BUSY,
  26: 'the file is no SQLite database; give the path of a new file, or remove this one',
}

const SYSTEM: Readonly<Record<string, number>> = {
  EACCES: 3,
  EPERM: 3,
  EROFS: 8,
  EIO: 10,
  ENOSPC: 13,
  EDQUOT: 13,
  ENOENT: 14,
  ENOTDIR: 14,
  EISDIR: 14,
  ELOOP: 14,
  ENAMETOOLONG: 14,
  EMFILE: 14,
}

/** The primary result code of an error from SQLite; `undefined` for any other. */
export function resultCode(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | null)?.errcode
  return typeof code === 'number' ? code & 0xff : undefined
}

/** Another process is in the file. */
export function isBusy(error: unknown): boolean {
  const code = resultCode(error)
  // `SQLITE_PROTOCOL` says that a process lost the race for the log's locks too often.
  return code === CODE.busy || code === CODE.locked || code === CODE.protocol
}

/** Worth another try in a moment: nothing was done. */
export function mayPass(error: unknown): boolean {
  return isBusy(error) || (error instanceof EngineError && error.transient)
}

/** Nothing was written, and the connection is as good as before once the cause is mended. */
export function leavesFileIntact(error: unknown): boolean {
  const code = resultCode(error)
  return code === CODE.readonly || code === CODE.full
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

/** What the core is told of a failed call; `outcome` says whether it may have been carried out. */
export function engineError(
  call: { readonly operation: string; readonly lock: string | undefined },
  path: string,
  error: unknown,
  outcome: Outcome,
): HoldfastError {
  if (error instanceof HoldfastError) return error
  const code = resultCode(error) ?? systemCode(error)
  const told = error instanceof Error ? error.message : String(error)
  const advice = code === undefined ? undefined : ADVICE[code]
  const { operation, lock } = call
  return new EngineError({
    engine: 'sqlite',
    operation,
    lock,
    outcome,
    transient: isBusy(error),
    problem: `${advice === undefined ? told : `${advice} (${told})`}, ${JSON.stringify(path)}`,
    cause: error,
  })
}

/** The result code that says the same as an error of the file system. */
function systemCode(error: unknown): number | undefined {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? SYSTEM[code] : undefined
}
