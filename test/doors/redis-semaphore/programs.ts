import type { LockOptions, Mutex } from 'holdfast/redis-semaphore'
import type { Redis } from 'ioredis'
import { until } from '../../support/until.ts'
import type { SemaphoreDoor } from '../originals.ts'
import { failure, type Setting, thrown } from '../setting.ts'

/** What a program works with: the library, a server, and a key of its own. */
export interface Scene {
  readonly library: SemaphoreDoor
  readonly client: Redis
  readonly setting: Setting
  readonly key: string
}

const ONCE: LockOptions = { acquireAttemptsLimit: 1 }

/** The class of the error and what it says; the original names its errors only by their class. */
async function failed(library: SemaphoreDoor, promise: Promise<unknown>): Promise<unknown[]> {
  const error = await failure(promise)
  return [
    error instanceof library.TimeoutError,
    error instanceof library.LostLockError,
    error.message,
  ]
}

/** Programs of the original's users. What they return must not depend on who serves them. */
export const programs: Record<string, (scene: Scene) => Promise<unknown>> = {
  async 'acquire and release a mutex'({ library, client, key }) {
    const mutex = new library.Mutex(client, key)
    const before = mutex.isAcquired
    const answer = await mutex.acquire()
    const value = await client.get(`mutex:${key}`)
    const ttl = await client.pttl(`mutex:${key}`)
    const during = mutex.isAcquired
    const released = await mutex.release()
    return {
      flags: [before, during, mutex.isAcquired],
      answers: [answer, released],
      value: value === mutex.identifier,
      ttl: ttl > 8000 && ttl <= 10_000,
      after: await client.exists(`mutex:${key}`),
    }
  },

  async 'find a mutex taken'({ library, client, key }) {
    const holder = new library.Mutex(client, key)
    await holder.acquire()
    const other = new library.Mutex(client, key, ONCE)
    const outcomes = [
      await other.tryAcquire(),
      await failed(library, other.acquire()),
      await failed(library, new library.Mutex(client, key, { acquireTimeout: 50 }).acquire()),
      other.isAcquired,
    ]
    // Its release does no harm.
    await other.release()
    const still = (await client.get(`mutex:${key}`)) === holder.identifier
    await holder.release()
    const free = await other.tryAcquire()
    await other.release()
    return { outcomes, still, free }
  },

  async 'wait for a mutex'({ library, client, key }) {
    const first = new library.Mutex(client, key)
    const second = new library.Mutex(client, key)
    await first.acquire()
    const waiting = second.acquire()
    await first.release()
    await waiting
    const flags = [first.isAcquired, second.isAcquired]
    await second.release()
    return flags
  },

  async 'use one mutex object again, and twice at once'({ library, client, key }) {
    const mutex = new library.Mutex(client, key, { acquireTimeout: 100 })
    await mutex.acquire()
    const twice = await mutex.tryAcquire()
    await mutex.release()
    await mutex.acquire()
    const again = (await client.get(`mutex:${key}`)) === mutex.identifier
    await mutex.release()
    await mutex.release()
    return [twice, again, mutex.isAcquired, await client.exists(`mutex:${key}`)]
  },

  async 'give up by a signal'({ library, client, key }) {
    const holder = new library.Mutex(client, key)
    await holder.acquire()
    const controller = new AbortController()
    const waiting = failure(new library.Mutex(client, key).acquire(controller.signal))
    const reason = new Error('mine')
    controller.abort(reason)
    const late = failure(new library.Mutex(client, key).tryAcquire(AbortSignal.abort(reason)))
    const same = [(await waiting) === reason, (await late) === reason]
    await holder.release()
    return same
  },

  async 'keep a mutex for longer than its time'({ library, client, key }) {
    const mutex = new library.Mutex(client, key, { lockTimeout: 300, refreshInterval: 80 })
    await mutex.acquire()
    const from = performance.now()
    await until(() => performance.now() - from > 1000, { what: 'three times its time to pass' })
    const kept = [mutex.isAcquired, (await client.get(`mutex:${key}`)) === mutex.identifier]
    await mutex.release()
    return kept
  },

  async 'let a mutex end by itself'({ library, client, key }) {
    const lost: unknown[] = []
    const onLockLost = (error: Error) => lost.push(error)
    const kept = new library.Mutex(client, key, { lockTimeout: 300, onLockLost })
    await kept.acquire()
    kept.stopRefresh()
    await until(async () => (await client.exists(`mutex:${key}`)) === 0, { what: 'its end' })
    const plain = new library.Mutex(client, key, {
      lockTimeout: 300,
      refreshInterval: 0,
      onLockLost,
    })
    await plain.acquire()
    await until(async () => (await client.exists(`mutex:${key}`)) === 0, { what: 'its end' })
    await plain.release()
    await kept.release()
    return lost
  },

  async 'hear that a mutex was lost'({ library, client, key }) {
    const told: unknown[] = []
    const mutex: Mutex = new library.Mutex(client, key, {
      lockTimeout: 600,
      refreshInterval: 100,
      onLockLost(error) {
        const own = this === mutex
        told.push(error instanceof library.LostLockError, error.message, own, this.isAcquired)
      },
    })
    await mutex.acquire()
    await client.set(`mutex:${key}`, 'other')
    await until(() => told.length > 0, { what: 'the call' })
    await mutex.release()
    return { told, key: await client.get(`mutex:${key}`) }
  },

  async 'hand a mutex over by its identifier'({ library, client, setting, key }) {
    const scheduler = new library.Mutex(client, key, { lockTimeout: 5000, refreshInterval: 0 })
    await scheduler.acquire()
    const { identifier } = scheduler
    const take: LockOptions = { identifier, acquiredExternally: true, lockTimeout: 20_000 }
    const handler = new library.Mutex(setting.other(), key, take)
    const flags = [handler.isAcquired]
    await handler.acquire()
    flags.push(handler.isAcquired, handler.identifier === identifier)
    const ttl = await client.pttl(`mutex:${key}`)
    await handler.release()
    const late = new library.Mutex(client, key, take)
    return {
      flags,
      ttl: ttl > 15_000,
      after: await client.exists(`mutex:${key}`),
      late: [await late.tryAcquire(), await failed(library, late.acquire())],
    }
  },

  async 'release a mutex that was acquired elsewhere'({ library, client, key }) {
    const scheduler = new library.Mutex(client, key, { refreshInterval: 0 })
    await scheduler.acquire()
    const { identifier } = scheduler
    const other: LockOptions = { identifier: 'other', acquiredExternally: true }
    await new library.Mutex(client, key, other).release()
    const still = await client.exists(`mutex:${key}`)
    const own: LockOptions = { externallyAcquiredIdentifier: identifier }
    await new library.Mutex(client, key, own).release()
    return [still, await client.exists(`mutex:${key}`)]
  },

  async 'fill a semaphore'({ library, client, key }) {
    const make = () => new library.Semaphore(client, key, 2, ONCE)
    const [one, two, three] = [make(), make(), make()] as const
    const taken = [await one.tryAcquire(), await two.tryAcquire(), await three.tryAcquire()]
    const error = await failed(library, three.acquire())
    const third = new library.Semaphore(client, key, 2)
    const waiting = third.acquire()
    await one.release()
    await waiting
    const flags = [one.isAcquired, two.isAcquired, three.isAcquired]
    await two.release()
    const free = await three.tryAcquire()
    await three.release()
    await third.release()
    return { taken, error, flags, free }
  },

  async 'take several permits'({ library, client, key }) {
    const make = (permits: number) => new library.MultiSemaphore(client, key, 4, permits, ONCE)
    const [three, two] = [make(3), make(2)] as const
    const plain = new library.Semaphore(client, key, 4, ONCE)
    const taken = [await three.tryAcquire(), await two.tryAcquire(), await plain.tryAcquire()]
    const error = await failed(library, two.acquire())
    await three.release()
    const free = await two.tryAcquire()
    await two.release()
    await plain.release()
    const all = make(4)
    const whole = await all.tryAcquire()
    await all.release()
    return { taken, error, free, whole }
  },

  async 'acquire a semaphore twice with one object'({ library, client, key }) {
    const twice = new library.Semaphore(client, key, 2, ONCE)
    const acquired = [await twice.tryAcquire(), await twice.tryAcquire()]
    const other = new library.Semaphore(client, key, 2, ONCE)
    const beside = await other.tryAcquire()
    await twice.release()
    const last = new library.Semaphore(client, key, 2, ONCE)
    const free = await last.tryAcquire()
    await Promise.all([other.release(), last.release()])
    return { acquired, beside, free }
  },

  async 'give wrong arguments'({ library, client, key }) {
    const none = undefined as never
    const identifier = ''
    return [
      () => new library.Mutex(none, key),
      () => new library.Mutex(client, ''),
      () => new library.Mutex(client, 5 as never),
      () => new library.Semaphore(client, key, none),
      () => new library.Semaphore(client, key, '5' as never),
      () => new library.MultiSemaphore(client, key, 5, none),
      () => new library.MultiSemaphore(client, key, 5, '5' as never),
      () => new library.RedlockMutex(none, key),
      () => new library.RedlockMutex(client as never, key),
      () => new library.RedlockSemaphore([client], key, none),
      () => new library.Mutex(client, key, { identifier }),
      () => new library.Mutex(client, key, { acquiredExternally: true }),
      () => new library.Mutex(client, key, { identifier: 'a', externallyAcquiredIdentifier: 'b' }),
    ].map(thrown)
  },

  async 'read the defaults'({ library, client, key }) {
    const named = new library.Mutex(client, key, { identifier: 'my own' })
    return [library.defaultTimeoutOptions, named.identifier]
  },

  async 'use one server as a redlock'({ library, client, key }) {
    const mutex = new library.RedlockMutex([client], key, ONCE)
    const semaphore = new library.RedlockSemaphore([client], key, 1, ONCE)
    const multi = new library.RedlockMultiSemaphore([client], `${key} multi`, 2, 2, ONCE)
    const taken: unknown[] = []
    for (const lock of [mutex, semaphore, multi]) taken.push(await lock.tryAcquire())
    const others = [
      new library.RedlockMutex([client], key, ONCE),
      new library.RedlockSemaphore([client], key, 1, ONCE),
      new library.RedlockMultiSemaphore([client], `${key} multi`, 2, 2, ONCE),
    ]
    for (const lock of others) taken.push(await failed(library, lock.acquire()))
    for (const lock of [mutex, semaphore, multi]) await lock.release()
    const free = await others[0]?.tryAcquire()
    for (const lock of others) await lock.release()
    return { taken, free }
  },
}
