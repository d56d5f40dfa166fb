/** `shared` locks of one name exclude only `exclusive` ones, which exclude all others. */
export type LockMode = 'exclusive' | 'shared'

/** Options of `request`. */
export interface LockOptions {
  /** Call the callback with `null` when the lock cannot be granted at once. `false` by default. */
  readonly ifAvailable?: boolean
  /** `exclusive` by default. */
  readonly mode?: LockMode
  /** Gives up the request while it waits. Ignored once the lock is granted. */
  readonly signal?: AbortSignal
  /** Take the lock from whoever holds it, in front of all who wait. `false` by default. */
  readonly steal?: boolean
}

/** A granted lock. `fence` and `signal` are not in the specification: see docs/web-locks.md. */
export interface Lock {
  readonly name: string
  readonly mode: LockMode
  /** Larger than that of every earlier grant of this name: let the resource refuse smaller ones. */
  readonly fence: number
  /** Aborts when the lock is stolen or its lease lost, while the callback still runs. */
  readonly signal: AbortSignal
}

/** Called with the granted lock, or with `null` when `ifAvailable` found it taken. */
export type LockGrantedCallback<T> = (lock: Lock | null) => T

/** A lock that is held, or a request that waits. */
export interface LockInfo {
  name: string
  mode: LockMode
  /** The manager it belongs to. */
  clientId: string
}

/** What the locks looked like. */
export interface LockManagerSnapshot {
  held: LockInfo[]
  pending: LockInfo[]
}
