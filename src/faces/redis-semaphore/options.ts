import { type LeaseSettings, leaseSettings } from '../../core/options.ts'
import type { LostLockError } from './errors.ts'
import type { Lock } from './lock.ts'

/** Times of a lock, in milliseconds. */
export interface TimeoutOptions {
  /** Life of the lock, renewed while it is refreshed: 20 to 2147483647, 10000 by default. */
  lockTimeout?: number
  /** How long `acquire` and `tryAcquire` wait: 10000 by default, `Infinity` for ever. */
  acquireTimeout?: number
  /** With `retryInterval` another limit of the wait; 1 tries once. `Infinity` by default. */
  acquireAttemptsLimit?: number
  /** The time that goes with one attempt: 10 by default. Nobody polls. */
  retryInterval?: number
  /** 0 turns renewal off. Any other number leaves its times to Holdfast. */
  refreshInterval?: number
}

/** What is called when a lock that is refreshed was lost. */
export type LockLostCallback = (this: Lock, error: LostLockError) => void

/** Options of a lock. */
export interface LockOptions extends TimeoutOptions {
  /** @deprecated Use `identifier` and `acquiredExternally: true`. */
  externallyAcquiredIdentifier?: string
  /** @deprecated Has no effect. Use `identifier`. */
  identifierSuffix?: string
  /** Names the holder, to take the lock over elsewhere with `acquiredExternally`. Not empty. */
  identifier?: string
  /** Take over the lock that `identifier` holds, instead of acquiring one. */
  acquiredExternally?: true
  /** By default the error is thrown, as an unhandled rejection. */
  onLockLost?: LockLostCallback
}

/** What times are unless told otherwise. */
export const defaultTimeoutOptions: Required<Omit<TimeoutOptions, 'refreshInterval'>> = {
  lockTimeout: 10_000,
  acquireTimeout: 10_000,
  acquireAttemptsLimit: Number.POSITIVE_INFINITY,
  retryInterval: 10,
}

/** The options as the door works with them. */
export interface Settings {
  readonly lease: LeaseSettings
  readonly patienceMs: number
  readonly identifier: string | undefined
  readonly external: boolean
  readonly onLockLost: LockLostCallback
}

/** Throws Error like the original for identifiers that contradict, RangeError for wrong numbers. */
export function readOptions(options: LockOptions, defaults: LeaseSettings): Settings {
  checkIdentifiers(options)
  const { acquiredExternally, externallyAcquiredIdentifier } = options
  const times = { ...defaultTimeoutOptions, ...withoutGaps(options) }
  const { refreshInterval = times.lockTimeout } = times
  return {
    lease: leaseSettings({ ttlMs: times.lockTimeout, renew: refreshInterval > 0 }, defaults),
    patienceMs: patienceMs(times),
    identifier: options.identifier ?? (externallyAcquiredIdentifier || undefined),
    external: Boolean(acquiredExternally || externallyAcquiredIdentifier),
    onLockLost: options.onLockLost ?? throwIt,
  }
}

function checkIdentifiers(options: LockOptions): void {
  const { identifier, acquiredExternally, externallyAcquiredIdentifier } = options
  if (identifier !== undefined && (!identifier || typeof identifier !== 'string')) {
    throw new Error('identifier must be not empty random string')
  }
  if (acquiredExternally && !identifier) {
    throw new Error('acquiredExternally=true meanless without custom identifier')
  }
  if (externallyAcquiredIdentifier && (identifier || acquiredExternally)) {
    throw new Error('Invalid usage. Use custom identifier and acquiredExternally: true')
  }
}

/** As long as the original would try; one attempt waits not at all. */
function patienceMs(times: typeof defaultTimeoutOptions): number {
  const { acquireTimeout, acquireAttemptsLimit, retryInterval } = times
  const tries = acquireAttemptsLimit > 1 ? acquireAttemptsLimit - 1 : 0
  // Without a limit of attempts their interval says nothing, not even 0.
  const triesMs = tries === Number.POSITIVE_INFINITY ? tries : tries * retryInterval
  return Math.max(0, Math.ceil(Math.min(acquireTimeout, triesMs)))
}

function withoutGaps(options: TimeoutOptions): TimeoutOptions {
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given) as TimeoutOptions
}

function throwIt(error: LostLockError): never {
  throw error
}
