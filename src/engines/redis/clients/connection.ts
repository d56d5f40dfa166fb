/** What a connection tells whoever made it. Neither call may throw. */
export interface Watcher {
  /**
   * The connection is of no use any more. Said at least once when it ends by itself after `open`.
   */
  lost(error: unknown): void
  message(channel: string, text: string): void
}

/**
 * One connection of one client library, used until it is lost and then thrown away: the
 * reconnecting is done outside, once for all libraries, because each of them parks, re-sends or
 * forgets commands in its own way when it reconnects by itself.
 */
export interface Connection {
  /** Resolves when commands can be sent, rejects when there will be no connection. Called once. */
  open(): Promise<void>
  /**
   * Rejects with what the library said; with `NotSent` only when nothing was written. With `asking`
   * an ASKING goes right before it.
   */
  send(name: string, args: readonly (string | number)[], asking: boolean): Promise<unknown>
  /** Resolves when the server confirmed. Asking twice for one channel does no harm. */
  subscribe(channel: string): Promise<unknown>
  /** Ends it at once, whatever is under way; allowed in every state and more than once. */
  destroy(): void
}

/** What a connection is made for. `shard` is for the subscriptions of one node of a Cluster. */
export type Purpose = 'commands' | 'subscriptions' | 'shard'

/** Makes a connection, which is not yet open. */
export type Dial = (watcher: Watcher) => Connection
