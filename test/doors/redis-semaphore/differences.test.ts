import * as door from 'holdfast/redis-semaphore'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer } from '../../support/servers.ts'
import { until } from '../../support/until.ts'
import { failure, Setting, thrown } from '../setting.ts'

const { Mutex, Semaphore } = door
const ONCE = { acquireAttemptsLimit: 1 }

describe('holdfast/redis-semaphore differs:', () => {
  let setting: Setting

  beforeAll(async () => {
    setting = await Setting.start()
  })

  afterAll(async () => {
    await setting.stop()
  })

  it('a semaphore on several servers is refused, with the reason', () => {
    const clients = [setting.client, setting.other(), setting.other()]
    for (const make of [
      () => new door.RedlockSemaphore(clients, 'key', 2),
      () => new door.RedlockMultiSemaphore(clients, 'key', 2, 1),
    ]) {
      const [name, message] = thrown(make)
      expect(name).toBe('UnsupportedError')
      expect(message).toContain('lets in more holders than its limit')
    }
  })

  it('nobody ends the lock of another by a shorter time of its own', async () => {
    const key = setting.name()
    const long = new Semaphore(setting.client, key, 1, { lockTimeout: 60_000 })
    await long.acquire()
    const short = { ...ONCE, lockTimeout: 50 }
    const from = performance.now()
    await until(() => performance.now() - from > 200, { what: 'the shorter time to pass' })
    expect(await new Semaphore(setting.client, key, 1, short).tryAcquire()).toBe(false)
    expect(await setting.client.pttl(`semaphore:${key}`)).toBeGreaterThan(30_000)
    await long.release()
  })

  it('a server that hangs is a loss in time, and no unhandled rejection', async () => {
    const own = await startServer()
    const client = new Redis(own.port, '127.0.0.1')
    try {
      const lost: door.LostLockError[] = []
      const onLockLost = (error: door.LostLockError) => lost.push(error)
      const mutex = new Mutex(client, 'key', { lockTimeout: 1000, onLockLost })
      await mutex.acquire()
      own.pause()
      await until(() => !mutex.isAcquired, { what: 'the lock to be over' })
      await until(() => lost.length > 0, { what: 'the call' })
      expect(lost[0]).toBeInstanceOf(door.LostLockError)
      expect(lost[0]?.cause).toMatchObject({ code: 'HOLDFAST_LEASE_LOST', reason: 'expired' })
    } finally {
      own.resume()
      client.disconnect()
      await own.stop()
    }
  })

  it('a lock that is not refreshed is over when its time is', async () => {
    const options = { lockTimeout: 100, refreshInterval: 0 }
    const mutex = new Mutex(setting.client, setting.name(), options)
    await mutex.acquire()
    await until(() => !mutex.isAcquired, { what: 'the lock to be over' })
  })

  it('one identifier used twice is two holders', async () => {
    const key = setting.name()
    const make = () => new Mutex(setting.client, key, { ...ONCE, identifier: 'worker 1 ~#' })
    const [one, two] = [make(), make()]
    expect([await one.tryAcquire(), await two.tryAcquire()]).toEqual([true, false])
    const semaphores = [1, 2, 3].map(
      () => new Semaphore(setting.client, key, 2, { ...ONCE, identifier: 'same' }),
    )
    const taken = await Promise.all(semaphores.map((semaphore) => semaphore.tryAcquire()))
    expect(taken.filter(Boolean)).toHaveLength(2)
    // The identifier still takes the lock over.
    const heir = { identifier: 'worker 1 ~#', acquiredExternally: true } as const
    const third = new Mutex(setting.other(), key, heir)
    expect(await third.tryAcquire()).toBe(true)
    await third.release()
    expect(await two.tryAcquire()).toBe(true)
  })

  it('an object has another identifier each time it acquires', async () => {
    const mutex = new Mutex(setting.client, setting.name())
    const { identifier } = mutex
    await mutex.acquire()
    expect(mutex.identifier).toBe(identifier)
    await mutex.release()
    await mutex.acquire()
    expect(mutex.identifier).not.toBe(identifier)
  })

  it('an object that asks twice at once holds once', async () => {
    const key = setting.name()
    const semaphore = new Semaphore(setting.client, key, 2, ONCE)
    await Promise.all([semaphore.acquire(), semaphore.acquire()])
    await semaphore.release()
    const all = new door.MultiSemaphore(setting.client, key, 2, 2)
    await all.acquire()
    await all.release()
  })

  it('whoever waits is served in order', async () => {
    const key = setting.name()
    const holder = new Mutex(setting.client, key)
    await holder.acquire()
    const order: number[] = []
    const waits: Promise<void>[] = []
    for (const number of [1, 2, 3]) {
      const mutex = new Mutex(setting.client, key)
      waits.push(
        mutex.acquire().then(() => {
          order.push(number)
          return mutex.release()
        }),
      )
      const line = `{mutex:${key}}~line`
      await until(async () => (await setting.client.zcard(line)) === number, { what: 'the line' })
    }
    await holder.release()
    await Promise.all(waits)
    expect(order).toEqual([1, 2, 3])
  })

  it('everybody must name the same limit', async () => {
    const key = setting.name()
    await new Semaphore(setting.client, key, 2).acquire()
    const error = await failure(new Semaphore(setting.client, key, 3).acquire())
    expect(error).toMatchObject({ name: 'ShapeError' })
  })

  it('numbers that make no sense are refused', () => {
    const { client } = setting
    expect(() => new Mutex(client, 'key', { lockTimeout: 5 })).toThrow('ttlMs must be')
    expect(() => new Semaphore(client, 'key', 1.5)).toThrow('limit must be a whole number')
    expect(() => new door.MultiSemaphore(client, 'key', 2, 3)).toThrow('permits must be')
    expect(() => new Mutex({} as Redis, 'key')).toThrow(TypeError)
    expect(() => new Mutex(client, 'k'.repeat(1024))).toThrow('name must be at most')
    expect(() => new door.RedlockMutex([client, setting.other()], 'key')).toThrow('A quorum has')
  })
})
