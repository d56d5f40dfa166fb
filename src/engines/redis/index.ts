import type { Clock } from '../../core/clock.ts'
import type { Engine } from '../../core/engine.ts'
import { checkObject, checkText, checkWhole, MAX_MS } from '../../core/options.ts'
import { systemClock, systemRandom } from '../../system/clock.ts'
import { portFor, portFromUrl, type RedisClient } from './clients/detect.ts'
import { RedisEngine } from './engine.ts'
import type { PortOptions, RedisPort } from './port.ts'
import { maskUrl, parseRedisUrl } from './url.ts'

export type { RedisClient }
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
  /** For tests: another clock than the system's. */
  readonly clock?: Clock
}

/**
 * Locks on Redis or Valkey through the client you have: ioredis 5 or 6, node-redis 5 or 6. Holdfast
 * makes connections of its own after the client's pattern (address, credentials, TLS, database, key
 * prefix) and leaves the client itself alone. Throws TypeError or RangeError for wrong arguments.
 */
export function redis(client: RedisClient, options: RedisOptions = {}): Engine {
  const { port, settings } = readOptions(options)
  return new RedisEngine(portFor(client, port), settings)
}

/**
 * Connects to a `redis:`, `rediss:`, `valkey:` or `valkeys:` URL; rejects with `EngineError` when
 * there is no answer.
 */
export async function connectRedis(url: string, options: RedisOptions = {}): Promise<Engine> {
  const engine = await openRedis(url, options)
  try {
    await engine.ping()
  } catch (error) {
    await engine.close()
    throw error
  }
  return engine
}

/**
 * Like `connectRedis`, for a server that may be away now: calls reject with `EngineError` until it
 * answers.
 */
export async function openRedis(
  url: string,
  options: RedisOptions = {},
): Promise<Engine & { ping(): Promise<void> }> {
  const { port: portOptions, settings } = readOptions(options)
  const port: RedisPort = await portFromUrl(parseRedisUrl(url), portOptions)
  return new RedisEngine(port, settings)
}

function readOptions(options: RedisOptions): {
  port: PortOptions
  settings: ConstructorParameters<typeof RedisEngine>[1]
} {
  checkObject('options', options)
  const {
    prefix = 'holdfast:',
    commandTimeoutMs = 1000,
    connectTimeoutMs = 5000,
    fenceTtlMs = 86_400_000,
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
  }
}
