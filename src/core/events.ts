import type { Kind, Occupant } from './engine.ts'
import type { HoldfastError, LeaseLostError } from './errors.ts'
import type { Lease } from './lease.ts'

/** What a Holdfast tells, each event with one object. */
export interface HoldfastEvents {
  /** A call joined a line, or moved up in it. */
  readonly waiting: {
    readonly name: string
    readonly identity: string
    readonly kind: Kind
    readonly permits: number
    /** Places in front. */
    readonly ahead: number
    readonly occupant: Occupant | undefined
  }
  readonly granted: { readonly lease: Lease; readonly waitedMs: number }
  /** A renewal was not confirmed; it is retried until the lease ends. Told once per spell. */
  readonly jeopardy: {
    readonly lease: Lease
    readonly remainingMs: number
    readonly error: HoldfastError
  }
  /** A renewal was confirmed after `jeopardy`. */
  readonly secured: { readonly lease: Lease }
  readonly lost: { readonly lease: Lease; readonly error: LeaseLostError }
  readonly released: { readonly lease: Lease; readonly heldMs: number }
  /** Something failed that no caller waits for: a clean-up, or a listener of yours that threw. */
  readonly error: { readonly name: string | undefined; readonly error: unknown }
}

/** What `Holdfast.on` calls with each event of this kind. */
export type Listener<K extends keyof HoldfastEvents> = (event: HoldfastEvents[K]) => void

/** Listeners by event. A listener that throws is reported as `error` and stops nobody. */
export class Events {
  readonly #listeners = new Map<keyof HoldfastEvents, Set<Listener<never>>>()

  /** Calls `listener` on each `event` until the returned function is called. */
  on<K extends keyof HoldfastEvents>(event: K, listener: Listener<K>): () => void {
    const listeners = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, listeners)
    // Wrapped, so that one function added twice is called twice and removed one at a time.
    const entry: Listener<K> = (told) => listener(told)
    listeners.add(entry)
    return () => {
      listeners.delete(entry)
    }
  }

  /** Whether anybody listens: what takes time to tell need not be told to nobody. */
  heard(event: keyof HoldfastEvents): boolean {
    return (this.#listeners.get(event)?.size ?? 0) > 0
  }

  emit<K extends keyof HoldfastEvents>(event: K, told: HoldfastEvents[K]): void {
    const listeners = this.#listeners.get(event)
    if (listeners === undefined) return
    for (const listener of listeners as Set<Listener<K>>) {
      try {
        listener(told)
      } catch (error) {
        // Events come from timers and replies, where a throw would end the user's process.
        if (event !== 'error') this.emit('error', { name: undefined, error })
      }
    }
  }
}
