import { isIP } from 'node:net'
import type { PortOptions, RedisPort } from '../port.ts'
import { ClientPort } from './client-port.ts'
import type { Address } from './cluster-map.ts'
import { addressOf, nameOf } from './cluster-map.ts'
import { ClusterPort } from './cluster-port.ts'
import type { Connection, Dial, Purpose, Watcher } from './connection.ts'
import { failureOf, NotSent } from './failure.ts'
import { framedSender } from './ioredis-frame.ts'
import { SwitchNews } from './switch-news.ts'

/** What is needed of a `Redis` or `Cluster` of ioredis 5 or 6. */
export interface IoredisClient {
  readonly isCluster: boolean
  readonly options: object
  call(...args: never[]): unknown
  defineCommand(...args: never[]): unknown
  duplicate(...args: never[]): unknown
}

interface Options {
  readonly db?: number
  readonly keyPrefix?: string | Uint8Array
  readonly disableClientInfo?: boolean
  readonly tls?: { readonly servername?: string }
  readonly name?: string
  readonly family?: number
  readonly sentinels?: readonly Partial<SentinelAddress>[] | null
  readonly sentinelUsername?: string | null
  readonly sentinelPassword?: string | null
  readonly sentinelTLS?: object
  readonly natMap?: NatMap | null
}

interface SentinelAddress extends Address {
  readonly family: number
}

type NatMap = Readonly<Record<string, Address>> | ((name: string) => Address | null | undefined)

interface Stream {
  cork(): void
  uncork(): void
  destroy(): void
}

interface Redis {
  readonly status: string
  readonly options: Options
  readonly condition?: { readonly select?: number } | null
  readonly stream?: Stream | null
  call(name: string, args: readonly (string | number)[]): Promise<unknown>
  connect(): Promise<void>
  disconnect(): void
  duplicate(overrides: object): Redis
  on(event: string, listener: (...args: string[]) => void): unknown
}

type StartupNode = string | number | (Partial<Address> & Options)

interface Cluster extends Omit<Redis, 'duplicate' | 'options'> {
  readonly options: Options & {
    readonly redisOptions?: Options
  }
  readonly startupNodes?: readonly StartupNode[]
  readonly connectionPool?: { findOrCreate(node: object): Redis }
  duplicate(startupNodes: readonly never[], overrides: object): Cluster
  nodes(role?: string): Redis[]
}

/**
 * A port on connections of its own, made after the pattern of the user's client, which is neither
 * used nor changed.
 */
export function ioredisPort(client: IoredisClient, options: PortOptions): RedisPort {
  return client.isCluster ? clusterPort(client, options) : singlePort(client, options)
}

function singlePort(client: IoredisClient, options: PortOptions): RedisPort {
  const pattern = client as unknown as Redis
  const isSentinel = (pattern.options.sentinels ?? []).length > 0
  const news = isSentinel ? switchNews(pattern, options) : undefined
  const dial =
    (purpose: Purpose): Dial =>
    (watcher) => {
      // What the user selected last is seen on the connection, not in the options.
      const db = pattern.condition?.select ?? pattern.options.db ?? 0
      const connect = (overrides: object): Connection => {
        const redis = pattern.duplicate({ ...safeOptions(options), ...overrides })
        return new IoredisConnection(redis, watcher, db, purpose)
      }
      if (news === undefined) return connect({ enableReadyCheck: false })
      let named = ''
      // The address that is translated last is the primary's, as the Sentinel knows it.
      const natMap = anyNatMap((name) => {
        named = name
        return translate(pattern.options.natMap, name)
      })
      // The check looks at the role.
      const overrides = { enableReadyCheck: true, natMap, sentinels: news.order }
      return news.guard(connect(overrides), watcher, () => named)
    }
  return new ClientPort(
    {
      client: 'ioredis',
      topology: isSentinel ? 'sentinel' : 'single',
      keyPrefix: ioredisPrefix(client),
      dialCommands: dial('commands'),
      dialSubscriptions: dial('subscriptions'),
      close: () => news?.close(),
    },
    options,
  )
}

/**
 * The library's own `failoverDetector` asks each Sentinel over connections that it forgets to close
 * when the primary's ends, writes to the console when one fails, and heeds what is said of others.
 */
function switchNews(pattern: Redis, options: PortOptions): SwitchNews<Partial<SentinelAddress>> {
  const own = pattern.options
  return new SwitchNews(options, {
    name: own.name ?? '',
    sentinels: own.sentinels ?? [],
    dial: (sentinel) => (watcher) => {
      const redis = pattern.duplicate({
        ...safeOptions(options),
        enableReadyCheck: false,
        sentinels: null,
        host: sentinel.host,
        port: sentinel.port ?? 26_379,
        path: undefined,
        family: sentinel.family ?? own.family,
        username: own.sentinelUsername ?? null,
        password: own.sentinelPassword ?? null,
        tls: own.sentinelTLS,
      })
      return new IoredisConnection(redis, watcher, 0, 'commands')
    },
  })
}

function clusterPort(client: IoredisClient, options: PortOptions): RedisPort {
  const pattern = client as unknown as Cluster
  const { natMap } = pattern.options
  let like: Redis | undefined
  const dial = ({ host, port }: Address, purpose: Purpose): Dial => {
    return (watcher) => {
      like ??= nodeLike(pattern)
      const there = { host, port, path: undefined, ...named(like.options, host) }
      const overrides = { ...safeOptions(options), ...there }
      return new IoredisConnection(
        like.duplicate({ ...overrides, enableReadyCheck: false }),
        watcher,
        0,
        purpose,
      )
    }
  }
  return new ClusterPort(
    {
      client: 'ioredis',
      keyPrefix: ioredisPrefix(client),
      seeds: () => seedsOf(pattern),
      translate(address) {
        const mapped = translate(natMap, nameOf(address))
        return mapped ? { host: mapped.host, port: Number(mapped.port) } : address
      },
      dial,
    },
    options,
  )
}

function translate(natMap: NatMap | null | undefined, name: string): Address | null {
  return (typeof natMap === 'function' ? natMap(name) : natMap?.[name]) ?? null
}

/** Up to version 5.5 the library takes no function, and looks an address up as in an object. */
function anyNatMap(find: (name: string) => Address | null): NatMap {
  return new Proxy(find, { get: (_, name) => (typeof name === 'string' ? find(name) : undefined) })
}

/**
 * With an empty name, each node is asked for by the one it is reached at, where that is a name: a
 * server with several certificates chooses by it.
 */
function named({ tls }: Options, host: string): Options {
  return tls?.servername === '' && isIP(host) === 0 ? { tls: { ...tls, servername: host } } : {}
}

/** A connection, never opened, with the options that the Cluster client gives to its own. */
function nodeLike(pattern: Cluster): Redis {
  const [known] = pattern.nodes()
  if (known) return known
  // A client that was never connected has made none; a second one like it makes one.
  const made = pattern.duplicate([], { lazyConnect: true }).connectionPool
  if (made) return made.findOrCreate({ host: '127.0.0.1', port: 6379 })
  throw new NotSent('no node of the Cluster is known yet: connect the client first')
}

function seedsOf(pattern: Cluster): Address[] {
  const started = pattern.startupNodes ?? []
  const known = pattern.nodes().map(({ options }) => options as Partial<Address>)
  return [...started.map(startupAddress), ...known].map(({ host, port }) => ({
    host: host ?? '127.0.0.1',
    port: Number(port ?? 6379),
  }))
}

/** `{ host, port }`, a port, or text: a URL, `host:port`, a port, a host. */
function startupAddress(node: StartupNode): Partial<Address> {
  if (typeof node === 'object') return node
  if (typeof node === 'number' || /^\d+$/.test(node)) return { port: Number(node) }
  if (!node.includes('://')) return node.includes(':') ? addressOf(node) : { host: node }
  const { hostname, port } = new URL(node)
  return { host: hostname.replace(/^\[|\]$/g, ''), ...(port === '' ? {} : { port: Number(port) }) }
}

/** What the client puts in front of every key. A Cluster client takes it from its nodes as well. */
export function ioredisPrefix(client: IoredisClient): string {
  const { options } = client as unknown as Cluster
  const { keyPrefix = '' }: Options = { ...options.redisOptions, ...options }
  return typeof keyPrefix === 'string' ? keyPrefix : Buffer.from(keyPrefix).toString()
}

/**
 * One connection that does not come back by itself: nothing waits in a queue, nothing is sent
 * twice, nothing is sent late. The database is selected by `open`, because ioredis goes on in
 * database 0 when its own SELECT is refused.
 */
function safeOptions({ connectTimeoutMs }: PortOptions): object {
  return {
    lazyConnect: true,
    retryStrategy: null,
    sentinelRetryStrategy: null,
    failoverDetector: false,
    reconnectOnError: null,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    enableAutoPipelining: false,
    connectTimeout: connectTimeoutMs,
    disconnectTimeout: 1,
    commandTimeout: undefined,
    blockingTimeout: undefined,
    socketTimeout: undefined,
    keepAlive: 10_000,
    noDelay: true,
    db: 0,
    keyPrefix: '',
    role: 'master',
    monitor: false,
    readOnly: false,
    stringNumbers: false,
    replyMapping: 'legacy',
    showFriendlyErrorStack: false,
    scripts: undefined,
    himportFieldsets: undefined,
  }
}

/** What every take, release and renewal sends, with twenty arguments and more. */
const SCRIPTS = new Set(['evalsha', 'eval'])

/**
 * Most commands in one write. The server works on one write while the next one is made; with all in
 * one, each of the two would stand still while the other works.
 */
const WRITTEN_TOGETHER = 16

class IoredisConnection implements Connection {
  readonly #redis: Redis
  readonly #watcher: Watcher
  readonly #db: number
  readonly #purpose: Purpose
  readonly #sendFramed: ReturnType<typeof framedSender>
  #problem: unknown
  #isOpen = false
  #ended = false
  /** Commands that are collected for the next write. */
  #collected = 0

  constructor(redis: Redis, watcher: Watcher, db: number, purpose: Purpose) {
    this.#redis = redis
    this.#watcher = watcher
    this.#db = db
    this.#purpose = purpose
    this.#sendFramed = framedSender(redis)
    redis.on('error', (error: unknown) => {
      this.#problem = error
      // After a broken answer the library no longer knows which command the next one belongs to.
      if (this.#isOpen) watcher.lost(error)
    })
    redis.on('close', () => this.#lost())
    redis.on('end', () => {
      this.#ended = true
      this.#lost()
    })
    const message = (channel: string, text: string): void => watcher.message(channel, text)
    redis.on(purpose === 'shard' ? 'smessage' : 'message', message)
  }

  async open(): Promise<void> {
    try {
      await this.#redis.connect()
    } catch (error) {
      // It only says that the connection was closed; why was said before.
      throw failureOf(this.#problem ?? error, false)
    }
    if (this.#db !== 0) await this.#redis.call('select', [this.#db])
    // Without its usual greeting, version 5 is ready before the server has answered AUTH.
    else if (this.#redis.options.disableClientInfo) await this.#redis.call('ping', [])
    // Version 5 also says that it is ready after AUTH was refused.
    if (this.#problem !== undefined) throw failureOf(this.#problem, false)
    this.#isOpen = true
  }

  send(name: string, args: readonly (string | number)[], asking: boolean): Promise<unknown> {
    const { status } = this.#redis
    if (status !== 'ready') return Promise.reject(new NotSent(`the connection is ${status}`))
    const { stream } = this.#redis
    if (stream) this.#collect(stream)
    // What is wrong with it, the command behind it is told as well.
    if (asking) this.#redis.call('asking', []).catch(() => {})
    return SCRIPTS.has(name) ? this.#sendFramed(name, args) : this.#redis.call(name, args)
  }

  /**
   * The first command of a tick is written at once: mostly it is the only one, and somebody waits
   * for it. Those behind it go in a few writes to the system, where the library makes one for each.
   */
  #collect(stream: Stream): void {
    this.#collected += 1
    if (this.#collected === 1) {
      process.nextTick(() => {
        if (this.#collected > 1) stream.uncork()
        this.#collected = 0
      })
    } else if (this.#collected === 2) {
      stream.cork()
    } else if (this.#collected % WRITTEN_TOGETHER === 0) {
      stream.uncork()
      stream.cork()
    }
  }

  subscribe(channel: string): Promise<unknown> {
    const name = this.#purpose === 'shard' ? 'ssubscribe' : 'subscribe'
    return this.send(name, [channel], false)
  }

  destroy(): void {
    // A second farewell would wait for a socket that is gone, with a timer.
    if (!this.#ended && this.#redis.status !== 'end') this.#redis.disconnect()
    this.#redis.stream?.destroy()
  }

  #lost(): void {
    this.#watcher.lost(this.#problem ?? new Error('the server closed the connection'))
  }
}
