import type { PortOptions, RedisPort } from '../port.ts'
import { ClientPort } from './client-port.ts'
import type { Connection, Dial, Watcher } from './connection.ts'
import { failureOf, NotSent } from './failure.ts'

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
  readonly sentinels?: readonly unknown[] | null
  readonly disableClientInfo?: boolean
}

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

interface Cluster extends Omit<Redis, 'duplicate'> {
  duplicate(startupNodes: readonly never[], overrides: object): Redis
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
  const dial: Dial = (watcher) => {
    // What the user selected last is seen on the connection, not in the options.
    const db = pattern.condition?.select ?? pattern.options.db ?? 0
    const overrides = { ...safeOptions(options), enableReadyCheck: isSentinel }
    return new IoredisConnection(pattern.duplicate(overrides), watcher, db)
  }
  return new ClientPort(
    {
      client: 'ioredis',
      topology: isSentinel ? 'sentinel' : 'single',
      keyPrefix: prefixOf(pattern.options),
      dialCommands: dial,
      dialSubscriptions: dial,
    },
    options,
  )
}

function clusterPort(client: IoredisClient, options: PortOptions): RedisPort {
  const pattern = client as unknown as Cluster
  let inUse: Cluster | undefined
  let turn = 0
  const dialCommands: Dial = (watcher) => {
    const cluster = pattern.duplicate([], {
      lazyConnect: true,
      keyPrefix: '',
      scaleReads: 'master',
      // Without it, a command to a node that is just being connected to is refused.
      enableOfflineQueue: true,
      enableReadyCheck: false,
      enableAutoPipelining: false,
      clusterRetryStrategy: null,
      // A command whose answer was lost would be sent again.
      retryDelayOnFailover: 0,
      redisOptions: { ...safeOptions(options), lazyConnect: false },
    })
    inUse = cluster as unknown as Cluster
    return new IoredisConnection(cluster, watcher, 0)
  }
  // Every node passes on what is published at any of them, so one plain connection hears it all.
  const dialSubscriptions: Dial = (watcher) => {
    const nodes = [...(inUse?.nodes() ?? []), ...pattern.nodes()]
    const node = nodes[turn % Math.max(1, nodes.length)]
    turn += 1
    if (!node) throw new NotSent('no node of the Cluster is known yet')
    const overrides = { ...safeOptions(options), enableReadyCheck: false }
    return new IoredisConnection(node.duplicate(overrides), watcher, 0)
  }
  return new ClientPort(
    {
      client: 'ioredis',
      topology: 'cluster',
      keyPrefix: prefixOf(pattern.options),
      dialCommands,
      dialSubscriptions,
    },
    options,
  )
}

function prefixOf({ keyPrefix = '' }: Options): string {
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

class IoredisConnection implements Connection {
  readonly #redis: Redis
  readonly #watcher: Watcher
  readonly #db: number
  #problem: unknown
  #isOpen = false
  #ended = false
  #isCorked = false

  constructor(redis: Redis, watcher: Watcher, db: number) {
    this.#redis = redis
    this.#watcher = watcher
    this.#db = db
    redis.on('error', (error: unknown) => {
      this.#problem = error
      // After a broken answer the library no longer knows which command the next one belongs to.
      if (this.#isOpen && !this.isCluster) watcher.lost(error)
    })
    redis.on('close', () => this.#lost())
    redis.on('end', () => {
      this.#ended = true
      this.#lost()
    })
    redis.on('message', (channel, text) => watcher.message(channel, text))
  }

  get isCluster(): boolean {
    return 'isCluster' in this.#redis && this.#redis.isCluster === true
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
    if (this.#problem !== undefined && !this.isCluster) {
      throw failureOf(this.#problem, false)
    }
    this.#isOpen = true
  }

  send(name: string, args: readonly (string | number)[]): Promise<unknown> {
    const { status } = this.#redis
    if (status !== 'ready') return Promise.reject(new NotSent(`the connection is ${status}`))
    const { stream } = this.#redis
    if (!this.#isCorked && stream) this.#cork(stream)
    return this.#redis.call(name, args)
  }

  /** One write to the system for all commands of a tick, where the library makes one for each. */
  #cork(stream: Stream): void {
    this.#isCorked = true
    stream.cork()
    process.nextTick(() => {
      this.#isCorked = false
      stream.uncork()
    })
  }

  subscribe(channel: string): Promise<unknown> {
    return this.send('subscribe', [channel])
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
