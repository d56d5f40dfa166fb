import { hostname } from 'node:os'
import type { Clock, Random } from './core/clock.ts'
import type { CoreParts } from './core/core.ts'
import type { Engine } from './core/engine.ts'
import { UnsupportedError } from './core/errors.ts'
import { Holdfast } from './core/holdfast.ts'
import {
  checkObject,
  checkWhole,
  DEFAULT_LEASE,
  type LeaseOptions,
  leaseSettings,
  MAX_MS,
  show,
} from './core/options.ts'
import { memory } from './engines/memory/index.ts'
import type { QuorumOptions } from './engines/quorum/index.ts'
import type { RedisOptions } from './engines/redis/index.ts'
import { systemClock, systemRandom } from './system/clock.ts'

export type { About } from './core/about.ts'
export type { Clock, Random, Timer } from './core/clock.ts'
export type * from './core/engine.ts'
export {
  AcquireTimeoutError,
  EngineError,
  type ErrorCode,
  HoldfastError,
  LeaseLostError,
  type LossReason,
  type NodeVote,
  type Outcome,
  QuorumError,
  ShapeError,
  UnsupportedError,
} from './core/errors.ts'
export type { HoldfastEvents, Listener } from './core/events.ts'
export type {
  HolderReport,
  Holdfast,
  ListOptions,
  LockReport,
  WaiterReport,
} from './core/holdfast.ts'
export type { Lease, LeaseState } from './core/lease.ts'
export type { Mutex } from './core/mutex.ts'
export type { AcquireOptions, LeaseOptions } from './core/options.ts'

/** Options of a Holdfast; the lease options are defaults for all of its locks. */
export interface HoldfastOptions extends LeaseOptions {
  /**
   * How long a call keeps trying to reach an engine that does not answer: 1 to 2147483647, 5000 by
   * default. Waiting in a line is not limited by it.
   */
  readonly requestTimeoutMs?: number
  /** For tests: another clock than the system's. The engine must go by the same one. */
  readonly clock?: Clock
  /** For tests: another source of chance than the system's. */
  readonly random?: Random
}

/** A Holdfast on an engine that you made, such as `redis(client)` from `holdfast/redis`. */
export function createHoldfast(options: HoldfastOptions & { readonly engine: Engine }): Holdfast {
  const parts = readOptions(options)
  const { engine } = options
  if (typeof (engine as Partial<Engine> | undefined)?.acquire !== 'function') {
    throw new TypeError(
      `engine must be an engine, got ${show(engine)}. ` +
        'Wrap a Redis client with redis(client) from "holdfast/redis".',
    )
  }
  return new Holdfast({ ...parts, engine })
}

/**
 * Connects to the engine that a URL names: `redis://[user:password@]host[:port][/database]`,
 * `rediss://` for TLS, `valkey://` and `valkeys://` likewise, `sqlite:./locks.db` for the processes
 * of one machine, `memory:` for locks within this process, or
 * `quorum:redis://a,redis://b,redis://c` for a majority of 3, 5, 7 or 9 servers, with the option
 * `nodeTimeoutMs`. Rejects with `EngineError` when the engine cannot be reached, and with TypeError
 * when the URL cannot be read.
 */
export async function connect(
  url: string,
  options: HoldfastOptions &
    Omit<RedisOptions, 'clock'> &
    Pick<QuorumOptions, 'nodeTimeoutMs'> = {},
): Promise<Holdfast> {
  if (typeof url !== 'string') throw new TypeError(`url must be a string, got ${show(url)}.`)
  // Read first: a wrong option must not leave a connection behind.
  const parts = readOptions(options)
  return new Holdfast({ ...parts, engine: await engineFor(url, options) })
}

function readOptions(options: HoldfastOptions): Omit<CoreParts, 'engine'> {
  checkObject('options', options)
  const { requestTimeoutMs = 5000, clock = systemClock, random = systemRandom } = options
  checkWhole('requestTimeoutMs', requestTimeoutMs, 1, MAX_MS)
  const defaults = leaseSettings(options, DEFAULT_LEASE)
  return { clock, random, defaults, requestTimeoutMs, host: hostname(), pid: process.pid }
}

type EngineOptions = HoldfastOptions & RedisOptions & Pick<QuorumOptions, 'nodeTimeoutMs'>

async function engineFor(url: string, options: EngineOptions): Promise<Engine> {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase()
  switch (scheme) {
    case 'memory':
      return memory(options.clock === undefined ? {} : { clock: options.clock })
    case 'redis':
    case 'rediss':
    case 'valkey':
    case 'valkeys': {
      // Loaded when asked for, so that other engines do not pay for a Redis client.
      const { connectRedis } = await import('./engines/redis/index.ts')
      return await connectRedis(url, options)
    }
    case 'sqlite': {
      const { connectSqlite } = await import('./engines/sqlite/index.ts')
      return await connectSqlite(url, options)
    }
    case 'quorum':
      return await quorumFor(url.slice('quorum:'.length), options)
    default:
      throw new UnsupportedError(
        `No engine serves ${scheme === undefined ? 'a URL without a scheme' : `${scheme}: URLs`}. ` +
          'Use redis://, rediss://, valkey://, valkeys://, sqlite:, quorum: or memory:.',
      )
  }
}

/** Where one URL of a list ends: a comma may stand in a password, `://` may not. */
const BETWEEN_URLS = /,(?=[a-z][a-z0-9+.-]*:\/\/)/i

async function quorumFor(list: string, options: EngineOptions): Promise<Engine> {
  const [{ maskUrl, openRedis }, { connectQuorum }] = await Promise.all([
    import('./engines/redis/index.ts'),
    import('./engines/quorum/index.ts'),
  ])
  const urls = list.split(BETWEEN_URLS).map((url) => url.trim())
  // A node may be away when the others start.
  const engines = await Promise.all(urls.map((url) => openRedis(url, options)))
  const names = urls.map(maskUrl)
  if (new Set(names).size < names.length) {
    throw new TypeError('The quorum: URL lists a server twice. List each server once.')
  }
  const { clock, nodeTimeoutMs, random } = options
  return await connectQuorum(engines, {
    names,
    ...(clock === undefined ? {} : { clock }),
    ...(random === undefined ? {} : { random }),
    ...(nodeTimeoutMs === undefined ? {} : { nodeTimeoutMs }),
  })
}
