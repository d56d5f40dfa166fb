import * as door from 'holdfast/redlock'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { holdfastOf } from '../../../src/faces/holdfasts.ts'
import { startProxy } from '../../support/proxy.ts'
import { type RunningServer, startServer } from '../../support/servers.ts'
import { until } from '../../support/until.ts'
import { failure, Setting } from '../setting.ts'

const { ExecutionError, Redlock } = door

describe('holdfast/redlock differs:', () => {
  let setting: Setting

  beforeAll(async () => {
    setting = await Setting.start()
  })

  afterAll(async () => {
    await setting.stop()
  })

  it('a routine whose lock was taken away is told before the duration is over', async () => {
    const { client } = setting
    const name = setting.name()
    const redlock = new Redlock([client])
    let told: unknown
    const using = redlock.using([name], 60_000, { automaticExtensionThreshold: 500 }, async () => {
      await client.set(name, 'other')
      return 'result'
    })
    expect(await failure(using)).toMatchObject({
      name: 'ExecutionError',
      cause: { code: 'HOLDFAST_LEASE_LOST', reason: 'refused' },
    })
    const other = setting.name()
    const stolen = redlock.using([other], 1500, async (signal) => {
      await client.set(other, 'other')
      await until(() => signal.aborted, { what: 'the signal' })
      told = signal.error
      throw new Error('mine')
    })
    // The routine's own error is not hidden by the loss.
    expect(await failure(stolen)).toMatchObject({ message: 'mine' })
    expect(told).toBeInstanceOf(ExecutionError)
    expect(await client.get(other)).toBe('other')
  })

  it('a routine is told in time when the server hangs', async () => {
    const own = await startServer()
    const client = new Redis(own.port, '127.0.0.1')
    try {
      const using = new Redlock([client]).using([setting.name()], 1500, async (signal) => {
        const from = performance.now()
        own.pause()
        await until(() => signal.aborted, { what: 'the signal' })
        return performance.now() - from
      })
      const settled = failure(using)
      await until(() => settled.then(() => true), { what: 'the end of it', timeoutMs: 20_000 })
      expect(await settled).toMatchObject({ cause: { reason: 'expired' } })
    } finally {
      own.resume()
      client.disconnect()
      await own.stop()
    }
  })

  it('a lost reply does not lock out the one that asked', async () => {
    const proxy = await startProxy({ targetPort: setting.server.port })
    const client = new Redis(proxy.port, '127.0.0.1')
    try {
      const redlock = new Redlock([client], { retryCount: 0 })
      await (await redlock.acquire([setting.name()], 5000)).release()
      proxy.cutAfterServer('evalsha')
      const lock = await redlock.acquire([setting.name()], 60_000)
      await lock.release()
    } finally {
      client.disconnect()
      await proxy.stop()
    }
  })

  it('an extension never shortens', async () => {
    const { client } = setting
    const name = setting.name()
    const lock = await new Redlock([client]).acquire([name], 60_000)
    await (await lock.extend(1000)).extend(2000)
    expect(await client.pttl(name)).toBeGreaterThan(30_000)
  })

  it('a lock that was acquired costs this process nothing', async () => {
    const { client } = setting
    const redlock = new Redlock([client])
    const lock = await redlock.acquire([setting.name(), setting.name()], 60_000)
    await lock.extend(60_000)
    expect(holdfastOf([client]).core.renewal.tended).toEqual([])
  })

  it('a larger drift factor counts, a smaller one does not', async () => {
    const redlock = new Redlock([setting.client])
    const left = async (driftFactor: number) => {
      const lock = await redlock.acquire([setting.name()], 10_000, { driftFactor })
      return lock.expiration - Date.now()
    }
    expect(await left(0.5)).toBeLessThanOrEqual(5000 - 2)
    expect(await left(0)).toBeLessThanOrEqual(9900)
  })

  it('what makes no sense is refused', async () => {
    const { client } = setting
    const redlock = new Redlock([client])
    await expect(redlock.acquire([], 5000)).rejects.toThrow('at least one resource')
    await expect(redlock.acquire([''], 5000)).rejects.toThrow(RangeError)
    await expect(redlock.acquire(['a'], 19)).rejects.toThrow('ttlMs must be a whole number from 20')
    expect(() => new Redlock([client], {}, { acquireScript: () => '' })).toThrow(
      'acquireScript cannot be replaced',
    )
    expect(() => new Redlock([{} as Redis])).toThrow(TypeError)
    expect(() => new Redlock([client, setting.other()])).toThrow('A quorum has 3, 5, 7, 9 nodes')
  })

  it('a key that holds no lock is a failure at once, with its reason', async () => {
    const name = setting.name()
    await setting.client.hset(name, 'field', 'value')
    const error = await failure(new Redlock([setting.client]).acquire([name], 5000))
    expect(error).toMatchObject({ name: 'ExecutionError', cause: { name: 'ShapeError' } })
  })
})

describe('holdfast/redlock on several servers', () => {
  let servers: RunningServer[]
  let clients: Redis[]
  const opened: Redis[] = []

  beforeAll(async () => {
    servers = await Promise.all([1, 2, 3].map(() => startServer()))
    clients = connectAll()
  })

  afterEach(() => {
    for (const server of servers) server.resume()
  })

  afterAll(async () => {
    for (const client of opened) client.disconnect()
    await Promise.all(servers.map((server) => server.stop()))
  })

  function connectAll(): Redis[] {
    const made = servers.map(({ port }) => new Redis(port, '127.0.0.1'))
    opened.push(...made)
    return made
  }

  it('locks on a majority, and on all when all answer', async () => {
    const redlock = new Redlock(clients, { retryCount: 0 })
    const lock = await redlock.acquire(['quorum'], 5000)
    await until(
      async () => {
        const values = await Promise.all(clients.map((client) => client.get('quorum')))
        return values.every((value) => value !== null)
      },
      { what: 'the key on all servers' },
    )
    const stats = await lock.attempts[0]
    expect([stats?.membershipSize, stats?.quorumSize]).toEqual([3, 2])
    const error = await failure(
      new Redlock(connectAll()).acquire(['quorum'], 5000, { retryCount: 0 }),
    )
    expect(error).toBeInstanceOf(ExecutionError)
    const longer = await lock.extend(8000)
    await longer.release()
    const again = await redlock.acquire(['quorum', 'and more'], 5000)
    await again.release()
  })

  it('serves all who come at once', async () => {
    const contenders = [1, 2, 3].map(() => new Redlock(connectAll(), { retryCount: 50 }))
    const locks = await Promise.all(
      contenders.map(async (redlock) => {
        const lock = await redlock.acquire(['contended'], 10_000)
        await lock.release()
        return lock
      }),
    )
    expect(locks).toHaveLength(3)
  })

  it('works without a minority, and says which servers failed without a majority', async () => {
    const redlock = new Redlock(connectAll(), { retryCount: 0 })
    servers[0]?.pause()
    await (await redlock.acquire(['minority'], 5000)).release()
    servers[1]?.pause()
    const errors: unknown[] = []
    redlock.on('error', (error) => errors.push(error))
    const error = (await failure(redlock.acquire(['majority'], 5000))) as door.ExecutionError
    expect(error).toMatchObject({ cause: { code: 'HOLDFAST_NO_QUORUM' } })
    const stats = await error.attempts[0]
    expect(stats?.votesAgainst.size).toBeGreaterThanOrEqual(2)
    expect(errors).toEqual([error.cause])
  })
})
