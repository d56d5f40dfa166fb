import { GlideClient, Logger } from '@valkey/valkey-glide'
import { Redis as Ioredis6 } from 'ioredis'
import { Redis as Ioredis5 } from 'ioredis5'
import { createClient as createClient6 } from 'redis'
import { createClient as createClient5 } from 'redis5'
import { portFor, type RedisClient } from '../../src/engines/redis/clients/detect.ts'
import { type PortOptions, RedisFailure, type RedisPort } from '../../src/engines/redis/port.ts'
import { systemClock } from '../../src/system/clock.ts'

/** Where and how to connect, in words that every client understands. */
export interface Target {
  port: number
  db?: number
  keyPrefix?: string
  username?: string
  password?: string
}

/** A client as a user would make it. */
export interface UserClient {
  client: RedisClient
  connect(): Promise<unknown>
  run(name: string, ...args: string[]): Promise<unknown>
  close(): void
}

export interface ClientKind {
  title: string
  /** How the library is called when it is imported. */
  module: string
  /** Whether the library can put something in front of every key. */
  hasKeyPrefix: boolean
  make(target: Target): Promise<UserClient>
}

function ioredis(
  title: string,
  module: string,
  Redis: typeof Ioredis6,
  more: object = {},
): ClientKind {
  return {
    title,
    module,
    hasKeyPrefix: true,
    async make(target) {
      const client = new Redis({ host: '127.0.0.1', ...target, ...more, lazyConnect: true })
      client.on('error', () => {})
      return {
        client,
        connect: () => client.connect(),
        run: (name, ...args) => client.call(name, args),
        close: () => client.disconnect(),
      }
    },
  }
}

function nodeRedis(
  title: string,
  module: string,
  createClient: typeof createClient6,
  more: object = {},
): ClientKind {
  return {
    title,
    module,
    hasKeyPrefix: true,
    async make({ port, db = 0, ...rest }) {
      const client = createClient({
        socket: { host: '127.0.0.1', port },
        database: db,
        ...rest,
        ...more,
      })
      client.on('error', () => {})
      return {
        client,
        connect: () => client.connect(),
        run: (name, ...args) => client.sendCommand([name, ...args]),
        close: () => {
          if (client.isOpen) client.destroy()
        },
      }
    },
  }
}

/** GLIDE writes each error of a server to the terminal, unless it is told not to. */
Logger.init('off')

const glide: ClientKind = {
  title: 'valkey-glide 2',
  module: '@valkey/valkey-glide',
  hasKeyPrefix: false,
  async make({ port, db = 0, username, password }) {
    const client = await GlideClient.createClient({
      addresses: [{ host: '127.0.0.1', port }],
      databaseId: db,
      ...(password === undefined
        ? {}
        : { credentials: { password, ...(username === undefined ? {} : { username }) } }),
      lazyConnect: true,
    })
    return {
      client,
      connect: () => client.ping(),
      run: (name, ...args) => client.customCommand([name, ...args]),
      close: () => client.close(),
    }
  },
}

const redis5 = Ioredis5 as unknown as typeof Ioredis6
const create5 = createClient5 as unknown as typeof createClient6

/** Each supported library in each supported version, as it is by default. */
export const clientKinds: readonly ClientKind[] = [
  ioredis('ioredis 6', 'ioredis', Ioredis6),
  ioredis('ioredis 5', 'ioredis5', redis5),
  nodeRedis('node-redis 6', 'redis', createClient6),
  nodeRedis('node-redis 5', 'redis5', create5),
  glide,
]

/** The same with the version of the protocol that is not the default. */
export const clientKindsByProtocol: readonly ClientKind[] = [
  ...clientKinds,
  ioredis('ioredis 6 with RESP2', 'ioredis', Ioredis6, { protocol: 2 }),
  nodeRedis('node-redis 6 with RESP2', 'redis', createClient6, { RESP: 2 }),
  nodeRedis('node-redis 5 with RESP3', 'redis5', create5, { RESP: 3 }),
]

export interface OpenPort extends RedisPort {
  /** The user's client that the port was made from. */
  user: UserClient
  run(name: string, ...args: (string | number)[]): ReturnType<RedisPort['command']>
  [Symbol.asyncDispose](): Promise<void>
}

/** A port over a fresh client that was never connected. */
export async function openPort(
  kind: ClientKind,
  target: Target,
  options: Partial<PortOptions> = {},
): Promise<OpenPort> {
  const user = await kind.make(target)
  const port = portFor(user.client, { clock: systemClock, connectTimeoutMs: 2000, ...options })
  const run: OpenPort['run'] = (name, ...args) => port.command(name, args, { timeoutMs: 1000 })
  const dispose = async () => {
    await port.close()
    user.close()
  }
  return {
    user,
    run,
    client: port.client,
    topology: port.topology,
    keyPrefix: port.keyPrefix,
    serverOf: (...all) => port.serverOf(...all),
    servers: (...all) => port.servers(...all),
    channelFor: (...all) => port.channelFor(...all),
    command: (...all) => port.command(...all),
    subscribe: (...all) => port.subscribe(...all),
    onBreak: (listener) => port.onBreak(listener),
    onMove: (listener) => port.onMove(listener),
    close: () => port.close(),
    [Symbol.asyncDispose]: dispose,
  }
}

/** What a command failed with, and how long that took. */
export async function failureOf(
  answer: Promise<unknown>,
): Promise<{ failure: RedisFailure; afterMs: number }> {
  const start = performance.now()
  try {
    const reply = await answer
    throw new Error(`expected a failure, got ${JSON.stringify(reply)}`)
  } catch (error) {
    if (!(error instanceof RedisFailure)) throw error
    return { failure: error, afterMs: performance.now() - start }
  }
}
