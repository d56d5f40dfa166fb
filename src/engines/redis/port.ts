import type { Clock } from '../../core/clock.ts'

/** What a server answers, whichever client and protocol version carried it. */
export type Reply = string | number | null | readonly Reply[]

/**
 * Why a command failed, the same words for every client:
 * `noscript` the script is not cached; `timeout` no answer within the time limit; `connection` cut,
 * refused or closed; `unavailable` the server says it cannot serve writes now (READONLY, LOADING,
 * CLUSTERDOWN, TRYAGAIN, MASTERDOWN, BUSY, MOVED, NOREPLICAS, MISCONF); `memory` OOM;
 * `permission` NOPERM, NOAUTH, WRONGPASS; `other` anything else the server said.
 */
export type FailureKind =
  | 'noscript'
  | 'timeout'
  | 'connection'
  | 'unavailable'
  | 'memory'
  | 'permission'
  | 'other'

/** The one error a port rejects with. */
export class RedisFailure extends Error {
  override readonly name = 'RedisFailure'
  readonly kind: FailureKind
  /** `true` when the server may have run the command, or may still run it. */
  readonly mayHaveRun: boolean

  constructor(kind: FailureKind, mayHaveRun: boolean, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.kind = kind
    this.mayHaveRun = mayHaveRun
  }
}

/** Where a command goes, and how long it may take. */
export interface Routing {
  readonly timeoutMs: number
  readonly key?: string
  readonly server?: string
  /** Says so (`unavailable`) instead of following, when the server sends it to another one. */
  readonly pinned?: boolean
  /**
   * Told which server answers, as `serverOf` names it, before the answer is there: on a Cluster it
   * may be another one than was asked.
   */
  readonly answered?: (server: string) => void
}

/** How a subscription talks back. Neither callback may throw. */
export interface Listener {
  /** `server` is whoever sent it, as `serverOf` names it, where the client tells. */
  message(text: string, server?: string): void
  /**
   * Called each time the subscription is up: first, and after every break. Messages may be missing.
   */
  ready(): void
  /** Called when the subscription broke. */
  broken(): void
}

/**
 * The engine's whole view of a Redis client. One file per client library implements it, on
 * connections of Holdfast's own made after the pattern of the user's client, so that a blocking
 * command, a MULTI or an offline queue of the user cannot delay a renewal.
 */
export interface RedisPort {
  /** For messages: library and version where known, such as `ioredis`. */
  readonly client: string
  readonly topology: 'single' | 'sentinel' | 'cluster'
  /** What the client itself puts in front of every key it sends. Channels get none. */
  readonly keyPrefix: string
  /**
   * Names the server that serves a key now, always a primary. Locks of one server share its clock.
   * A name says nothing else; it is empty where there is only one.
   */
  serverOf(key: string): string
  /** All servers that share the keys now. Rejects with `RedisFailure` only. */
  servers(options: { timeoutMs: number }): Promise<readonly string[]>
  /**
   * The channel with this name on which a script on the key's server can reach this process. On a
   * Cluster there is one for each server, with a hash tag in it: such channels are for SPUBLISH.
   */
  channelFor(name: string, key: string): string
  /**
   * Sends one command, its name in lowercase, to the server of `key`, which is the unprefixed form
   * of a key in `args`, or to the one named by `server`. Settles within `timeoutMs` by the port's
   * own timer, never re-sent by the client, never parked in an offline queue past that time, never
   * answered by a replica. Rejects with `RedisFailure` only.
   */
  command(name: string, args: readonly (string | number)[], options: Routing): Promise<Reply>
  /**
   * Listens on one channel and keeps listening over reconnects. It returns at once and never
   * throws; `listener.ready` says when it is up.
   */
  subscribe(channel: string, listener: Listener): { close(): Promise<void> }
  /**
   * Called when a connection to a server broke, or the server is not used any more: what was learnt
   * of its clock may be stale.
   */
  onBreak(listener: (server: string) => void): void
  /** Called when servers may have changed what they serve, so that `channelFor` answers anew. */
  onMove(listener: () => void): void
  /** Closes what the port opened; never the user's client. */
  close(): Promise<void>
}

/** Options every port takes. */
export interface PortOptions {
  readonly clock: Clock
  /** How long a connection may take to be made. */
  readonly connectTimeoutMs: number
}
