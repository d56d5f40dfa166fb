import { acquire } from './acquire.ts'
import type { Core } from './core.ts'
import type { Absent, Shape } from './engine.ts'
import { AcquireTimeoutError, closedError } from './errors.ts'
import { Lease } from './lease.ts'
import {
  type AcquireOptions,
  checkFunction,
  type LeaseOptions,
  type LeaseSettings,
  leaseSettings,
  waitLimit,
  waitSignal,
} from './options.ts'

/**
 * The verbs that every lock has. A lock object is a name and its defaults: it holds no state, costs
 * nothing on the engine and may be shared by any number of callers.
 */
export class Lock {
  readonly name: string
  readonly #core: Core
  readonly #shape: Shape
  readonly #settings: LeaseSettings

  /** @internal */
  constructor(core: Core, name: string, shape: Shape, settings: LeaseSettings) {
    this.name = name
    this.#core = core
    this.#shape = shape
    this.#settings = settings
  }

  /**
   * Waits in the line for the lock and resolves to its lease. Rejects with `AcquireTimeoutError`
   * after `timeoutMs`, with the reason of `signal` when that aborts, with `EngineError` when the
   * engine cannot be reached, with `ShapeError` when the name is in use by something else.
   */
  async acquire(options?: AcquireOptions): Promise<Lease> {
    const timeoutMs = waitLimit(options)
    const answer = await this.#take(options, timeoutMs)
    if (answer instanceof Lease) return answer
    throw new AcquireTimeoutError(this.name, timeoutMs, { occupant: answer.occupant })
  }

  /** Resolves to a lease, or to `null` when the lock is taken or waited for. Never waits. */
  async tryAcquire(options?: LeaseOptions): Promise<Lease | null> {
    const answer = await this.#take(options, 0)
    return answer instanceof Lease ? answer : null
  }

  /**
   * Acquires, runs `work` with the lease, releases. Resolves to what `work` returned and rejects
   * with what it threw; with `LeaseLostError` when `work` ended well but the lease was lost before;
   * and like `acquire` when the lock was not granted. A failing release changes neither.
   */
  async run<T>(work: (lease: Lease) => T | PromiseLike<T>, options?: AcquireOptions): Promise<T> {
    checkFunction('work', work)
    const lease = await this.acquire(options)
    let result: T
    try {
      result = await work(lease)
    } catch (error) {
      await lease.finish()
      throw error
    }
    const closedMeanwhile = this.#core.closed
    const loss = await lease.finish()
    if (loss !== undefined) throw loss
    // close() gave the lock back while the work still ran.
    if (closedMeanwhile) throw closedError(this.name)
    return result
  }

  async #take(options: AcquireOptions | undefined, timeoutMs: number): Promise<Lease | Absent> {
    const settings = leaseSettings(options, this.#settings)
    const signal = waitSignal(options)
    const place = this.#core.place(this.name, this.#shape, 1, settings)
    return await acquire(this.#core, { place, renew: settings.renew, timeoutMs, signal })
  }
}
