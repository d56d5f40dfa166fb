import type { RedisClient } from '../../engines/redis/index.ts'
import { Lock } from './lock.ts'
import type { LockOptions } from './options.ts'
import { many, mutexTarget, one, onlyOne, semaphoreTarget } from './target.ts'

/** The exclusive lock `mutex:<key>`: the key that the original makes. */
export class Mutex extends Lock {
  /** Throws Error, TypeError or RangeError for a wrong argument. */
  constructor(client: RedisClient, key: string, options: LockOptions = {}) {
    super(mutexTarget('mutex', one(client), key), options)
  }
}

/** The lock `semaphore:<key>` that up to `limit` hold. Everybody must name the same limit. */
export class Semaphore extends Lock {
  /** Throws Error, TypeError or RangeError for a wrong argument. */
  constructor(client: RedisClient, key: string, limit: number, options: LockOptions = {}) {
    super(semaphoreTarget('semaphore', one(client), { key, limit, permits: 1 }), options)
  }
}

/** Takes several permits of `semaphore:<key>` at once. */
export class MultiSemaphore extends Lock {
  /** Throws Error, TypeError or RangeError for a wrong argument. */
  constructor(
    client: RedisClient,
    key: string,
    limit: number,
    permits: number,
    options: LockOptions = {},
  ) {
    super(semaphoreTarget('multi-semaphore', one(client), { key, limit, permits }), options)
  }
}

/** The exclusive lock `mutex:<key>` on a majority of 3, 5, 7 or 9 independent servers, or on one. */
export class RedlockMutex extends Lock {
  /** Throws Error, TypeError or RangeError for a wrong argument. */
  constructor(clients: readonly RedisClient[], key: string, options: LockOptions = {}) {
    super(mutexTarget('redlock-mutex', many(clients), key), options)
  }
}

/** A semaphore on one server. Several cannot keep its limit. */
export class RedlockSemaphore extends Lock {
  /** Throws `UnsupportedError` for several clients, and like `Semaphore`. */
  constructor(
    clients: readonly RedisClient[],
    key: string,
    limit: number,
    options: LockOptions = {},
  ) {
    const kind = 'redlock-semaphore'
    super(semaphoreTarget(kind, onlyOne(kind, clients), { key, limit, permits: 1 }), options)
  }
}

/** Several permits of a semaphore on one server. Several servers cannot keep its limit. */
export class RedlockMultiSemaphore extends Lock {
  /** Throws `UnsupportedError` for several clients, and like `MultiSemaphore`. */
  constructor(
    clients: readonly RedisClient[],
    key: string,
    limit: number,
    permits: number,
    options: LockOptions = {},
  ) {
    const kind = 'redlock-multi-semaphore'
    super(semaphoreTarget(kind, onlyOne(kind, clients), { key, limit, permits }), options)
  }
}
