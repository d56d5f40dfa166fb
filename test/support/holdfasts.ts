import {
  connect,
  createHoldfast,
  type Holdfast,
  type HoldfastEvents,
  type HoldfastOptions,
  type Lease,
} from 'holdfast'
import { type RedisOptions, redis } from 'holdfast/redis'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { acquire, inspect, release, renew } from '../../src/engines/redis/scripts.generated.ts'
import type { ProxiedRequest } from './proxy.ts'
import type { RunningServer } from './servers.ts'

/** How a user makes a Holdfast on Redis. */
export const ways = ['a URL', 'ioredis', 'node-redis'] as const
export type Way = (typeof ways)[number]

/** The ways that differ in the client; a URL is served by ioredis. */
export const clients = ['ioredis', 'node-redis'] as const satisfies readonly Way[]

export interface Place {
  port: number
  db?: number
  /** What the client itself puts before every key; a URL cannot say it. */
  keyPrefix?: string
}

export type Settings = Omit<HoldfastOptions, 'clock'> & Omit<RedisOptions, 'clock'>

export interface Opened {
  readonly holdfast: Holdfast
  /** The events so far, in order, each as "name: detail". */
  readonly told: string[]
  [Symbol.asyncDispose](): Promise<void>
}

/** Opens a Holdfast the way a user would, and keeps what it tells. */
export async function open(way: Way, place: Place, settings: Settings = {}): Promise<Opened> {
  const { port, db = 0, keyPrefix } = place
  if (way === 'a URL') {
    const holdfast = await connect(`redis://127.0.0.1:${port}/${db}`, settings)
    return opened(holdfast, () => {})
  }
  const prefix = keyPrefix === undefined ? {} : { keyPrefix }
  if (way === 'ioredis') {
    const client = new Redis({ host: '127.0.0.1', port, db, ...prefix, lazyConnect: true })
    return opened(createHoldfast({ engine: redis(client, settings), ...settings }), () =>
      client.disconnect(),
    )
  }
  const socket = { host: '127.0.0.1', port }
  const client = createClient({ socket, database: db, ...prefix })
  return opened(createHoldfast({ engine: redis(client, settings), ...settings }), () => {})
}

function opened(holdfast: Holdfast, after: () => void): Opened {
  const told: string[] = []
  const note = <K extends keyof HoldfastEvents>(
    event: K,
    detail: (event: HoldfastEvents[K]) => string,
  ) => holdfast.on(event, (each) => told.push(`${event}: ${detail(each)}`))
  note('waiting', ({ name }) => name)
  note('granted', ({ lease }) => lease.name)
  note('jeopardy', ({ lease }) => lease.name)
  note('secured', ({ lease }) => lease.name)
  note('lost', ({ error }) => error.reason)
  note('released', ({ lease }) => lease.name)
  note('error', ({ error }) => (error instanceof Error ? error.message : String(error)))
  return {
    holdfast,
    told,
    async [Symbol.asyncDispose]() {
      await holdfast.close()
      after()
    },
  }
}

/** The lease of `tryAcquire`, which must not be null. */
export async function take(holdfast: Holdfast, name: string, settings = {}): Promise<Lease> {
  const lease = await holdfast.mutex(name).tryAcquire(settings)
  if (lease === null) throw new Error(`expected to take ${name}, but it is taken`)
  return lease
}

const scripts = { acquire, inspect, release, renew }

/** Tells requests that run one of the engine's scripts, whichever way it is sent. */
export function script(name: keyof typeof scripts): (request: ProxiedRequest) => boolean {
  const { sha1, source } = scripts[name]
  return ({ args: [, first] }) => first === sha1 || first === source
}

/** Puts the engine's scripts into the server's cache, so that each call is one request. */
export async function loadScripts(server: RunningServer): Promise<void> {
  for (const { source } of Object.values(scripts)) await server.call('script', 'load', source)
}

/** How often a server ran a command since it was started, as far as clients sent it. */
export async function timesRun(server: RunningServer, command: string): Promise<number> {
  const stats = await server.cli('info', 'commandstats')
  return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(stats)?.[1] ?? 0)
}
