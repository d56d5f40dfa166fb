import { EventEmitter } from 'node:events'
import { onAbort } from '../../core/abort.ts'
import { adopt } from '../../core/adopt.ts'
import type { Core } from '../../core/core.ts'
import { EngineError, LeaseLostError } from '../../core/errors.ts'
import type { Lease } from '../../core/lease.ts'
import { show } from '../../core/options.ts'
import type { RedisClient } from '../../engines/redis/index.ts'
import { holdfastOf, leaveHoldfastOf } from '../holdfasts.ts'
import { ExecutionError } from './errors.ts'
import { Lock } from './lock.ts'
import { checkDuration, extraDriftMs, patienceMs, readSettings } from './settings.ts'
import { placesFor, type Taken, take, type Wanted } from './take.ts'
import type { ExecutionResult, RedlockAbortSignal, Settings } from './types.ts'
import { executionError, lockedError, votesFor } from './votes.ts'

/** A client that can be told to leave. */
interface Quitting {
  quit?(): unknown
}

/**
 * The class of `redlock` 5 on Holdfast. Several clients are a quorum of 3, 5, 7 or 9. Locks are the
 * plain keys that the original makes, so that programs with the one and with the other exclude
 * each other. docs/migrating.md lists what differs.
 */
export class Redlock extends EventEmitter {
  readonly clients: Set<RedisClient>
  readonly settings: Settings

  /**
   * Throws Error without a client, RangeError for a number of clients that makes no quorum, and
   * TypeError for a client that is none and for scripts of your own.
   */
  constructor(
    clients: Iterable<RedisClient>,
    settings: Partial<Settings> = {},
    scripts: Readonly<Record<string, unknown>> = {},
  ) {
    super()
    // As in the original: an error event that nobody listens to ends no process.
    this.on('error', () => undefined)
    this.clients = new Set(clients)
    if (this.clients.size === 0) {
      throw new Error('Redlock must be instantiated with at least one redis client.')
    }
    const own = Object.keys(scripts).find((name) => scripts[name] !== undefined)
    if (own !== undefined) {
      throw new TypeError(
        `${own} cannot be replaced: the locks are kept by Holdfast's own scripts. ` +
          `Leave the third argument out, got ${show(scripts)}.`,
      )
    }
    this.settings = readSettings(settings)
    // Wrong clients are told here.
    holdfastOf([...this.clients])
  }

  /** Ends the connections of Holdfast and quits the clients. What is held stays until its end. */
  async quit(): Promise<void> {
    await leaveHoldfastOf([...this.clients])
    await Promise.all([...this.clients].map((client) => (client as Quitting).quit?.()))
  }

  /**
   * Locks all resources or none, for `duration` milliseconds: 20 to 2147483647. Waits in the line
   * of each for as long as `retryCount` and `retryDelay` make together. Rejects with
   * `ExecutionError` when it was not granted or the servers cannot be reached.
   */
  async acquire(
    resources: string[],
    duration: number,
    settings?: Partial<Settings>,
  ): Promise<Lock> {
    checkDuration(duration)
    const wanted = { resources, duration, renew: false }
    const taken = await this.#take(wanted, settings)
    const lock = this.#lockFor(taken, resources, this.#drift(duration, settings))
    for (const lease of taken.leases) lease.detach()
    return lock
  }

  /**
   * Gives the resources back. Rejects with `ExecutionError` at once when one of them was not
   * locked by this lock any more, and when the servers cannot be reached; the lock then ends with
   * its duration.
   */
  async release(lock: Lock, _settings?: Partial<Settings>): Promise<ExecutionResult> {
    lock.expiration = 0
    const core = this.#core()
    const places = placesFor(core, wantedBy(lock), lock.value)
    const outcomes = await this.#tell(() =>
      Promise.all(
        places.map(async (place) => {
          try {
            return await releaseOnce(core, () => core.engine.release(place))
          } catch (error) {
            core.abandon(place)
            throw error
          }
        }),
      ),
    )
    const applied = outcomes.filter(Boolean).length
    if (applied < places.length) this.#refuse({ applied, of: places.length })
    return { attempts: [votesFor(this.clients)] }
  }

  /**
   * Lets a lock last for `duration` from now, or longer where it did already, and resolves to its
   * replacement. Rejects with `ExecutionError` when the lock is over or not this lock's any more,
   * and when the servers cannot be reached, which loses nothing yet.
   */
  async extend(existing: Lock, duration: number, settings?: Partial<Settings>): Promise<Lock> {
    checkDuration(duration)
    if (existing.expiration < Date.now()) {
      throw new ExecutionError('Cannot extend an already-expired lock.', [])
    }
    const core = this.#core()
    const wanted = { ...wantedBy(existing), duration }
    const places = placesFor(core, wanted, existing.value)
    const found = await this.#tell(() =>
      Promise.all(places.map((place) => adopt(core, place, { ...core.defaults, renew: false }))),
    )
    const leases = found.filter((lease) => lease !== null)
    const taken = { value: existing.value, leases }
    const lock = this.#lockFor(taken, existing.resources, this.#drift(duration, settings))
    for (const lease of leases) lease.detach()
    if (leases.length < places.length) {
      this.#refuse({ applied: leases.length, of: places.length })
    }
    existing.expiration = 0
    return lock
  }

  /**
   * Locks the resources, calls `routine`, and releases them. They renew themselves meanwhile; when
   * they are lost all the same, the signal aborts, with the reason in `signal.error`. Resolves and
   * rejects like `routine`; with `ExecutionError` when it ended well but the lock was lost before,
   * and like `acquire`.
   */
  using<T>(
    resources: string[],
    duration: number,
    settings: Partial<Settings>,
    routine?: (signal: RedlockAbortSignal) => Promise<T>,
  ): Promise<T>
  using<T>(
    resources: string[],
    duration: number,
    routine: (signal: RedlockAbortSignal) => Promise<T>,
  ): Promise<T>
  async using<T>(
    resources: string[],
    duration: number,
    settingsOrRoutine: Partial<Settings> | ((signal: RedlockAbortSignal) => Promise<T>),
    optionalRoutine?: (signal: RedlockAbortSignal) => Promise<T>,
  ): Promise<T> {
    checkDuration(duration)
    const settings = typeof settingsOrRoutine === 'function' ? undefined : settingsOrRoutine
    const routine = optionalRoutine ?? settingsOrRoutine
    if (typeof routine !== 'function') throw new Error('INVARIANT: routine is not a function.')
    const { automaticExtensionThreshold } = { ...this.settings, ...settings }
    if (automaticExtensionThreshold > duration - 100) {
      throw new Error(
        'A lock `duration` must be at least 100ms greater than the ' +
          '`automaticExtensionThreshold` setting.',
      )
    }
    const taken = await this.#take({ resources, duration, renew: true }, settings)
    return await runWith(taken.leases, routine)
  }

  async #take(wanted: Wanted, settings: Partial<Settings> | undefined): Promise<Taken> {
    const timeoutMs = patienceMs({ ...this.settings, ...settings })
    const taken = await this.#tell(() => take(this.#core(), wanted, timeoutMs))
    return taken ?? this.#refuse({ applied: 0, of: wanted.resources.length })
  }

  #lockFor({ value, leases }: Taken, resources: string[], driftMs: number): Lock {
    const leftMs = Math.min(...leases.map(({ remainingMs }) => remainingMs)) - driftMs
    const expiration = Math.floor(Date.now() + leftMs)
    return new Lock(this, resources, value, [votesFor(this.clients)], expiration)
  }

  #drift(duration: number, settings: Partial<Settings> | undefined): number {
    return extraDriftMs({ ...this.settings, ...settings }, duration)
  }

  #core(): Core {
    return holdfastOf([...this.clients]).core
  }

  /** Tells failures of the servers as `error` events, and rejects with what they are here. */
  async #tell<T>(operation: () => Promise<T>): Promise<T> {
    try {
      return await operation()
    } catch (error) {
      if (error instanceof EngineError) this.emit('error', error)
      throw executionError(this.clients, error)
    }
  }

  #refuse(counts: { applied: number; of: number }): never {
    const error = lockedError(this.clients, counts)
    this.emit('error', error.cause)
    throw error
  }
}

function wantedBy({ resources }: Lock): Wanted {
  return { resources, duration: LONGEST_RELEASE_MS, renew: false }
}

/** The ttl says for how long a release that does not get through is repeated. */
const LONGEST_RELEASE_MS = 10_000

/** After a lost reply the repeated call finds nothing: the first one had done it. */
async function releaseOnce(core: Core, release: () => Promise<boolean>): Promise<boolean> {
  let doubtful = false
  const there = await core.reach(async () => {
    try {
      return await release()
    } catch (error) {
      doubtful ||= !(error instanceof EngineError) || error.outcome !== 'none'
      throw error
    }
  })
  return there || doubtful
}

async function runWith<T>(
  leases: readonly Lease[],
  routine: (signal: RedlockAbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  const signal: RedlockAbortSignal = controller.signal
  const stops = leases.map((lease) =>
    onAbort(lease.signal, () => {
      signal.error ??= lostError(lease.signal.reason)
      controller.abort(signal.error)
    }),
  )
  try {
    const result = await routine(signal)
    const losses = await Promise.all(leases.map((lease) => lease.finish()))
    const loss = losses.find((each) => each !== undefined)
    if (loss !== undefined) throw lostError(loss)
    return result
  } catch (error) {
    await Promise.all(leases.map((lease) => lease.finish()))
    throw error
  } finally {
    for (const stop of stops) stop()
  }
}

function lostError(cause: unknown): ExecutionError {
  const why = cause instanceof LeaseLostError ? 'was lost' : 'was given up'
  return new ExecutionError(`The lock ${why} while the routine ran.`, [], { cause })
}
