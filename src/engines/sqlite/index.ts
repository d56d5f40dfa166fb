import type { Clock } from '../../core/clock.ts'
import type { Engine } from '../../core/engine.ts'
import { EngineError } from '../../core/errors.ts'
import { checkObject, checkWhole, MAX_MS } from '../../core/options.ts'
import { systemClock, systemRandom, wallMicros } from '../../system/clock.ts'
import { loadBinding } from './binding.ts'
import { SqliteEngine } from './engine.ts'
import { readPath } from './files.ts'
import { MachineClock, machineSources } from './machine-clock.ts'

/** How many times `commandTimeoutMs` a file may stay busy while it is opened. */
const OPEN_TRIES = 10

/** How locks are kept in a file. */
export interface SqliteOptions {
  /**
   * The file, or a `sqlite:` URL of it; made where it is missing, for this user only. Default:
   * `holdfast/locks.db` in the user's state directory.
   */
  readonly path?: string
  /**
   * How long one call goes on trying while other processes are in the file: 1 to 2147483647, 1000
   * by default.
   */
  readonly commandTimeoutMs?: number
  /**
   * How long the last fence of a lock is remembered after its last use: 1000 to 2147483647, one day
   * by default. Later fences grow even without it, unless the clock was set back by more.
   */
  readonly fenceTtlMs?: number
  /** For tests: another clock than the system's. */
  readonly clock?: Clock
}

/**
 * Locks in a SQLite file for all processes of one machine, without a server. The file is opened at
 * the first call. Throws `UnsupportedError` where there is no SQLite to use, and TypeError or
 * RangeError for wrong options.
 */
export function sqlite(options: SqliteOptions = {}): Engine {
  return makeEngine(options)
}

/**
 * Opens the file of a path or a `sqlite:` URL, `''` for the default one. Rejects with `EngineError`
 * when it cannot be used: no permission, a read-only or full disk, a network file system, or a file
 * of a newer version or of another program.
 */
export async function connectSqlite(
  path: string,
  options: Omit<SqliteOptions, 'path'> = {},
): Promise<Engine> {
  checkObject('options', options)
  const engine = makeEngine({ ...options, path })
  // Many processes that start at once on a new file take turns; nobody repeats this for them.
  for (let tries = 1; ; tries++) {
    try {
      await engine.open()
      return engine
    } catch (error) {
      if (error instanceof EngineError && error.transient && tries < OPEN_TRIES) continue
      await engine.close()
      throw error
    }
  }
}

function makeEngine(options: SqliteOptions): SqliteEngine {
  checkObject('options', options)
  const { commandTimeoutMs = 1000, fenceTtlMs = 86_400_000, clock = systemClock } = options
  checkWhole('commandTimeoutMs', commandTimeoutMs, 1, MAX_MS)
  checkWhole('fenceTtlMs', fenceTtlMs, 1000, MAX_MS)
  return new SqliteEngine({
    binding: loadBinding(),
    path: readPath(options.path ?? ''),
    clock,
    machine: new MachineClock(machineSources()),
    wallMicros,
    random: () => systemRandom.fraction(),
    commandTimeoutMs,
    fenceTtlMs,
  })
}
