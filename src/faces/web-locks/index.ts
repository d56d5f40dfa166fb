import { Holdfast } from '../../core/holdfast.ts'
import { checkObject, type LeaseOptions, show } from '../../core/options.ts'
import { systemRandom } from '../../system/clock.ts'
import { LockManager } from './manager.ts'

export type { LockManager } from './manager.ts'
export type {
  Lock,
  LockGrantedCallback,
  LockInfo,
  LockManagerSnapshot,
  LockMode,
  LockOptions,
} from './types.ts'

/** How Web Locks stand on a Holdfast. */
export interface WebLocksOptions extends Pick<LeaseOptions, 'ttlMs'> {
  /**
   * In front of every name, `web:` by default: what an origin is on the web. Managers with the same
   * prefix share their locks, and `query` tells of these only. 1 byte or more.
   */
  readonly prefix?: string
  /**
   * What `query` calls this manager, as `clientId`: 1 to 200 characters. 128 random bits by default.
   */
  readonly clientId?: string
}

/**
 * The `LockManager` of the W3C Web Locks API, `navigator.locks` in browsers, across the processes
 * and machines that share the Holdfast's engine. Each lock is the read-write lock of the same name,
 * with the prefix in front. Throws TypeError or RangeError for a wrong option, and
 * `UnsupportedError` where the engine has no read-write locks.
 */
export function webLocks(holdfast: Holdfast, options: WebLocksOptions = {}): LockManager {
  if (!(holdfast instanceof Holdfast)) {
    throw new TypeError(
      `holdfast must be a Holdfast, got ${show(holdfast)}. Make one with connect().`,
    )
  }
  checkObject('options', options)
  const { prefix = 'web:', clientId = systemRandom.identity(), ttlMs } = options
  if (prefix === '' || clientId === '') {
    throw new RangeError(`${prefix === '' ? 'prefix' : 'clientId'} must not be empty.`)
  }
  const settings = { label: clientId, ...(ttlMs === undefined ? {} : { ttlMs }) }
  // Wrong options are told here, and an engine without such locks as well.
  holdfast.readWriteLock(prefix, settings)
  return new LockManager(holdfast, { prefix, clientId, settings })
}
