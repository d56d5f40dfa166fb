import * as door from 'holdfast/redis-semaphore'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer } from '../../support/servers.ts'
import { originalSemaphore as original } from '../originals.ts'
import { failure, Setting } from '../setting.ts'
import { programs } from './programs.ts'

const ONCE = { acquireAttemptsLimit: 1 }

describe('holdfast/redis-semaphore and redis-semaphore', () => {
  let setting: Setting

  beforeAll(async () => {
    setting = await Setting.start()
  })

  afterAll(async () => {
    await setting.stop()
  })

  it.each(Object.entries(programs))('%s alike', async (_, program) => {
    const key = setting.name()
    const { client } = setting
    const expected = await program({ setting, client, key, library: original })
    await client.flushall()
    expect(await program({ setting, client, key, library: door })).toEqual(expected)
  })

  it('exclude one another on the same mutex, either way', async () => {
    const key = setting.name()
    const old = new original.Mutex(setting.client, key, ONCE)
    const young = new door.Mutex(setting.client, key)
    await old.acquire()
    expect(await new door.Mutex(setting.client, key, ONCE).tryAcquire()).toBe(false)
    const waiting = young.acquire()
    await old.release()
    await waiting
    expect(await old.tryAcquire()).toBe(false)
    await young.release()
    expect(await old.tryAcquire()).toBe(true)
    await old.release()
  })

  it.each([
    ['the original to the door', original, door],
    ['the door to the original', door, original],
  ] as const)('hand a mutex over from %s', async (_, from, to) => {
    const key = setting.name()
    const scheduler = new from.Mutex(setting.client, key, { refreshInterval: 0 })
    await scheduler.acquire()
    const { identifier } = scheduler
    const handler = new to.Mutex(setting.client, key, { identifier, acquiredExternally: true })
    await handler.acquire()
    expect(handler.isAcquired).toBe(true)
    await handler.release()
    expect(await setting.client.exists(`mutex:${key}`)).toBe(0)
  })

  it('refuse each other’s semaphores, since they are kept differently', async () => {
    const [one, two] = [setting.name(), setting.name()]
    const old = new original.Semaphore(setting.client, one, 2, ONCE)
    await old.acquire()
    const mine = await failure(new door.Semaphore(setting.client, one, 2, ONCE).acquire())
    expect(mine).toMatchObject({ name: 'ShapeError', message: expect.stringContaining('zset') })
    await old.release()
    const young = new door.Semaphore(setting.client, two, 2, ONCE)
    await young.acquire()
    const theirs = await failure(new original.Semaphore(setting.client, two, 2, ONCE).acquire())
    expect(theirs.message).toContain('WRONGTYPE')
    await young.release()
    const back = new original.Semaphore(setting.client, two, 2, ONCE)
    expect(await back.tryAcquire()).toBe(true)
    await back.release()
  })

  it('exclude one another on several servers', async () => {
    const servers = await Promise.all([1, 2, 3].map(() => startServer()))
    const connectAll = () => servers.map(({ port }) => new Redis(port, '127.0.0.1'))
    const [some, others] = [connectAll(), connectAll()]
    try {
      const old = new original.RedlockMutex(some, 'key', { acquireTimeout: 300 })
      const young = new door.RedlockMutex(others, 'key', ONCE)
      await old.acquire()
      expect(await young.tryAcquire()).toBe(false)
      await old.release()
      await young.acquire()
      expect(young.isAcquired).toBe(true)
      expect(await old.tryAcquire()).toBe(false)
      const { identifier } = young
      const heir = new door.RedlockMutex(some, 'key', { identifier, acquiredExternally: true })
      expect(await heir.tryAcquire()).toBe(true)
      await heir.release()
      await old.acquire()
      await old.release()
    } finally {
      for (const client of [...some, ...others]) client.disconnect()
      await Promise.all(servers.map((server) => server.stop()))
    }
  })
})
