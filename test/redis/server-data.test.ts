import { AcquireTimeoutError, ShapeError } from 'holdfast'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { loadScripts, type Opened, open, type Settings, take, ways } from '../support/holdfasts.ts'
import { connect } from '../support/raw-redis.ts'
import { watch } from '../support/rig.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { describeServers } from '../support/servers-under-test.ts'
import { until } from '../support/until.ts'

const LONGEST_MS = 2_147_483_647
const KEY = 'holdfast:job'

describeServers('data that changes under a lock', (name) => {
  let server: RunningServer
  beforeAll(async () => {
    server = await startServer({ server: name })
  })
  afterAll(() => server.stop())
  beforeEach(() => server.call('flushall'))

  const openHere = (settings: Settings = {}): Promise<Opened> =>
    open('ioredis', { port: server.port }, { ttlMs: 600, ...settings })
  const waits = async (one: Opened, times = 1): Promise<void> => {
    const joined = () => one.told.filter((each) => each === 'waiting: job').length >= times
    await until(joined, { what: 'the wait' })
  }

  it.each([
    ['in order when deleted', true, () => server.call('del', KEY)],
    // The line is gone as well: whoever looks first is the first.
    ['when flushed with everything else', false, () => server.call('flushall')],
  ])('tells the holder and serves the waiters %s', async (_, inOrder, change) => {
    await using holder = await openHere()
    await using one = await openHere()
    await using two = await openHere()
    const lease = await take(holder.holdfast, 'job', { ttlMs: 3000 })
    const order: string[] = []
    let fence = lease.fence
    const serve = (who: string, from: Opened) =>
      from.holdfast.mutex('job').run((granted) => {
        order.push(who)
        expect(granted.fence).toBeGreaterThan(fence)
        fence = granted.fence
      })
    const first = serve('first', one)
    await waits(one)
    const second = serve('second', two)
    await waits(two)
    await change()
    await Promise.all([first, second])
    expect(inOrder ? order : order.toSorted()).toEqual(['first', 'second'])
    await until(() => holder.told.includes('lost: refused'), { what: 'the holder to be told' })
    expect([lease.held, lease.signal.aborted]).toEqual([false, true])
    expect(await lease.release()).toBe(false)
  })

  it('tells the holder when somebody overwrote its value, and leaves that alone', async () => {
    await using holder = await openHere()
    await using waiter = await openHere()
    const lease = await take(holder.holdfast, 'job', { ttlMs: 3000 })
    const next = waiter.holdfast.mutex('job').acquire()
    await waits(waiter)
    await server.call('set', KEY, 'stranger')
    // Long before its own deadline: a refusal is final and needs no second opinion.
    await until(() => holder.told.some((each) => each.startsWith('lost')), { what: 'the loss' })
    expect(holder.told).toContain('lost: refused')
    expect(await lease.release()).toBe(false)
    await expect(holder.holdfast.mutex('job').acquire({ timeoutMs: 300 })).rejects.toSatisfy(
      (error) => error instanceof AcquireTimeoutError && error.occupant?.identity === 'stranger',
    )
    expect(await server.cli('get', KEY)).toBe('stranger')
    await server.call('del', KEY)
    expect((await next).fence).toBeGreaterThan(lease.fence)
  })

  it('tells everybody when the key is of another type, and leaves that alone', async () => {
    await using holder = await openHere()
    await using waiter = await openHere()
    const lease = await take(holder.holdfast, 'job', { ttlMs: 3000 })
    const next = watch(waiter.holdfast.mutex('job').acquire())
    await waits(waiter)
    await server.call('del', KEY)
    await server.call('rpush', KEY, 'not a lock')
    await until(() => holder.told.includes('lost: refused'), { what: 'the loss' })
    await until(() => next.settled, { what: 'the waiter to be told' })
    expect(next.error).toBeInstanceOf(ShapeError)
    await expect(holder.holdfast.mutex('job').tryAcquire()).rejects.toBeInstanceOf(ShapeError)
    expect(await lease.release()).toBe(false)
    expect(await server.call('lrange', KEY, 0, -1)).toEqual(['not a lock'])
  })

  it.each(['line', 'alive', 'places'])(
    'frees a released lock even where ~%s is of another type',
    async (part) => {
      await using holder = await openHere()
      await using waiter = await openHere()
      const lease = await take(holder.holdfast, 'job', { ttlMs: 60_000, renew: false })
      const next = watch(waiter.holdfast.mutex('job').acquire())
      await waits(waiter)
      await server.call('set', `{holdfast:job}~${part}`, 'not a line')
      await expect(lease.release()).rejects.toThrow('WRONGTYPE')
      expect(await server.call('exists', KEY)).toBe(0)
      await server.call('del', `{holdfast:job}~${part}`)
      await until(() => next.settled, { what: 'the waiter to be told' })
    },
  )

  it('keeps fences growing when only the fence is gone', async () => {
    await using one = await openHere()
    const lease = await take(one.holdfast, 'job')
    await server.call('del', '{holdfast:job}~fence')
    await lease.renew()
    expect(lease.held).toBe(true)
    await lease.release()
    await server.call('del', '{holdfast:job}~fence')
    expect((await take(one.holdfast, 'job')).fence).toBeGreaterThan(lease.fence)
  })

  it('works on when the scripts are forgotten before every step', async () => {
    await using holder = await openHere({ ttlMs: 5000 })
    await using waiter = await openHere({ ttlMs: 5000 })
    const forget = () => server.call('script', 'flush')
    await forget()
    const lease = await take(holder.holdfast, 'job')
    await forget()
    const next = waiter.holdfast.mutex('job').acquire()
    await waits(waiter)
    await forget()
    await lease.renew()
    await forget()
    expect((await holder.holdfast.inspect('job'))?.waiting).toBe(1)
    await forget()
    expect(await lease.release()).toBe(true)
    const granted = await next
    // Many at once, sent before the first of them is refused.
    await forget()
    const names = Array.from({ length: 50 }, (_, index) => `job ${index}`)
    const leases = await Promise.all(names.map((each) => take(holder.holdfast, each)))
    await forget()
    const released = await Promise.all(leases.map((each) => each.release()))
    expect(released).toEqual(names.map(() => true))
    expect(await granted.release()).toBe(true)
  })

  it('knows a lease again after a restart that kept the data', async () => {
    await using one = await openHere()
    const lease = await take(one.holdfast, 'job', { ttlMs: 20_000 })
    await server.restart({ keepData: true })
    await lease.renew()
    expect(await lease.release()).toBe(true)
    expect((await take(one.holdfast, 'job')).fence).toBeGreaterThan(lease.fence)
  })

  describe('with extreme times', () => {
    const left = async (key = KEY): Promise<number> => Number(await server.call('pttl', key))

    it.each([
      ['the shortest ttl', { ttlMs: 20 }, 20],
      ['the longest ttl', { ttlMs: LONGEST_MS }, LONGEST_MS],
      ['the longest delay', { ttlMs: 20, lockDelayMs: LONGEST_MS - 20 }, LONGEST_MS],
      ['the longest hold', { ttlMs: 20, minHoldMs: LONGEST_MS }, LONGEST_MS],
    ])('gives a key with %s that life, at every step', async (_, lease, lifeMs) => {
      await using one = await openHere({ ...lease, fenceTtlMs: 1000 })
      const live = async () => {
        // Read first, so that a slow machine makes it seem longer, not shorter.
        const fenceMs = await left('{holdfast:job}~fence')
        const leftMs = await left()
        expect(leftMs).toBeLessThanOrEqual(lifeMs)
        expect(leftMs === -1 || leftMs < -2).toBe(false)
        if (lifeMs === LONGEST_MS) expect(leftMs).toBeGreaterThan(LONGEST_MS - 60_000)
        // The fence is remembered no shorter than the lock is taken.
        expect(fenceMs).toBeGreaterThan(leftMs - 100)
      }
      const held = await take(one.holdfast, 'job')
      await live()
      await held.renew().catch(() => {})
      await live()
      const waiting = watch(one.holdfast.mutex('job').acquire({ timeoutMs: 200 }))
      await held.release()
      if (lifeMs < LONGEST_MS) {
        await until(() => waiting.settled, { what: 'the waiter to be granted' })
        await live()
        await waiting.value?.release()
        await until(async () => (await left()) === -2, { what: 'the lock to be free' })
      }
    })

    it('refuses other times before anything is sent', async () => {
      await using one = await openHere()
      await one.holdfast.inspect('warm-up')
      await server.call('config', 'resetstat')
      const wrong = [0, -1, 19, 0.5, 20.5, Number.NaN, Number.POSITIVE_INFINITY, LONGEST_MS + 1]
      for (const ttlMs of wrong) {
        await expect(one.holdfast.mutex('job').tryAcquire({ ttlMs })).rejects.toThrow(/ttlMs/)
      }
      for (const value of [-1, 0.5, Number.NaN, LONGEST_MS + 1]) {
        for (const option of ['minHoldMs', 'lockDelayMs', 'timeoutMs']) {
          const call = one.holdfast.mutex('job').acquire({ [option]: value })
          await expect(call).rejects.toThrow(option)
        }
      }
      const sum = one.holdfast.mutex('job').tryAcquire({ ttlMs: 20, lockDelayMs: LONGEST_MS })
      await expect(sum).rejects.toThrow(RangeError)
      expect(await server.cli('info', 'commandstats')).not.toMatch(/cmdstat_eval/)
      expect(await server.call('exists', KEY)).toBe(0)
    })
  })
})

describe.each(ways)('database and prefix given to %s', (way) => {
  it('are used for every key of a lock, and for nothing else', async () => {
    await using server = await startServer()
    await loadScripts(server)
    const keyPrefix = way === 'a URL' ? '' : 'app:'
    const place = { port: server.port, db: 3, ...(keyPrefix === '' ? {} : { keyPrefix }) }
    await using one = await open(way, place, { prefix: 'locks:' })
    await using two = await open(way, place, { prefix: 'locks:' })
    const lease = await take(one.holdfast, 'job')
    const next = two.holdfast.mutex('job').acquire()
    await until(() => two.told.includes('waiting: job'), { what: 'the wait' })
    expect(await two.holdfast.mutex('job').tryAcquire()).toBeNull()

    const raw = await connect(server.port)
    expect(await raw.call('dbsize')).toBe(0)
    await raw.call('select', 3)
    expect(await raw.call('get', `${keyPrefix}locks:job`)).toBe(lease.identity)
    const keys = (await raw.call('keys', '*')) as string[]
    expect(keys).toHaveLength(5)
    expect(keys.filter((key) => !key.startsWith(keyPrefix))).toEqual([])
    expect(keys.filter((key) => !key.includes('locks:job'))).toEqual([])
    raw.close()

    expect((await one.holdfast.inspect('job'))?.waiting).toBe(1)
    expect((await one.holdfast.list()).names).toEqual(['job'])
    await lease.renew()
    expect(await lease.release()).toBe(true)
    const granted = await next
    expect(granted.fence).toBeGreaterThan(lease.fence)
    expect(await granted.release()).toBe(true)
    expect(await server.call('dbsize')).toBe(0)
  })

  it('share a lock with the plain recipe when the prefix is empty', async () => {
    await using server = await startServer()
    await using one = await open(way, { port: server.port }, { prefix: '' })
    const lease = await take(one.holdfast, 'job')
    expect(await server.call('set', 'job', 'mine', 'NX', 'PX', 5000)).toBeNull()
    await lease.release()
    expect(await server.call('set', 'job', 'mine', 'NX', 'PX', 5000)).toBe('OK')
    expect(await one.holdfast.mutex('job').tryAcquire()).toBeNull()
    const next = watch(one.holdfast.mutex('job').acquire())
    await until(() => one.told.includes('waiting: job'), { what: 'the wait' })
    // The recipe tells nobody that it has left, and its time is not over for a while.
    await server.call('del', 'job')
    await until(() => next.settled, { what: 'a look at the foreign key', timeoutMs: 2500 })
    expect(next.value?.held).toBe(true)
  })
})
