/// <reference lib="esnext.disposable" preserve="true" />
import type { Core } from './core.ts'
import type { Kind, Shape } from './engine.ts'
import type { LeaseLostError } from './errors.ts'
import type { Grant } from './grant.ts'
import { checkWhole, MAX_MS } from './options.ts'
import { type Keeping, LeaseTending } from './tending.ts'
import type { AcquireTrace } from './traces.ts'

/**
 * `held`; `jeopardy` while renewals fail but the lease still stands; `lost`; `released` once
 * `release` was called.
 */
export type LeaseState = 'held' | 'jeopardy' | 'lost' | 'released'

/**
 * The right to hold a lock for a time. It renews itself unless told otherwise, and tells when it is
 * lost no later than the lock could be granted to another: through `signal`, `held`, `assertHeld`.
 */
export class Lease implements AsyncDisposable {
  /** Name of the lock. */
  readonly name: string
  readonly kind: Kind
  /** How much of the lock's capacity it takes: 1 of 1 for a mutex. */
  readonly permits: number
  /** @internal */
  readonly shape: Shape
  /**
   * Fencing token: larger than that of every earlier grant of this lock. Hand it to the resource
   * and let the resource refuse a smaller one than the largest it saw.
   */
  readonly fence: number
  /**
   * Unique value of this lease, 32 hex digits. Leases that were passed on by handover share it, and
   * differ in their fences.
   */
  readonly identity: string
  readonly #tending: LeaseTending

  /** @internal */
  constructor(core: Core, grant: Grant, keeping: Keeping) {
    const { place, fence } = grant
    this.name = place.name
    this.kind = place.shape.kind
    this.permits = place.permits
    this.shape = place.shape
    this.fence = fence
    this.identity = place.identity
    this.#tending = new LeaseTending(core, grant, keeping, this)
  }

  /**
   * Aborts when the lease is lost, with a `LeaseLostError` as its reason, and when the Holdfast is
   * closed meanwhile. A release does not abort it.
   */
  get signal(): AbortSignal {
    return this.#tending.signal
  }

  /** Whether the lock is still this lease's, computed from the clock at this moment. */
  get held(): boolean {
    return this.#tending.remainingMs > 0
  }

  get state(): LeaseState {
    return this.#tending.state
  }

  /** Milliseconds that the lease is certain to last without another renewal; 0 once it is gone. */
  get remainingMs(): number {
    return this.#tending.remainingMs
  }

  /**
   * Throws `LeaseLostError` unless the lease is held for at least `minMs` more (0 to 2147483647).
   * Call it right before a write that takes about that long.
   */
  assertHeld(minMs = 0): void {
    checkWhole('minMs', minMs, 0, MAX_MS)
    this.#tending.assertHeld(minMs)
  }

  /**
   * Renews now and resolves when the engine confirmed it. Rejects with `LeaseLostError` when the
   * lease is gone, and with `EngineError` when the engine gave no answer, which loses nothing yet.
   */
  renew(): Promise<void> {
    return this.#tending.renew()
  }

  /**
   * Gives the lock back; the next waiter is granted in the same step. Resolves to `false` when the
   * lease was already gone. Rejects with `EngineError` when the engine cannot be reached: the
   * release is then retried in the background, and the lock ends with its ttl at the latest.
   * Calling it again returns the same promise.
   */
  release(): Promise<boolean> {
    return this.#tending.release()
  }

  /** Releases like `release`, but never rejects: a failure is told as an `error` event. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tending.dispose()
  }

  /** @internal The grant is known to the caller: from here on it is told to watchers outside. */
  begin(acquire: AcquireTrace | undefined): void {
    this.#tending.begin(acquire)
  }

  /** @internal Gives back what was never used: no minimum hold applies. Never rejects. */
  async giveBack(): Promise<void> {
    await this.#tending.dispose({ force: true })
  }

  /** @internal Renews no more, so that it ends with its ttl at the latest. */
  lapse(): void {
    this.#tending.lapse()
  }

  /** @internal Ends here without a release: the lock stays taken until its ttl is over. */
  detach(): void {
    this.#tending.detach()
  }

  /** @internal Releases after work that ended well; resolves to the loss, if there was one. */
  finish(): Promise<LeaseLostError | undefined> {
    return this.#tending.dispose()
  }
}
