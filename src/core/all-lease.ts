/// <reference lib="esnext.disposable" preserve="true" />
import { onAbort } from './abort.ts'
import type { LeaseLostError } from './errors.ts'
import type { Lease, LeaseState } from './lease.ts'

/**
 * The leases of several locks as one. It is held while all of them are. When one is lost, `signal`
 * aborts and the others are renewed no more: they end with their ttl unless released before.
 */
export class AllLease implements AsyncDisposable {
  /** The fence of each lock, by its name. See `Lease.fence`. */
  readonly fences: ReadonlyMap<string, number>
  readonly #leases: readonly Lease[]
  readonly #controller = new AbortController()

  /** @internal */
  constructor(leases: readonly Lease[]) {
    this.#leases = leases
    this.fences = new Map(leases.map((lease) => [lease.name, lease.fence]))
    for (const { signal } of leases) onAbort(signal, () => this.#end(signal))
    this.#notice()
  }

  /** @internal */
  get leases(): readonly Lease[] {
    return this.#leases
  }

  /** Names of the locks, in the order in which they were taken. */
  get names(): readonly string[] {
    return [...this.fences.keys()]
  }

  /**
   * Aborts when one of the leases is lost, with its `LeaseLostError` as the reason, and when the
   * Holdfast is closed meanwhile. A release does not abort it.
   */
  get signal(): AbortSignal {
    this.#notice()
    return this.#controller.signal
  }

  /** Whether all locks are still held, computed from the clock at this moment. */
  get held(): boolean {
    return this.#leases.every((lease) => lease.held)
  }

  /** The worst of them: lost, released, in jeopardy, held. */
  get state(): LeaseState {
    const states = new Set(this.#leases.map((lease) => lease.state))
    return WORST_FIRST.find((state) => states.has(state)) ?? 'held'
  }

  /** Milliseconds that all of them are certain to last: the earliest deadline counts. */
  get remainingMs(): number {
    return Math.min(...this.#leases.map((lease) => lease.remainingMs))
  }

  /**
   * Throws the `LeaseLostError` of the first lock that is not held for at least `minMs` more (0 to
   * 2147483647).
   */
  assertHeld(minMs = 0): void {
    for (const lease of this.#leases) lease.assertHeld(minMs)
  }

  /** Renews all of them now. Rejects like `Lease.renew` when one was not confirmed. */
  async renew(): Promise<void> {
    await Promise.all(this.#leases.map((lease) => lease.renew()))
  }

  /**
   * Gives all locks back. Resolves to `false` when one of them was already gone. Rejects with the
   * first `EngineError` after all were tried; see `Lease.release`.
   */
  async release(): Promise<boolean> {
    const outcomes = await Promise.allSettled(this.#leases.map((lease) => lease.release()))
    let all = true
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') throw outcome.reason as Error
      all &&= outcome.value
    }
    return all
  }

  /** Releases like `release`, but never rejects: a failure is told as an `error` event. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.finish()
  }

  /** @internal Releases after work that ended well; resolves to the first loss, if any. */
  async finish(): Promise<LeaseLostError | undefined> {
    const losses = await Promise.all(this.#leases.map((lease) => lease.finish()))
    return losses.find((loss) => loss !== undefined)
  }

  /** A blocked event loop fires no timer: whoever asks finds out. */
  #notice(): void {
    for (const { signal } of this.#leases) if (signal.aborted) this.#end(signal)
  }

  #end({ reason }: AbortSignal): void {
    if (this.#controller.signal.aborted) return
    for (const lease of this.#leases) lease.lapse()
    this.#controller.abort(reason)
  }
}

const WORST_FIRST: readonly LeaseState[] = ['lost', 'released', 'jeopardy']
