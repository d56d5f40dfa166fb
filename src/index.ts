import { hostname } from 'node:os'
import type { Clock, Random } from './core/clock.ts'
import type { CoreParts } from './core/core.ts'
import type { Engine } from './core/engine.ts'
import { UnsupportedError } from './core/errors.ts'
import type { Finding } from './core/finding.ts'
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
import type { RedisUrlOptions } from './engines/redis/index.ts'
import { systemClock, systemRandom } from './system/clock.ts'
import { asyncContext } from './system/context.ts'
import { traces } from './system/traces.ts'
import { warn } from './system/warnings.ts'

export type { About } from './core/about.ts'
export type { AllLocks, AllMember } from './core/all.ts'
export type { AllLease } from './core/all-lease.ts'
export type { Clock, Random, Timer } from './core/clock.ts'
export type { CampaignOptions, Election, Leader, ObserveOptions } from './core/election.ts'
export type * from './core/engine.ts'
export {
  AcquireTimeoutError,
  DeadlockError,
  EngineError,
  type ErrorCode,
  HoldfastError,
  LeaseLostError,
  type LossReason,
  type NodeVote,
  type Outcome,
  QuorumError,
  ReplicaError,
  ShapeError,
  UnsupportedError,
} from './core/errors.ts'
export type { HoldfastEvents, Listener } from './core/events.ts'
export type { Expectations, Finding, Severity } from './core/finding.ts'
export type { Holdfast } from './core/holdfast.ts'
export type {
  BreakReport,
  HolderReport,
  ListOptions,
  LockReport,
  NamesOptions,
  WaiterReport,
} from './core/inspection.ts'
export type { Leadership } from './core/leadership.ts'
export type { Lease, LeaseState } from './core/lease.ts'
export type { Lock } from './core/lock.ts'
export type { Mutex } from './core/mutex.ts'
export { type OncePerOutcome, oncePer } from './core/once-per.ts'
export type {
  AcquireOptions,
  HandoverOptions,
  LeaseOptions,
  MutexOptions,
  RunOptions,
} from './core/options.ts'
export type { ReadWriteLock } from './core/read-write-lock.ts'
export type { PermitOptions, Semaphore, SemaphoreOptions } from './core/semaphore.ts'
export type { AcquireTrace, HoldTrace, RenewedPlace, RenewTrace } from './core/traces.ts'

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

/** Options of `connect`: those of a Holdfast, and those of its connections. */
export type ConnectOptions = HoldfastOptions &
  Omit<RedisUrlOptions, 'clock'> &
  Pick<QuorumOptions, 'nodeTimeoutMs'>

/**
 * Connects to the engine that a URL names: `redis://[user:password@]host[:port][/database]`,
 * `rediss://` for TLS, `valkey://` and `valkeys://` likewise, each also with `+sentinel` or
 * `+cluster`, as in `redis+sentinel://host,host/name`; `quorum:redis://a,redis://b,redis://c` for a
 * majority of 3, 5, 7 or 9 servers; `sqlite:./locks.db` for the processes of one machine, or
 * `memory:` for locks within this process. Without a URL, the environment's `HOLDFAST_URL` names
 * it; where that is unset or empty, locks are kept in the SQLite file of this user, for the
 * processes of this machine. Rejects with `EngineError` when the engine cannot be reached, with
 * `UnsupportedError` when nothing here serves the URL, and with TypeError or RangeError when the
 * URL or an option cannot be read.
 */
export function connect(): Promise<Holdfast>
export function connect(options: ConnectOptions): Promise<Holdfast>
export function connect(url: string, options?: ConnectOptions): Promise<Holdfast>
export async function connect(...given: readonly unknown[]): Promise<Holdfast> {
  const [url, options = {}] = (isUrlGiven(given) ? given : [defaultUrl(), ...given]) as [
    string,
    ConnectOptions?,
  ]
  if (typeof url !== 'string') {
    throw new TypeError(`url must be a string, got ${show(url)}. For the default, call connect().`)
  }
  // Read first: a wrong option must not leave a connection behind.
  const parts = readOptions(options)
  const engine = await engineFor(url, options)
  tellDangers(engine, { ...parts.defaults, ...parts })
  return new Holdfast({ ...parts, engine })
}

/**
 * A URL that is `undefined` was meant to be one. To take the default then would be dangerous: where
 * the caller's variable is not set, a machine would lock for itself alone.
 */
function isUrlGiven(given: readonly unknown[]): boolean {
  if (given.length === 0) return false
  const [first] = given
  return typeof first !== 'object' || first === null || first instanceof URL
}

function defaultUrl(): string {
  return process.env['HOLDFAST_URL'] || 'sqlite:'
}

/** Says what is dangerous, and makes nobody wait for it. */
function tellDangers(
  engine: Engine,
  { ttlMs, requestTimeoutMs }: { ttlMs: number; requestTimeoutMs: number },
): void {
  const told = engine.diagnose?.({ ttlMs, requestTimeoutMs, quick: true })
  const tell = (findings: readonly Finding[]): void => {
    for (const finding of findings) if (finding.severity === 'danger') warn(finding)
  }
  // What stands in the way of the look is told by the first call that needs an answer.
  told?.then(tell, () => undefined)
}

function readOptions(options: HoldfastOptions): Omit<CoreParts, 'engine'> {
  checkObject('options', options)
  const { requestTimeoutMs = 5000, clock = systemClock, random = systemRandom } = options
  checkWhole('requestTimeoutMs', requestTimeoutMs, 1, MAX_MS)
  const defaults = leaseSettings(options, DEFAULT_LEASE)
  return {
    clock,
    random,
    defaults,
    requestTimeoutMs,
    host: hostname(),
    pid: process.pid,
    context: asyncContext(),
    traces,
  }
}

type EngineOptions = HoldfastOptions & RedisUrlOptions & Pick<QuorumOptions, 'nodeTimeoutMs'>

async function engineFor(url: string, options: EngineOptions): Promise<Engine> {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase()
  // What stands behind a plus tells how the servers are found.
  switch (scheme?.replace(/^((?:redis|valkey)s?)\+(?:sentinel|cluster)$/, '$1')) {
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
          'Give connect, or HOLDFAST_URL where connect gets none, a redis://, rediss://, ' +
          'valkey://, valkeys://, sqlite:, quorum: or memory: URL.',
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
