import { onAbort } from '../../core/abort.ts'
import { acquire } from '../../core/acquire.ts'
import { adopt } from '../../core/adopt.ts'
import type { Core } from '../../core/core.ts'
import type { Place, Shape } from '../../core/engine.ts'
import { AcquireTimeoutError, LeaseLostError } from '../../core/errors.ts'
import { Lease } from '../../core/lease.ts'
import { checkName } from '../../core/options.ts'
import type { RedisClient } from '../../engines/redis/index.ts'
import { holdfastOf } from '../holdfasts.ts'
import { LostLockError, TimeoutError } from './errors.ts'
import { holderOf, identityFor, isOwn } from './identity.ts'
import { type LockOptions, readOptions, type Settings } from './options.ts'

/** What a lock is. */
export interface Target {
  readonly clients: readonly RedisClient[]
  /** For messages, as in the original. */
  readonly kind: string
  readonly name: string
  readonly shape: Shape
  readonly permits: number
}

/** What all locks of this door have in common. */
export abstract class Lock {
  readonly #target: Target
  readonly #settings: Settings
  #identifier: string
  /** The identifier was used: the next acquisition draws another. */
  #used = false
  #external: boolean
  #lease: Lease | undefined
  #refreshing = false

  /** @internal */
  constructor(target: Target, options: LockOptions) {
    checkName(target.name)
    this.#target = target
    // Wrong clients and kinds that a quorum does not serve are told here.
    const { core } = holdfastOf(target.clients)
    core.assertServes(target.shape.kind, target.name)
    this.#settings = readOptions(options, core.defaults)
    this.#external = this.#settings.external
    this.#identifier = this.#settings.identifier ?? core.random.identity()
  }

  /** Names the holder. Unless chosen, it is another one each time the lock is acquired again. */
  get identifier(): string {
    return this.#identifier
  }

  /** Whether the lock is held, computed from the clock at this moment. */
  get isAcquired(): boolean {
    return this.#lease?.held ?? false
  }

  /** Renews no more: the lock ends with `lockTimeout`, and `onLockLost` is not called. */
  stopRefresh(): void {
    this.#refreshing = false
    this.#lease?.lapse()
  }

  /**
   * Waits in the line for the lock. Rejects with `TimeoutError`, with the reason of `abortSignal`,
   * with `EngineError` when the server cannot be reached, and with `ShapeError` when the key holds
   * something else, such as a semaphore of another limit.
   */
  async acquire(abortSignal?: AbortSignal): Promise<void> {
    if (await this.tryAcquire(abortSignal)) return
    const { kind, name } = this.#target
    throw new TimeoutError(`Acquire ${kind} ${name} timeout`)
  }

  /** Like `acquire`, but resolves to whether the lock was granted in its time. */
  async tryAcquire(abortSignal?: AbortSignal): Promise<boolean> {
    const { core } = holdfastOf(this.#target.clients)
    if (this.#external) return await this.#adopt(core)
    if (this.isAcquired && this.#target.shape.kind === 'semaphore') {
      // It holds its permits already, and holds them once.
      await this.#lease?.renew()
      return true
    }
    return await this.#take(core, abortSignal)
  }

  /**
   * Gives the lock back, if it is still held. Rejects with `EngineError` when the server cannot be
   * reached; the release is then repeated in the background.
   */
  async release(): Promise<void> {
    const lease = this.#lease
    const external = this.#external
    this.#lease = undefined
    this.#refreshing = false
    this.#external = false
    if (lease !== undefined) await (isOwn(lease.identity) ? lease.release() : lease.giveBack())
    else if (external) await this.#releaseExternal()
  }

  async #take(core: Core, signal: AbortSignal | undefined): Promise<boolean> {
    const { lease: settings, patienceMs, identifier } = this.#settings
    const own = this.#used ? (identifier ?? core.random.identity()) : this.#identifier
    this.#used = true
    const identity = identifier === undefined ? own : identityFor(identifier, core)
    const place = this.#place(core, identity)
    try {
      const asked = { place, keeping: settings, timeoutMs: patienceMs, signal }
      const answer = await acquire(core, asked)
      if (!(answer instanceof Lease)) return false
      // Another call of this object may have been faster: it holds once.
      if (this.isAcquired) await answer.giveBack()
      else this.#keep(answer, own)
      return true
    } catch (error) {
      if (error instanceof AcquireTimeoutError) return false
      throw error
    }
  }

  async #adopt(core: Core): Promise<boolean> {
    const identity = await holderOf(core, this.#target.name, this.#identifier)
    if (identity === undefined) return false
    const lease = await adopt(core, this.#place(core, identity), this.#settings.lease)
    if (lease === null) return false
    this.#external = false
    this.#keep(lease, this.#identifier)
    return true
  }

  #keep(lease: Lease, identifier: string): void {
    this.#lease = lease
    this.#identifier = identifier
    this.#refreshing = this.#settings.lease.renew
    onAbort(lease.signal, () => this.#lost(lease))
  }

  async #releaseExternal(): Promise<void> {
    const { core } = holdfastOf(this.#target.clients)
    const identity = await holderOf(core, this.#target.name, this.#identifier)
    if (identity === undefined) return
    const place = this.#place(core, identity)
    await core.reach(() => core.engine.release(place, { force: !isOwn(identity) }))
  }

  #place(core: Core, identity: string): Place {
    const { name, shape, permits } = this.#target
    return core.place({ name, shape, permits, settings: this.#settings.lease, identity })
  }

  #lost(lease: Lease): void {
    const { reason } = lease.signal as { reason: unknown }
    const told = this.#lease === lease && this.#refreshing
    if (!told || !(reason instanceof LeaseLostError)) return
    this.#refreshing = false
    const { kind, name } = this.#target
    const error = new LostLockError(`Lost ${kind} for key ${name}`, { cause: reason })
    // What it throws is a rejection that nobody handles, as in the original, and ends no timer.
    void (async () => this.#settings.onLockLost.call(this, error))()
  }
}
