import { attempt, type Taken } from './all-attempt.ts'
import { AllLease } from './all-lease.ts'
import type { Core } from './core.ts'
import { AcquireTimeoutError, quote } from './errors.ts'
import { type Ask, Lock } from './lock.ts'
import {
  type AcquireOptions,
  checkFunction,
  type LeaseOptions,
  leaseSettings,
  runsReentrant,
  show,
  waitLimit,
  waitSignal,
} from './options.ts'
import { runWith } from './run.ts'
import { Semaphore } from './semaphore.ts'

/** One of several locks: a lock, a semaphore with permits, or several locks again. */
export type AllMember =
  | Lock
  | Semaphore
  | { readonly lock: Semaphore; readonly permits: number }
  | AllLocks

/**
 * Several locks as one: all or nothing. They are taken one after the other in the order of their
 * names, which is the same for everybody, so that no two callers wait for each other. Those already
 * taken are kept alive, and keep others out, while the next is waited for.
 */
export class AllLocks {
  readonly #core: Core
  readonly #asks: readonly Ask[]

  /** @internal */
  constructor(core: Core, members: readonly AllMember[], options: LeaseOptions | undefined) {
    if (!Array.isArray(members)) {
      throw new TypeError(`locks must be an array, got ${show(members)}.`)
    }
    const asks = members.flatMap((member, index) => asksOf(core, member, index))
    if (asks.length === 0) throw new RangeError('locks must hold at least one lock.')
    asks.sort((one, other) => (one.name < other.name ? -1 : 1))
    for (const [index, { name }] of asks.entries()) {
      if (asks[index + 1]?.name !== name) continue
      throw new RangeError(
        `locks must name each lock once, got ${quote(name)} twice. For several permits of a ` +
          'semaphore write { lock, permits }; a write lock includes the read lock.',
      )
    }
    this.#core = core
    this.#asks = asks.map((ask) => ({ ...ask, settings: leaseSettings(options, ask.settings) }))
  }

  /** Names of the locks, in the order in which they are taken. */
  get names(): readonly string[] {
    return this.#asks.map(({ name }) => name)
  }

  /**
   * Waits until all locks are had and resolves to one lease for them. Rejects like `Lock.acquire`,
   * for the lock at which it failed; `timeoutMs` counts for all together. Whatever was taken until
   * then is given back. A lock that is lost while the next is waited for starts it all over.
   */
  async acquire(options?: AcquireOptions): Promise<AllLease> {
    const timeoutMs = waitLimit(options)
    const answer = await this.#take(options, timeoutMs)
    if (answer instanceof AllLease) return answer
    throw new AcquireTimeoutError(answer.name, timeoutMs, { occupant: answer.occupant })
  }

  /** Resolves to a lease, or to `null` when one of the locks is taken or waited for. */
  async tryAcquire(options?: LeaseOptions): Promise<AllLease | null> {
    const answer = await this.#take(options, 0)
    return answer instanceof AllLease ? answer : null
  }

  /** Acquires, runs `work` with the lease, releases. See `Lock.run`. */
  async run<T>(
    work: (lease: AllLease) => T | PromiseLike<T>,
    options?: AcquireOptions,
  ): Promise<T> {
    checkFunction('work', work)
    if (runsReentrant(options)) {
      throw new TypeError('reentrant is for single locks: all() cannot share their leases.')
    }
    const lease = await this.acquire(options)
    return await runWith(this.#core, { lease, leases: lease.leases }, work)
  }

  /** @internal */
  asks(core: Core): readonly Ask[] {
    if (core !== this.#core) throw new RangeError('The locks of all() belong to another Holdfast.')
    return this.#asks
  }

  async #take(options: AcquireOptions | undefined, timeoutMs: number): Promise<AllLease | Taken> {
    const core = this.#core
    const signal = waitSignal(options)
    const asks = this.#asks.map((ask) => ({
      ...ask,
      settings: leaseSettings(options, ask.settings),
    }))
    const limits = { timeoutMs, until: core.clock.now() + timeoutMs, signal }
    for (;;) {
      const answer = await attempt(core, asks, limits)
      if (answer !== 'again') return answer
    }
  }
}

function asksOf(core: Core, member: unknown, index: number): readonly Ask[] {
  if (member instanceof AllLocks) return member.asks(core)
  if (member instanceof Lock) return [member.ask(core, undefined)]
  const { lock } = (member ?? {}) as { lock?: unknown }
  if (lock instanceof Semaphore) return [lock.ask(core, member)]
  throw new TypeError(
    `locks[${index}] must be a mutex, a semaphore, { lock, permits } of a semaphore, the read or ` +
      `write lock of a read-write lock, or all(), got ${show(member)}.`,
  )
}
