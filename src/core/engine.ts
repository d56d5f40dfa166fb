import type { EngineError } from './errors.ts'
import type { Expectations, Finding } from './finding.ts'

/** The kinds of lock a line can serve. Kind and capacity are stored with the lock. */
export type Kind = 'mutex' | 'semaphore' | 'read-write' | 'election'

/** Capacity that no sum of read permits reaches: a writer asks for all of it. */
export const ALL = 2_147_483_647

/** What a lock is: two callers of one name must agree on it. */
export interface Shape {
  readonly kind: Kind
  /** Permits in the whole lock: 1 for a mutex, `ALL` for a read-write lock. */
  readonly capacity: number
}

/**
 * One stand in the line of one lock, as holder or as waiter. Every engine call names it in full.
 */
export interface Place {
  readonly name: string
  readonly shape: Shape
  /** Share of the capacity this place asks for, from 1 to the capacity. */
  readonly permits: number
  /** 128 random bits in hex, fresh for every acquisition. It makes every call repeatable. */
  readonly identity: string
  /** Life of the lease, counted again from each renewal. */
  readonly ttlMs: number
  /**
   * Life of a waiting place, counted again from each renewal: what a silent waiter costs at most.
   */
  readonly waitTtlMs: number
  /**
   * Life of a lease that the engine grants to a waiter by push. Shorter than `ttlMs` only where a
   * renewal follows at once, so that a waiter that died unnoticed does not hold for a whole ttl.
   */
  readonly grantTtlMs: number
  /** The lock stays taken for at least this long after the grant, also after a release. 0: not. */
  readonly minHoldMs: number
  /** Others are kept out this long after a lease ended without a release. 0: not. */
  readonly lockDelayMs: number
  /** Free text shown to whoever inspects the lock: who stands here (JSON of `About`). */
  readonly about: string
  /**
   * `renew` raises the lock's fence counter and the fence of this lease to at least this, only if
   * this identity still holds the lock: a handover reserves fences so. An `acquire` that grants may
   * draw no smaller a fence than this, so that an engine made of engines can let them agree.
   * Everything else ignores it.
   */
  readonly fence?: number
}

/** A place that asks to be let in. */
export interface Claim extends Place {
  /** `false`: when the lock is not free at once, leave no place in the line. */
  readonly wait: boolean
  /**
   * The ticket of an earlier standing of this identity. A place that the line lost (data loss,
   * a push that reached nobody) comes back where it stood instead of at the end.
   */
  readonly ticket?: number
}

/** Who holds a lock, as far as the engine can tell. */
export interface Occupant {
  /** The identity of a Holdfast lease, or the value that another program stored. */
  readonly identity: string
  /** `false` when another program took the key with the plain recipe. */
  readonly ours: boolean
  readonly about: string
}

/** The lease is this identity's. */
export interface Held {
  readonly state: 'held'
  /**
   * Larger than the fence of every earlier grant of this lock. A repeated acquire gets the same
   * one.
   */
  readonly fence: number
  /**
   * Until when the engine keeps others out for certain, on the engine's `Clock.now()`. Counted from
   * before the request was sent, or from a moment that is provably not later than the grant.
   */
  readonly deadline: number
}

/** The place stands in the line. */
export interface Waiting {
  readonly state: 'waiting'
  /** Places in front of this one. */
  readonly ahead: number
  /** Order in the line; see `Claim.ticket`. */
  readonly ticket: number
  /** After this long another look is worth its cost, even when nothing was pushed. 0: look now. */
  readonly lookMs: number
  readonly occupant?: Occupant
}

/** The identity has no place: it was never there, left, expired or was taken away. */
export interface Absent {
  readonly state: 'absent'
  readonly occupant?: Occupant
  /** What took the place away, where the engine knows. */
  readonly cause?: EngineError
}

/** Where a place stands. */
export type Standing = Held | Waiting | Absent

/** The engine could not tell. Unknown is not lost. */
export interface Unknown {
  readonly state: 'unknown'
  readonly error: EngineError
}

/** What an engine promises. The contract suite skips by these and by nothing else. */
export interface Guarantees {
  /** Each grant's fence is larger than every earlier one of that lock. */
  readonly fence: boolean
  /** Waiters are granted first come, first served. */
  readonly fifo: boolean
  /** A grant reaches the waiter without the waiter asking for it. */
  readonly push: boolean
  /** Locks are seen by other processes. */
  readonly shared: boolean
  /** Kinds of lock that the engine serves. */
  readonly kinds: readonly Kind[]
  /** Why it does not serve the others, as a sentence for the error of whoever asks for one. */
  readonly withoutKinds?: string
}

/** One holder, as `inspect` reports it. */
export interface HolderState extends Occupant {
  readonly permits: number
  readonly fence: number
  /** Milliseconds until the lease ends, `Infinity` for a foreign key without a TTL. */
  readonly ttlMs: number
  /** Milliseconds since the grant, 0 where it is not known. */
  readonly heldMs: number
}

/** One waiter, as `inspect` reports it. */
export interface WaiterState {
  readonly identity: string
  readonly permits: number
  readonly about: string
}

/** What a lock looks like at one moment. */
export interface LockState {
  readonly name: string
  readonly kind: Kind
  readonly capacity: number
  readonly holders: readonly HolderState[]
  /** The first waiters in line order, at most 100. */
  readonly waiters: readonly WaiterState[]
  /** How many wait in all. */
  readonly waiting: number
}

/** How a place leaves. */
export interface ReleaseOptions {
  /**
   * Ends the hold at once: its minimum hold and its lock delay do not apply. That is so too when
   * the place has already left and only these keep the lock taken. The empty identity stands for
   * whatever stays taken by nobody, as `inspect` shows it.
   */
  readonly force?: boolean
}

/** Which locks to list. */
export interface ListQuery {
  /** Only names that start with this. */
  readonly prefix: string
  /** Where the page before ended; absent for the first page. */
  readonly cursor?: string
  /** About how many names to return, at least 1. A page may hold more, fewer or none. */
  readonly limit: number
}

/** A page of names. */
export interface LockPage {
  /** Names of locks that are held, in no order. One name may stand on two pages. */
  readonly names: readonly string[]
  /** Give it back for the next page; absent after the last one. */
  readonly cursor?: string
}

/** What an engine made of engines notes at each of its nodes, beside the locks. */
export interface NodeList {
  /** Its nodes by their names in `Enlisted.node`, in any text of its own; empty to note nothing. */
  readonly list: string
  /** Who uses the list, for messages. */
  readonly by: string
  /** A random name for this node, which it keeps if it has none yet. */
  readonly node: string
  /** How long the note lasts. */
  readonly keepMs: number
}

/** What a node answers to that. */
export interface Enlisted {
  /** The node's name; it changes only when the node loses its data. */
  readonly node: string
  /** How long ago the node got that name. */
  readonly nodeMs: number
  /** The other lists that were noted here and last, and how long ago: the latest few. */
  readonly others: readonly {
    readonly list: string
    readonly by: string
    readonly agoMs: number
  }[]
}

/**
 * What a lock is stood on: one weighted line of places per name.
 *
 * A place asks for `permits` of `capacity`. Grants go from the front while permits last; the first
 * place that does not fit blocks everyone behind it. Whatever frees permits (a release, a leaving
 * waiter, a look that finds a lease expired) grants the next places in the same atomic step.
 *
 * Every call may be repeated without harm, because a lost reply is retried: a repeated `acquire`
 * finds the place it made, a repeated `release` finds nothing. Only durations go over the wire.
 * Calls reject with `EngineError` when there is no answer. `acquire` rejects with `ShapeError` when
 * the name is a lock of another shape or the engine's key holds something else; nothing was changed
 * then, and the other calls find no place there. Every call settles within the engine's own limits.
 */
export interface Engine {
  /** Short name for messages, such as `redis` or `memory`. */
  readonly name: string
  readonly guarantees: Guarantees
  /** Joins the line or is granted at once. With `wait: false` resolves to held or absent. */
  acquire(claim: Claim): Promise<Standing>
  /**
   * Resolves when something changed for a place whose last standing was `waiting`: to `held` when a
   * push carried the grant, else to a `waiting` with `lookMs` 0, which says that a look is due.
   * News that came between `acquire` and this call are not lost. Rejects with the signal's reason.
   * Once it has settled, nothing of it listens to the signal, which may serve another wait.
   */
  wait(place: Place, signal: AbortSignal): Promise<Standing>
  /**
   * Keeps places alive, held and waiting ones, and says where each stands; one call for all.
   * It never takes a lock for a place that does not stand in its line.
   */
  renew(places: readonly Place[]): Promise<readonly (Standing | Unknown)[]>
  /**
   * Leaves, as holder or waiter; resolves to whether the place was there, or with `force` to
   * whether anything of it was. A foreign holder of the plain recipe goes only by `force`.
   */
  release(place: Place, options?: ReleaseOptions): Promise<boolean>
  /** What the lock looks like, or `null` when nobody holds it or waits for it. */
  inspect(name: string): Promise<LockState | null>
  /** One page of the names that are held or waited for. */
  list(query: ListQuery): Promise<LockPage>
  /**
   * About what a fence would be drawn from now, in microseconds, rather late than early; `undefined`
   * while that is not known. Answers from memory. An engine made of engines proposes fences by it.
   */
  fenceMicros?(): number | undefined
  /**
   * What the locks stand on, such as the run of a server: the same text for two engines that share
   * it, `undefined` where it cannot be told. An engine made of engines refuses to count one twice.
   */
  origin?(): Promise<string | undefined>
  /**
   * Notes which nodes an engine made of engines counts this one among, and tells which other lists
   * are in use, so that processes whose lists differ find out. Touches no lock.
   */
  enlist?(entry: NodeList): Promise<Enlisted>
  /**
   * Calls `listener` whenever all that was granted until then is gone at once, such as with a file
   * that was deleted: holders are told then, and not at a renewal. Nothing is granted between the
   * loss and the call. Stops when the returned function is called.
   */
  onLoss?(listener: (cause: EngineError) => void): () => void
  /**
   * What in this engine's surroundings endangers its promises; nothing when all is well. Takes no
   * lock. Rejects with `EngineError` when there is no answer; what it may not ask is a finding.
   */
  diagnose?(expected: Expectations): Promise<readonly Finding[]>
  /** Ends the engine's own connections and timers. It does not release anything. */
  close(): Promise<void>
}
