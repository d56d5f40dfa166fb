import type { Clock } from '../../core/clock.ts'
import type { Engine } from '../../core/engine.ts'
import { checkObject, checkText, checkWhole, MAX_MS } from '../../core/options.ts'
import { systemClock, systemRandom } from '../../system/clock.ts'
import { portFor, type RedisClient } from './clients/detect.ts'
import { portFromUrl, type TlsOptions } from './clients/from-url.ts'
import { RedisEngine } from './engine.ts'
import type { PortOptions } from './port.ts'
import {
  type ReplicaOptions,
  type ReplicaSettings,
  ReplicaWrites,
  replicaSettings,
} from './replicas.ts'
import type { RedisSettings } from './settings.ts'
import { maskUrl, type ParsedRedisUrl, parseRedisUrl } from './url.ts'

export { StaleFenceError } from '../../core/errors.ts'
export { type FencedWrite, fencedSet, fenceGuard } from './fenced-set.ts'
export type { RedisClient, ReplicaOptions, TlsOptions }
export { maskUrl }

/** How locks are kept on Redis. */
export interface RedisOptions {
  /**
   * In front of every lock name, `holdfast:` by default, so that lock names never meet other keys.
   * `''` makes the key the bare name, to share locks with programs that use `SET key value NX PX`.
   */
  readonly prefix?: string
  /** How long one command may take: 1 to 2147483647, 1000 by default. */
  readonly commandTimeoutMs?: number
  /** How long making a connection may take: 1 to 2147483647, 5000 by default. */
  readonly connectTimeoutMs?: number
  /**
   * How long the last fence of a lock is remembered after its last use: 1000 to 2147483647, one day
   * by default. Later fences grow even without it, unless the server's clock was set back by more.
   */
  readonly fenceTtlMs?: number
  /**
   * Reports a lease, and counts a renewal, only when this many replicas have it. Too few reject
   * with `ReplicaError`, and the lock is given back. By default no replica is asked.
   */
  readonly replicas?: ReplicaOptions
  /** For tests: another clock than the system's. */
  readonly clock?: Clock
}

/**
 * Locks on Redis or Valkey through the client you have: ioredis 5 or 6, node-redis 5 or 6, Valkey
 * GLIDE 2.3 or newer, for one server, a Cluster or Sentinels. Holdfast makes connections of its own
 * after the client's pattern (address, credentials, TLS, database, key prefix) and leaves the client
 * itself alone. Throws TypeError or RangeError for wrong arguments.
 */
export function redis(client: RedisClient, options: RedisOptions = {}): Engine {
  const { port, settings, replicas } = readOptions(options)
  const writes = replicas && new ReplicaWrites(portFor(client, port), replicas)
  return new RedisEngine(portFor(client, port), settings, writes)
}

/** Options for a URL. */
export interface RedisUrlOptions extends RedisOptions {
  /**
   * Certificates for `rediss:` and the like, where the URL does not name their files. Rejects with
   * TypeError at a URL that does not speak TLS.
   */
  readonly tls?: TlsOptions
}

/**
 * Connects to a `redis:`, `rediss:`, `valkey:` or `valkeys:` URL, for one server, with `+sentinel`
 * or with `+cluster`. Rejects with `EngineError` when there is no answer, and with TypeError when
 * the URL cannot be read.
 */
export async function connectRedis(url: string, options: RedisUrlOptions = {}): Promise<Engine> {
  const engine = await openRedis(url, options)
  try {
    await engine.ping()
  } catch (error) {
    await engine.close()
    throw error
  }
  return engine
}

/** Whoever hands in certificates means to speak TLS, and would not be told that nobody does. */
function refuseVainTls(url: string, { tls }: ParsedRedisUrl, given: TlsOptions | undefined): void {
  if (tls || given === undefined) return
  throw new TypeError(
    `The option tls is for URLs that begin with rediss or valkeys, but it came with ${maskUrl(url)}`,
  )
}

/**
 * Like `connectRedis`, for a server that may be away now: calls reject with `EngineError` until it
 * answers.
 */
export async function openRedis(
  url: string,
  options: RedisUrlOptions = {},
): Promise<
  Engine & {
    /** Rejects with `EngineError` where the server does not answer, or not as it must. */
    ping(): Promise<void>
  }
> {
  const parsed = parseRedisUrl(url)
  const asked = replicasOf(parsed)
  const { port, settings, replicas } = readOptions(
    asked === undefined ? options : { replicas: asked, ...options },
  )
  const { tls } = options
  refuseVainTls(url, parsed, tls)
  const writes = replicas && new ReplicaWrites(await portFromUrl(parsed, port, tls), replicas)
  return new RedisEngine(await portFromUrl(parsed, port, tls), settings, writes)
}

function replicasOf({ replicas, replicasTimeoutMs }: ParsedRedisUrl): ReplicaOptions | undefined {
  if (replicas === undefined) return undefined
  return {
    min: replicas,
    ...(replicasTimeoutMs === undefined ? {} : { timeoutMs: replicasTimeoutMs }),
  }
}

function readOptions(options: RedisOptions): {
  port: PortOptions
  settings: RedisSettings
  replicas: ReplicaSettings | undefined
} {
  checkObject('options', options)
  const {
    prefix = 'holdfast:',
    commandTimeoutMs = 1000,
    connectTimeoutMs = 5000,
    fenceTtlMs = 86_400_000,
    replicas,
    clock = systemClock,
  } = options
  checkText('prefix', prefix)
  checkWhole('commandTimeoutMs', commandTimeoutMs, 1, MAX_MS)
  checkWhole('connectTimeoutMs', connectTimeoutMs, 1, MAX_MS)
  checkWhole('fenceTtlMs', fenceTtlMs, 1000, MAX_MS)
  const channel = `holdfast:grants:${systemRandom.identity()}`
  return {
    port: { clock, connectTimeoutMs },
    settings: { clock, prefix, commandTimeoutMs, fenceTtlMs, channel },
    replicas: replicas === undefined ? undefined : replicaSettings(replicas, commandTimeoutMs),
  }
}
