import { GlideClient } from '@valkey/valkey-glide'
import { connect, createHoldfast, type Holdfast, ReplicaError } from 'holdfast'
import { type RedisOptions, redis } from 'holdfast/redis'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  clients,
  loadScripts,
  type Opened,
  open,
  script,
  take,
  timesRun,
} from '../support/holdfasts.ts'
import { startProxy } from '../support/proxy.ts'
import { connect as connectRaw } from '../support/raw-redis.ts'
import { watch } from '../support/rig.ts'
import { type RunningServer, startReplica, startServer } from '../support/servers.ts'
import { describeServers } from '../support/servers-under-test.ts'
import { until } from '../support/until.ts'

const TOO_FEW = { code: 'HOLDFAST_TOO_FEW_REPLICAS', name: 'ReplicaError' }

/** Waits until a replica confirms writes: it may have slept, or have just been linked. */
async function confirms(primary: RunningServer): Promise<void> {
  const raw = await connectRaw(primary.port)
  try {
    await until(
      async () => {
        await raw.call('set', 'probe', 1, 'px', 1)
        return Number(await raw.call('wait', 1, 100)) === 1
      },
      { what: 'the replica to confirm' },
    )
  } finally {
    raw.close()
  }
}

describeServers('replicas that must have a lease', (name) => {
  let primary: RunningServer
  let replica: RunningServer
  let opened: Opened[]
  beforeAll(async () => {
    primary = await startServer({ server: name })
    replica = await startReplica(primary)
    await loadScripts(primary)
  })
  afterAll(async () => {
    await replica.stop()
    await primary.stop()
  })
  beforeEach(async () => {
    opened = []
    await primary.call('flushall')
    await confirms(primary)
    await primary.call('config', 'resetstat')
  })
  afterEach(async () => {
    replica.resume()
    for (const each of opened.splice(0)) await each[Symbol.asyncDispose]()
  })

  async function holdfast(
    options: Parameters<typeof open>[2] = {},
    way: (typeof clients)[number] = 'ioredis',
    port = primary.port,
  ): Promise<Opened> {
    const one = await open(way, { port }, { replicas: { min: 1 }, ...options })
    opened.push(one)
    return one
  }
  const exists = async () => await primary.call('exists', 'holdfast:job')

  it.each(clients)('are asked at the grant, through %s', async (way) => {
    const { holdfast: one } = await holdfast({}, way)
    const lease = await take(one, 'job')
    expect(await replica.call('get', 'holdfast:job')).toBe(lease.identity)
    expect(await timesRun(primary, 'wait')).toBe(1)
    await lease.renew()
    expect(await timesRun(primary, 'wait')).toBe(2)
    expect(await lease.release()).toBe(true)
    // Nobody needs to be sure of a release.
    expect(await timesRun(primary, 'wait')).toBe(2)
  })

  it.each(clients)(
    'and are too few reject the grant and free the lock, through %s',
    async (way) => {
      const { holdfast: one } = await holdfast({}, way)
      replica.pause()
      const error = await one
        .mutex('job')
        .acquire()
        .catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(ReplicaError)
      expect(error).toMatchObject({
        ...TOO_FEW,
        lock: 'job',
        outcome: 'none',
        min: 1,
        confirmed: 0,
      })
      expect(String(error)).toContain('0 of 1 replicas confirmed it within 200 ms')
      expect(await exists()).toBe(0)
      await expect(one.mutex('job').tryAcquire()).rejects.toMatchObject(TOO_FEW)
      expect(await exists()).toBe(0)
      replica.resume()
      await until(async () => await one.mutex('job').tryAcquire(), {
        what: 'the replica to confirm',
      })
    },
  )

  it('let a waiter look at once when the news overtook the answer to its own look', async () => {
    await using proxy = await startProxy({ targetPort: primary.port })
    const [{ holdfast: one }, { holdfast: two }] = [
      await holdfast(),
      await holdfast({}, 'ioredis', proxy.port),
    ]
    const lease = await take(one, 'job')
    let looks = 0
    const acquires = script('acquire')
    // It asks again once its subscription is up, and that answer stays away for a while.
    proxy.blackHole('replies', (request) => acquires(request) && (looks += 1) === 2)
    const next = watch(two.mutex('job').acquire())
    await until(() => looks === 2, { what: 'the second request' })
    await until(async () => (await timesRun(primary, 'wait')) === 3, { what: 'its answer' })
    await lease.release()
    await until(() => proxy.counters.messages > 0, { what: 'the news' })
    proxy.heal({ stuck: 'deliver' })
    // The look that keeps the place alive is more than three seconds away.
    await until(() => next.settled, { what: 'a look', timeoutMs: 2500 })
    expect(next.value?.held).toBe(true)
  })

  it('speak of the very write through GLIDE too, whose connections are made anew in silence', async () => {
    const addresses = [{ host: primary.host, port: primary.port }]
    const client = await GlideClient.createClient({ addresses })
    const replicas = { min: 1, timeoutMs: 20 }
    const one = createHoldfast({ engine: redis(client, { replicas }), requestTimeoutMs: 300 })
    try {
      const lease = await take(one, 'job')
      expect(await replica.call('get', 'holdfast:job')).toBe(lease.identity)
      expect(await lease.release()).toBe(true)
      // A connection that wrote nothing gets every replica confirmed at once, paused or not.
      replica.pause()
      for (let round = 0; round < 3; round += 1) {
        const taken = one.mutex('job').tryAcquire()
        const killed = primary.call('client', 'kill', 'type', 'normal', 'skipme', 'yes')
        await expect(taken).rejects.toMatchObject({ code: expect.stringMatching(/TOO_FEW|FAILED/) })
        await killed
      }
    } finally {
      await one.close()
      client.close()
    }
  })

  it('are asked by a connection whose end makes the time of its server unknown', async () => {
    const client = new Redis(primary.port, { lazyConnect: true })
    const engine = redis(client, { replicas: { min: 1 } })
    const one = createHoldfast({ engine })
    await take(one, 'job')
    expect(engine.fenceMicros?.()).toBeGreaterThan(0)
    const all = await primary.cli('client', 'list')
    // Those of other tests too, where they are still there.
    const ids = [...all.matchAll(/^id=(\d+) .*cmd=wait\b/gm)].map(([, id = '']) => id)
    expect(ids).not.toEqual([])
    for (const id of ids) await primary.call('client', 'kill', 'id', id)
    await until(() => engine.fenceMicros?.() === undefined, { what: 'the time to be forgotten' })
    await one.close()
  })

  it('are counted: one of two is too few', async () => {
    const { holdfast: one } = await holdfast({ replicas: { min: 2, timeoutMs: 50 } })
    const two = { ...TOO_FEW, min: 2, confirmed: 1, timeoutMs: 50 }
    await expect(one.mutex('job').acquire()).rejects.toMatchObject(two)
    expect(await exists()).toBe(0)
  })

  it('and fall silent put a lease in jeopardy, until they answer again', async () => {
    const { holdfast: one, told } = await holdfast({ ttlMs: 3000 })
    const errors: unknown[] = []
    one.on('jeopardy', ({ error }) => errors.push(error))
    const lease = await take(one, 'job')
    replica.pause()
    await until(() => lease.state === 'jeopardy', { what: 'a renewal to fail' })
    expect(lease.held).toBe(true)
    expect(errors[0]).toMatchObject({ ...TOO_FEW, lock: 'job', operation: 'renew' })
    await expect(lease.renew()).rejects.toMatchObject(TOO_FEW)
    replica.resume()
    await until(() => lease.state === 'held', { what: 'the lease to be secured' })
    expect(told.filter((each) => each.startsWith('lost'))).toEqual([])
  })

  it('and stay silent let a lease end at its deadline', async () => {
    const { holdfast: one } = await holdfast({ ttlMs: 1000 })
    const lease = await take(one, 'job')
    replica.pause()
    await until(() => lease.signal.aborted, { what: 'the loss' })
    expect(lease.signal.reason).toMatchObject({ reason: 'expired', cause: TOO_FEW })
    // Its identity still stands on the primary: the next one does not get in before it is over.
    expect(lease.held).toBe(false)
  })

  it('are asked for a grant that a release made, too', async () => {
    const { holdfast: a } = await holdfast()
    const { holdfast: b, told } = await holdfast()
    const lease = await take(a, 'job')
    const next = b.mutex('job').acquire()
    await until(() => told.includes('waiting: job'), { what: 'the wait' })
    await lease.release()
    const second = await next
    expect(second.fence).toBeGreaterThan(lease.fence)
    expect(await replica.call('get', 'holdfast:job')).toBe(second.identity)

    const third = watch(a.mutex('job').acquire())
    await until(async () => (await a.inspect('job'))?.waiting === 1, { what: 'the third to wait' })
    replica.pause()
    await second.release()
    await until(() => third.settled, { what: 'the third to be refused' })
    expect(third.error).toMatchObject({ ...TOO_FEW, lock: 'job', confirmed: 0 })
    await until(async () => (await exists()) === 0, { what: 'the lock to be given back' })
  })

  it('hold up no call that needs none of them', async () => {
    const { holdfast: one } = await holdfast({ replicas: { min: 1, timeoutMs: 900 } })
    const other = await take(one, 'other')
    replica.pause()
    const acquiring = watch(one.mutex('job').acquire())
    await until(async () => (await exists()) === 1, { what: 'the write' })
    expect(await other.release()).toBe(true)
    expect(await one.inspect('other')).toBeNull()
    expect(acquiring.settled).toBe(false)
    await until(() => acquiring.settled, { what: 'the refusal' })
    expect(acquiring.error).toMatchObject(TOO_FEW)
  })

  it('are asked once for calls that come together', async () => {
    const { holdfast: one } = await holdfast()
    await take(one, 'first')
    const before = await timesRun(primary, 'wait')
    await Promise.all(Array.from({ length: 100 }, (_, at) => take(one, `lock ${at}`)))
    expect((await timesRun(primary, 'wait')) - before).toBeLessThanOrEqual(2)
  })

  it('are asked once for all that came while they were asked before', async () => {
    const { holdfast: one } = await holdfast({ replicas: { min: 1, timeoutMs: 600 } })
    replica.pause()
    const acquiring = [watch(one.mutex('job').acquire())]
    await until(async () => (await exists()) === 1, { what: 'the write' })
    for (const lock of ['second', 'third', 'fourth']) {
      acquiring.push(watch(one.mutex(lock).acquire()))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await until(() => acquiring.every(({ settled }) => settled), { what: 'all refusals' })
    for (const { error } of acquiring) expect(error).toMatchObject(TOO_FEW)
    expect(await timesRun(primary, 'wait')).toBe(2)
  })

  it('cannot be asked by a user who may not WAIT, which the error says', async () => {
    await primary.call('acl', 'setuser', 'poor', 'on', '>pw', '~*', '&*', '+@all', '-wait')
    const url = primary.url.replace('redis://', 'redis://poor:pw@')
    await using one = await connect(url, { replicas: { min: 1 }, requestTimeoutMs: 300 })
    const error = one.mutex('job').tryAcquire()
    await expect(error).rejects.toMatchObject({ code: 'HOLDFAST_ENGINE_FAILED' })
    await expect(error).rejects.toThrow(/wait/)
    await until(async () => (await exists()) === 0, { what: 'the lock to be given back' })
  })
})

describe('the option replicas', () => {
  const made: Redis[] = []
  afterAll(() => {
    for (const client of made) client.disconnect()
  })
  const make = (options: unknown): Holdfast => {
    const client = new Redis({ lazyConnect: true })
    made.push(client)
    return createHoldfast({ engine: redis(client, options as RedisOptions) })
  }

  it.each([
    [{ replicas: { min: 0 } }, /replicas\.min must be .*got 0/],
    [{ replicas: { min: 1.5 } }, /replicas\.min/],
    [{ replicas: { min: '1' } }, /replicas\.min/],
    [{ replicas: {} }, /replicas\.min/],
    [{ replicas: 1 }, /replicas must be/],
    [{ replicas: { min: 1, timeoutMs: 0 } }, /replicas\.timeoutMs/],
    [{ replicas: { min: 1, timeoutMs: 1000 } }, /replicas\.timeoutMs must be .*999.*got 1000/],
    [{ replicas: { min: 1, timeoutMs: 50 }, commandTimeoutMs: 50 }, /replicas\.timeoutMs/],
  ])('is checked: %o', (options, message) => {
    expect(() => make(options)).toThrow(message)
  })
})
