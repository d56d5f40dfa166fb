import type { Kind, Place, Standing, Unknown } from './engine.ts'
import type { Lease } from './lease.ts'

/** A call that wants a lease. One object from its start to its end, filled in as it goes on. */
export interface AcquireTrace {
  /** Name of the engine, such as `redis`. */
  readonly engine: string
  /** Name of the lock. */
  readonly name: string
  readonly kind: Kind
  readonly permits: number
  /** The lease's, when there is one. */
  readonly identity: string
  /** `Infinity` waits for ever, 0 tries once. */
  readonly timeoutMs: number
  /** Places in front when the call joined the line; absent while it has not. */
  joinedAhead?: number
  /** Places in front when last seen. */
  ahead?: number
  /** From the call to its end. */
  waitedMs?: number
  /** At the end: the lease, or `null` when the lock was taken and the call was not to wait. */
  result?: Lease | null
  /** At the end: what the call rejects with. */
  error?: unknown
}

/** A lease from its grant to its end. */
export interface HoldTrace {
  readonly engine: string
  readonly lease: Lease
  /** The call that got it, where that was watched. */
  readonly acquire: AcquireTrace | undefined
  /** From the grant to the end. */
  heldMs?: number
  /**
   * At the end: the `LeaseLostError` of a lost lease, or the `EngineError` of a release that was
   * not confirmed. Absent when the lock was given back.
   */
  error?: unknown
}

/** One engine call that renews. */
export interface RenewTrace {
  readonly engine: string
  readonly places: readonly RenewedPlace[]
  /** From the request to its answer. */
  tookMs?: number
  /** At the end: why there was no answer for any of them. */
  error?: unknown
}

/** One place in a renewal. */
export interface RenewedPlace {
  readonly place: Place
  /** Whether a lease stands on it; if not, it waits. */
  readonly leased: boolean
  /** At the end, unless the call failed: where it stands. */
  standing?: Standing | Unknown
}

/** Tells watchers outside of one thing that takes time. `told` is one object from begin to end. */
export interface Trace<T extends object> {
  /** Whether anybody watches. While nobody does, nothing is made to be told. */
  readonly watched: boolean
  /** It begins. Runs `work` in the context that watchers bind, and returns what that returns. */
  begin<R>(told: T, work: () => R): R
  /** It ended, and what it ended with is written down in `told`. */
  end(told: T): void
}

/** All that is told to watchers outside. Watchers never make a call fail. */
export interface Traces {
  readonly acquire: Trace<AcquireTrace>
  readonly hold: Trace<HoldTrace>
  readonly renew: Trace<RenewTrace>
  /** A call joined the line or moved up in it; told between its begin and its end. */
  waiting(told: AcquireTrace): void
}
