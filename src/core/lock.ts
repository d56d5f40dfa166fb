import { acquire } from './acquire.ts'
import type { Core } from './core.ts'
import type { Absent, Shape } from './engine.ts'
import { AcquireTimeoutError, quote } from './errors.ts'
import { acquireByHandover } from './handovers.ts'
import { Lease } from './lease.ts'
import {
  type AcquireOptions,
  checkFunction,
  type HandoverLimits,
  type LeaseOptions,
  type LeaseSettings,
  leaseSettings,
  type RunOptions,
  runsReentrant,
  waitLimit,
  waitSignal,
} from './options.ts'
import { runInside, runWith } from './run.ts'

/** What a lock is, for whoever asks for it. */
export interface Ask {
  readonly name: string
  readonly shape: Shape
  readonly permits: number
  readonly settings: LeaseSettings
  /** Fresh when absent. Whoever gives one must not give it twice. */
  readonly identity?: string
}

/**
 * The verbs that every lock has. A lock object is a name and its defaults: it holds no state, costs
 * nothing on the engine and may be shared by any number of callers. `Extra` are the options that
 * only some locks take.
 */
export class Lock<Extra = unknown> {
  readonly name: string
  readonly #core: Core
  readonly #shape: Shape
  readonly #permits: (options: unknown) => number
  readonly #settings: LeaseSettings
  readonly #handover: HandoverLimits | undefined

  /** @internal */
  constructor(
    core: Core,
    lock: {
      name: string
      shape: Shape
      permits: (options: unknown) => number
      handover?: HandoverLimits | undefined
    },
    settings: LeaseSettings,
  ) {
    core.assertServes(lock.shape.kind, lock.name)
    this.name = lock.name
    this.#core = core
    this.#shape = lock.shape
    this.#permits = lock.permits
    this.#settings = settings
    this.#handover = lock.handover
  }

  /**
   * Waits in the line for the lock and resolves to its lease. Rejects with `AcquireTimeoutError`
   * after `timeoutMs`, with the reason of `signal` when that aborts, with `EngineError` when the
   * engine cannot be reached, with `ShapeError` when the name is in use by something else.
   */
  async acquire(options?: AcquireOptions & Extra): Promise<Lease> {
    const timeoutMs = waitLimit(options)
    const answer = await this.#take(options, timeoutMs)
    if (answer instanceof Lease) return answer
    throw new AcquireTimeoutError(this.name, timeoutMs, { occupant: answer.occupant })
  }

  /** Resolves to a lease, or to `null` when the lock is taken or waited for. Never waits. */
  async tryAcquire(options?: LeaseOptions & Extra): Promise<Lease | null> {
    const answer = await this.#take(options, 0)
    return answer instanceof Lease ? answer : null
  }

  /**
   * Acquires, runs `work` with the lease, releases. Resolves to what `work` returned and rejects
   * with what it threw; with `LeaseLostError` when `work` ended well but the lease was lost before;
   * and like `acquire` when the lock was not granted. A failing release changes neither.
   *
   * Inside work that holds the lock already it waits for that work, which waits for it, unless
   * `reentrant` says that it may share the lease.
   */
  async run<T>(
    work: (lease: Lease) => T | PromiseLike<T>,
    options?: RunOptions & Extra,
  ): Promise<T> {
    checkFunction('work', work)
    const core = this.#core
    if (runsReentrant(options)) {
      // What would be refused outside is refused inside too.
      waitLimit(options)
      leaseSettings(options, this.#settings)
      waitSignal(options)?.throwIfAborted()
      const held = core.reentry.find(this.name, this.#shape, this.#permits(options))
      if (held !== undefined) return await runInside(core, held, work)
    }
    const lease = await this.acquire(options)
    return await runWith(core, { lease, leases: [lease] }, work)
  }

  /** @internal What is asked for with these options, of the same Holdfast only. */
  ask(core: Core, options: unknown): Ask {
    if (core !== this.#core) {
      throw new RangeError(`The lock ${quote(this.name)} belongs to another Holdfast.`)
    }
    const permits = this.#permits(options)
    return { name: this.name, shape: this.#shape, permits, settings: this.#settings }
  }

  #take(options: (AcquireOptions & Extra) | undefined, timeoutMs: number): Promise<Lease | Absent> {
    const settings = leaseSettings(options, this.#settings)
    const permits = this.#permits(options)
    const signal = waitSignal(options)
    const place = this.#core.place({ name: this.name, shape: this.#shape, permits, settings })
    const request = { place, keeping: settings, timeoutMs, signal }
    // Who does not wait cannot be passed anything, and a minimum hold keeps it from everybody.
    const passes = this.#handover !== undefined && timeoutMs > 0 && settings.minHoldMs === 0
    return passes
      ? acquireByHandover(this.#core, request, this.#handover)
      : acquire(this.#core, request)
  }
}
