import type { Address } from './cluster-map.ts'
import type { Connection, Watcher } from './connection.ts'
import { NotSent } from './failure.ts'

interface TopologyChange {
  readonly type: string
}

/** A Sentinel client of node-redis, and what its connections are. */
export interface SentinelClient<Client> {
  readonly isOpen: boolean
  readonly _keyPrefix?: string
  connect(): Promise<unknown>
  destroy(): unknown
  /** Since version 6. */
  duplicate?(overrides: object): SentinelClient<Client>
  getMasterNode(): Address | undefined
  on(event: string, listener: (change: TopologyChange) => void): unknown
  off(event: string, listener: (change: TopologyChange) => void): unknown
  /** Runs a function with the connection to the primary that the client has itself. */
  _execute<T>(isReadonly: boolean, use: (client: Client) => Promise<T>): Promise<T>
}

/** Knows who is the primary: the user's Sentinel client while it is open, else one like it. */
export class Guide<Client> {
  readonly #pattern: SentinelClient<Client>
  #own: { client: SentinelClient<Client>; connected: Promise<unknown> } | undefined
  #closed = false

  constructor(pattern: SentinelClient<Client>) {
    this.#pattern = pattern
  }

  async open(): Promise<SentinelClient<Client>> {
    if (this.#pattern.isOpen || this.#closed) return this.#pattern
    if (!this.#own) {
      if (!this.#pattern.duplicate) {
        throw new NotSent(
          'a Sentinel client of node-redis 5 cannot be duplicated: connect it before its first ' +
            'use by Holdfast, and keep it open',
        )
      }
      const client = this.#pattern.duplicate({ commandOptions: undefined })
      client.on('error', () => {})
      this.#own = { client, connected: client.connect() }
    }
    const { client, connected } = this.#own
    try {
      await connected
    } catch (error) {
      this.#forget()
      throw error
    }
    return client
  }

  close(): void {
    this.#closed = true
    this.#forget()
  }

  #forget(): void {
    const own = this.#own
    this.#own = undefined
    if (own) settle(() => own.client.destroy())
  }
}

/**
 * A connection that is lost as soon as the guide hears of another primary, and not only when its
 * server dies or follows: it may come back as a second primary.
 */
export function guided(
  guide: SentinelClient<unknown>,
  watcher: Watcher,
  connection: Connection,
): Connection {
  const changed = ({ type }: TopologyChange): void => {
    if (type === 'MASTER_CHANGE') watcher.lost(new Error('the Sentinels have another primary now'))
  }
  guide.on('topology-change', changed)
  return {
    open: () => connection.open(),
    send: (name, args, asking) => connection.send(name, args, asking),
    subscribe: (channel) => connection.subscribe(channel),
    destroy() {
      guide.off('topology-change', changed)
      connection.destroy()
    },
  }
}

/** Ends something whatever state it is in. */
export function settle(end: () => unknown): void {
  try {
    const ending = end()
    if (ending instanceof Promise) ending.catch(() => {})
  } catch {
    // Version 5 throws when the connection has ended already.
  }
}
