import { UnsupportedError } from '../../core/errors.ts'
import { checkWhole, MAX_MS } from '../../core/options.ts'
import type { RedisClient } from '../../engines/redis/index.ts'
import type { Target } from './lock.ts'

/** The lock of a mutex. Throws Error like the original when something is missing. */
export function mutexTarget(kind: string, clients: readonly RedisClient[], key: string): Target {
  checkKey(key)
  return { clients, kind, name: `mutex:${key}`, shape: { kind: 'mutex', capacity: 1 }, permits: 1 }
}

/** The lock of a semaphore. */
export function semaphoreTarget(
  kind: string,
  clients: readonly RedisClient[],
  { key, limit, permits }: { key: string; limit: number; permits: number },
): Target {
  checkKey(key)
  checkCount('limit', limit, MAX_MS)
  checkCount('permits', permits, limit)
  const shape = { kind: 'semaphore', capacity: limit } as const
  return { clients, kind, name: `semaphore:${key}`, shape, permits }
}

/** The one client of a lock. */
export function one(client: RedisClient): readonly RedisClient[] {
  if (!client) throw new Error('"client" is required')
  return [client]
}

/** The clients of a lock on several servers. */
export function many(clients: readonly RedisClient[]): readonly RedisClient[] {
  if (!clients || !Array.isArray(clients)) throw new Error('"clients" array is required')
  return clients
}

/** The client of a semaphore: several servers would admit too many. */
export function onlyOne(kind: string, clients: readonly RedisClient[]): readonly RedisClient[] {
  const given = many(clients)
  if (given.length === 1) return given
  throw new UnsupportedError(
    `A ${kind} on ${given.length} independent servers lets in more holders than its limit: each ` +
      'server counts to the limit by itself, and no majority of them counts all holders. ' +
      'Use a Semaphore on one server, or a RedlockMutex.',
  )
}

function checkKey(key: string): void {
  if (!key) throw new Error('"key" is required')
  if (typeof key !== 'string') throw new Error('"key" must be a string')
}

function checkCount(option: string, count: number, most: number): void {
  if (!count) throw new Error(`"${option}" is required`)
  if (typeof count !== 'number') throw new Error(`"${option}" must be a number`)
  checkWhole(option, count, 1, most)
}
