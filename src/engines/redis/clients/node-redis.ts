import type { PortOptions, RedisPort } from '../port.ts'
import { ClientPort } from './client-port.ts'
import { type Address, nameOf } from './cluster-map.ts'
import { ClusterPort } from './cluster-port.ts'
import type { Connection, Dial, Purpose, Watcher } from './connection.ts'
import { NotSent } from './failure.ts'
import { Guide, guided, type SentinelClient, settle } from './node-redis-guide.ts'

/** What is needed of a client of node-redis 5 or 6: one server, Cluster or Sentinel. */
export interface NodeRedisClient {
  readonly isOpen: boolean
  sendCommand(...args: never[]): unknown
  duplicate?(...args: never[]): unknown
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
  subscribe(channel: string, listener: MessageListener): Promise<unknown>
  sSubscribe(channel: string, listener: MessageListener): Promise<unknown>
}

type MessageListener = (text: string, channel: string) => void

interface Duplicable<Self> {
  connect(): Promise<unknown>
  destroy(): unknown
  duplicate(overrides: object): Self
  on(event: string, listener: (error: unknown) => void): unknown
}

/** Both versions keep the options of a Cluster client here, as given. */
interface ClusterOptions {
  readonly rootNodes?: readonly { readonly url?: string; readonly socket?: Partial<Address> }[]
  readonly defaults?: Options
  readonly keyPrefix?: string
  readonly nodeAddressMap?:
    | Readonly<Record<string, Address>>
    | ((address: string) => Address | undefined)
}

interface ClusterClient extends Duplicable<ClusterClient> {
  readonly _options?: ClusterOptions
  readonly masters: readonly (Address & { readonly client?: Client })[]
  nodeClient(node: unknown): Promise<Client> | Client
}

/** Type bytes of RESP3, mapped to what RESP2 would have sent; strings and numbers as they are. */
const TYPE_MAPPING = { 37: Array, 126: Array, 44: String, 40: String }

/**
 * A port on connections of its own, made after the pattern of the user's client, which is neither
 * changed nor used, but that a Sentinel client in use is asked who is the primary.
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
      keyPrefix: nodeRedisPrefix(client),
      dialCommands: dial,
      dialSubscriptions: dial,
    },
    options,
  )
}

/** What the client puts in front of every key. */
export function nodeRedisPrefix(client: NodeRedisClient): string {
  if ('nodeClient' in client) {
    const { defaults, keyPrefix } = (client as unknown as ClusterClient)._options ?? {}
    return keyPrefix ?? defaults?.keyPrefix ?? ''
  }
  if ('getMasterNode' in client)
    return (client as unknown as SentinelClient<Client>)._keyPrefix ?? ''
  return (client as unknown as Client).options?.keyPrefix ?? ''
}

function clusterPort(client: NodeRedisClient, options: PortOptions): RedisPort {
  const pattern = client as unknown as ClusterClient
  const { rootNodes = [], nodeAddressMap } = pattern._options ?? {}
  const like = once(() => nodeLike(pattern, options))
  const dial = ({ host, port }: Address, purpose: Purpose): Dial => {
    return (watcher) =>
      new LateConnection(async () =>
        singleConnection(await like(), watcher, options, { host, port, purpose }),
      )
  }
  return new ClusterPort(
    {
      client: 'node-redis',
      keyPrefix: nodeRedisPrefix(client),
      seeds: () => [...rootNodes.map(rootAddress), ...pattern.masters],
      translate(address) {
        const name = nameOf(address)
        const map = nodeAddressMap
        return (typeof map === 'function' ? map(name) : map?.[name]) ?? address
      },
      dial,
    },
    options,
  )
}

/** A connection with the options that the Cluster client gives to each of its own. */
async function nodeLike(pattern: ClusterClient, options: PortOptions): Promise<Client> {
  const known = pattern.masters.find(({ client }) => client)?.client
  if (known) return known
  // A client that was never connected has made none; a second one like it makes one.
  const { defaults } = pattern._options ?? {}
  const abort = new AbortController()
  const socket = { ...socketOptions(defaults, options, abort.signal) }
  const cluster = pattern.duplicate({
    defaults: { ...defaults, ...safeOptions(), socket },
    minimizeConnections: true,
    useReplicas: false,
  })
  cluster.on('error', () => {})
  try {
    await cluster.connect()
    return (await cluster.nodeClient(cluster.masters[0])).duplicate({})
  } finally {
    settle(() => cluster.destroy())
    abort.abort()
  }
}

function rootAddress({ url, socket = {} }: { url?: string; socket?: Partial<Address> }): Address {
  const { hostname, port } = url === undefined ? { hostname: '', port: '' } : new URL(url)
  return {
    host: socket.host ?? (hostname.replace(/^\[|\]$/g, '') || '127.0.0.1'),
    port: Number(socket.port ?? (port || 6379)),
  }
}

function sentinelPort(client: NodeRedisClient, options: PortOptions): RedisPort {
  const pattern = client as unknown as SentinelClient<Client>
  const guide = new Guide(pattern)
  const like = once(async () => {
    const found = await guide.open()
    // Nothing is sent: the function only gets hold of a connection to make others like it.
    return await found._execute(false, async (connection) => connection.duplicate({}))
  })
  const dial: Dial = (watcher) =>
    new LateConnection(async () => {
      const model = await like()
      // Nothing is waited for from here on: a change must not come in between.
      const found = await guide.open()
      const primary = found.getMasterNode()
      if (!primary) throw new NotSent('the Sentinels know no primary')
      const { host, port } = primary
      const place: Place = { host, port, role: 'master' }
      return guided(found, watcher, singleConnection(model, watcher, options, place))
    })
  return new ClientPort(
    {
      client: 'node-redis',
      topology: 'sentinel',
      keyPrefix: nodeRedisPrefix(client),
      dialCommands: dial,
      dialSubscriptions: dial,
      close: () => guide.close(),
    },
    options,
  )
}

/** Remembers what was made, but no failure. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined
      throw error
    })
    return made
  }
}

interface Place extends Partial<Address> {
  readonly purpose?: Purpose
  /** Who else the server must be. */
  readonly role?: 'master'
}

function singleConnection(
  pattern: Client,
  watcher: Watcher,
  options: PortOptions,
  { host, port, purpose, role }: Place = {},
): Connection {
  const abort = new AbortController()
  const there = host === undefined ? {} : { host, port, path: undefined }
  const client = pattern.duplicate({
    ...safeOptions(),
    ...(host === undefined ? {} : { url: undefined }),
    socket: { ...socketOptions(pattern.options, options, abort.signal), ...there },
    commandOptions: { typeMapping: TYPE_MAPPING, timeout: undefined },
    keyPrefix: undefined,
  })
  return new NodeRedisConnection(client, watcher, abort, { isShard: purpose === 'shard', role })
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

interface ConnectionKind {
  readonly isShard: boolean
  readonly role: 'master' | undefined
}

class NodeRedisConnection implements Connection {
  readonly #client: Client
  readonly #watcher: Watcher
  readonly #abort: AbortController
  readonly #kind: ConnectionKind

  constructor(client: Client, watcher: Watcher, abort: AbortController, kind: ConnectionKind) {
    this.#client = client
    this.#watcher = watcher
    this.#abort = abort
    this.#kind = kind
    client.on('error', (error) => watcher.lost(error))
    client.on('end', () => watcher.lost(new Error('the connection was closed')))
    // The library would listen on at another node, which is not asked to by anybody.
    client.on('sharded-channel-moved', () => watcher.lost(new Error('the channel has moved')))
  }

  async open(): Promise<void> {
    await this.#client.connect()
    if (this.#kind.role === undefined) return
    const [role] = (await this.#client.sendCommand(['role'])) as [string]
    if (role !== this.#kind.role) throw new NotSent(`the server is a ${role} now`)
  }

  send(name: string, args: readonly (string | number)[], asking: boolean): Promise<unknown> {
    const words = [name]
    for (const arg of args) words.push(typeof arg === 'string' ? arg : String(arg))
    // What is wrong with it, the command behind it is told as well.
    if (asking) this.#client.sendCommand(['asking']).catch(() => {})
    return this.#client.sendCommand(words)
  }

  subscribe(channel: string): Promise<unknown> {
    if (this.#kind.isShard) return this.#client.sSubscribe(channel, this.#onMessage)
    return this.#client.subscribe(channel, this.#onMessage)
  }

  destroy(): void {
    settle(() => this.#client.destroy())
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
    if (this.#destroyed) {
      found.destroy()
      throw new NotSent('the connection was given up')
    }
    this.#found = found
    await found.open()
  }

  send(name: string, args: readonly (string | number)[], asking: boolean): Promise<unknown> {
    return this.#found?.send(name, args, asking) ?? Promise.reject(new NotSent('not connected'))
  }

  subscribe(channel: string): Promise<unknown> {
    return this.#found?.subscribe(channel) ?? Promise.reject(new NotSent('not connected'))
  }

  destroy(): void {
    this.#destroyed = true
    this.#found?.destroy()
  }
}
