import type { PortOptions, RedisPort } from '../port.ts'
import { ClientPort } from './client-port.ts'
import type { Connection, Dial, Watcher } from './connection.ts'

/** What is needed of a client of node-redis 5 or 6: one server, Cluster or Sentinel. */
export interface NodeRedisClient {
  readonly isOpen: boolean
  sendCommand(...args: never[]): unknown
  duplicate(...args: never[]): unknown
  destroy(): unknown
}

interface Options {
  readonly socket?: object
  readonly database?: number
  readonly keyPrefix?: string
}

interface Client extends Duplicable<Client> {
  readonly options?: Options
  sendCommand(args: readonly string[]): Promise<unknown>
}

interface Duplicable<Self> {
  connect(): Promise<unknown>
  destroy(): unknown
  duplicate(overrides: object): Self
  on(event: string, listener: (error: unknown) => void): unknown
  subscribe(channel: string, listener: (text: string, channel: string) => void): Promise<unknown>
}

interface ClusterClient extends Duplicable<ClusterClient> {
  readonly _options?: Options & { readonly defaults?: Options }
  sendCommand(
    key: string | undefined,
    isReadonly: boolean,
    args: readonly string[],
  ): Promise<unknown>
  getRandomNode(): unknown
  nodeClient(node: unknown): Promise<Client> | Client
}

interface SentinelClient extends Duplicable<SentinelClient> {
  readonly _keyPrefix?: string
  sendCommand(isReadonly: boolean, args: readonly string[]): Promise<unknown>
}

/** Type bytes of RESP3, mapped to what RESP2 would have sent; strings and numbers as they are. */
const TYPE_MAPPING = { 37: Array, 126: Array, 44: String, 40: String }

/**
 * A port on connections of its own, made after the pattern of the user's client, which is neither
 * used nor changed.
 */
export function nodeRedisPort(client: NodeRedisClient, options: PortOptions): RedisPort {
  if ('nodeClient' in client) return clusterPort(client, options)
  if ('getMasterNode' in client) return sentinelPort(client, options)
  const pattern = client as unknown as Client
  const dial: Dial = (watcher) => singleConnection(pattern, watcher, options)
  return new ClientPort(
    {
      client: 'node-redis',
      topology: 'single',
      keyPrefix: pattern.options?.keyPrefix ?? '',
      dialCommands: dial,
      dialSubscriptions: dial,
    },
    options,
  )
}

function clusterPort(client: NodeRedisClient, options: PortOptions): RedisPort {
  const pattern = client as unknown as ClusterClient
  const { defaults, keyPrefix } = pattern._options ?? {}
  let inUse: ClusterClient | undefined
  const dialCommands: Dial = (watcher) => {
    const abort = new AbortController()
    const socket = { ...socketOptions(defaults, options, abort.signal), reconnectStrategy: 500 }
    const cluster = pattern.duplicate({
      defaults: { ...defaults, ...safeOptions(), socket },
      commandOptions: { typeMapping: TYPE_MAPPING, timeout: undefined },
      keyPrefix: undefined,
      useReplicas: false,
    })
    inUse = cluster
    const send = (args: readonly string[], key?: string) => cluster.sendCommand(key, false, args)
    return new NodeRedisConnection(cluster, watcher, abort, send)
  }
  // Every node passes on what is published at any of them, so one plain connection hears it all.
  const dialSubscriptions: Dial = (watcher) => {
    const cluster = inUse ?? pattern
    return new LateConnection(async () => {
      const node = await cluster.nodeClient(cluster.getRandomNode())
      return singleConnection(node, watcher, options)
    })
  }
  return new ClientPort(
    {
      client: 'node-redis',
      topology: 'cluster',
      keyPrefix: keyPrefix ?? defaults?.keyPrefix ?? '',
      dialCommands,
      dialSubscriptions,
    },
    options,
  )
}

function sentinelPort(client: NodeRedisClient, options: PortOptions): RedisPort {
  const pattern = client as unknown as SentinelClient
  const dial: Dial = (watcher) => {
    const abort = new AbortController()
    const sentinel = pattern.duplicate({
      commandOptions: { typeMapping: TYPE_MAPPING, timeout: undefined },
      keyPrefix: undefined,
      clientSideCache: undefined,
    })
    const send = (args: readonly string[]) => sentinel.sendCommand(false, args)
    return new NodeRedisConnection(sentinel, watcher, abort, send)
  }
  return new ClientPort(
    {
      client: 'node-redis',
      topology: 'sentinel',
      keyPrefix: pattern._keyPrefix ?? '',
      dialCommands: dial,
      dialSubscriptions: dial,
    },
    options,
  )
}

function singleConnection(pattern: Client, watcher: Watcher, options: PortOptions): Connection {
  const abort = new AbortController()
  const client = pattern.duplicate({
    ...safeOptions(),
    socket: socketOptions(pattern.options, options, abort.signal),
    commandOptions: { typeMapping: TYPE_MAPPING, timeout: undefined },
    keyPrefix: undefined,
  })
  return new NodeRedisConnection(client, watcher, abort, (args) => client.sendCommand(args))
}

/** Nothing waits for a connection, and nothing of the user's own is shared or set off. */
function safeOptions(): object {
  return {
    disableOfflineQueue: true,
    commandsQueueMaxLength: undefined,
    pingInterval: undefined,
    readonly: false,
    clientSideCache: undefined,
    emitInvalidate: undefined,
    maintNotifications: 'disabled',
  }
}

/**
 * One connection that does not come back by itself. The signal is for a socket that is still
 * connecting: the library itself lets go of that one only when it is connected.
 */
function socketOptions(
  own: Options | undefined,
  { connectTimeoutMs }: PortOptions,
  signal: AbortSignal,
): object {
  return {
    ...own?.socket,
    reconnectStrategy: false,
    connectTimeout: connectTimeoutMs,
    socketTimeout: undefined,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 10_000,
    signal,
  }
}

class NodeRedisConnection implements Connection {
  readonly #client: Duplicable<unknown>
  readonly #watcher: Watcher
  readonly #abort: AbortController
  readonly #send: (args: readonly string[], key?: string) => Promise<unknown>

  constructor(
    client: Duplicable<unknown>,
    watcher: Watcher,
    abort: AbortController,
    send: (args: readonly string[], key?: string) => Promise<unknown>,
  ) {
    this.#client = client
    this.#watcher = watcher
    this.#abort = abort
    this.#send = send
    client.on('error', (error) => watcher.lost(error))
    client.on('end', () => watcher.lost(new Error('the connection was closed')))
  }

  async open(): Promise<void> {
    await this.#client.connect()
  }

  send(name: string, args: readonly (string | number)[], key?: string): Promise<unknown> {
    const words = [name]
    for (const arg of args) words.push(typeof arg === 'string' ? arg : String(arg))
    return this.#send(words, key)
  }

  subscribe(channel: string): Promise<unknown> {
    return this.#client.subscribe(channel, this.#onMessage)
  }

  destroy(): void {
    try {
      const ending = this.#client.destroy()
      if (ending instanceof Promise) ending.catch(() => {})
    } catch {
      // Version 5 throws when the connection has ended already.
    }
    this.#abort.abort()
  }

  readonly #onMessage = (text: string, channel: string): void => {
    this.#watcher.message(channel, text)
  }
}

/** A connection that takes a moment to be found. */
class LateConnection implements Connection {
  readonly #find: () => Promise<Connection>
  #found: Connection | undefined
  #destroyed = false

  constructor(find: () => Promise<Connection>) {
    this.#find = find
  }

  async open(): Promise<void> {
    const found = await this.#find()
    this.#found = found
    if (this.#destroyed) found.destroy()
    await found.open()
  }

  async send(name: string, args: readonly (string | number)[], key?: string): Promise<unknown> {
    return await this.#found?.send(name, args, key)
  }

  async subscribe(channel: string): Promise<unknown> {
    return await this.#found?.subscribe(channel)
  }

  destroy(): void {
    this.#destroyed = true
    this.#found?.destroy()
  }
}
