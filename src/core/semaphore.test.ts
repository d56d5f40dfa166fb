import { describe, expect, it } from 'vitest'
import { rig, watch } from '../../test/support/rig.ts'

describe('a semaphore', () => {
  it('is shared by leases up to its capacity, each with its own fence', async () => {
    const { clock, process } = rig()
    const [one, other] = [process().holdfast, process().holdfast]
    const gpu = { capacity: 3 }
    const first = await one.semaphore('gpu', gpu).acquire({ permits: 2 })
    const second = await other.semaphore('gpu', gpu).acquire()
    expect(await other.semaphore('gpu', gpu).tryAcquire()).toBeNull()
    expect([first.kind, first.permits, second.permits]).toEqual(['semaphore', 2, 1])
    expect(second.fence).toBeGreaterThan(first.fence)
    const waiter = watch(one.semaphore('gpu', gpu).run(({ permits }) => permits, { permits: 2 }))
    await clock.advance(1)
    await second.release()
    await clock.advance(1)
    expect(waiter.settled).toBe(false)
    await first.release()
    await clock.advance(1)
    expect(waiter.value).toBe(2)
  })

  it('serves in order: a large request is not overtaken by small ones', async () => {
    const { clock, process } = rig()
    const pool = process().holdfast.semaphore('pool', { capacity: 2 })
    const held = [await pool.acquire(), await pool.acquire()]
    const order: string[] = []
    void pool.run(() => order.push('large'), { permits: 2 })
    await clock.advance(1)
    void pool.run(() => order.push('small'))
    await clock.advance(1)
    await held[0]?.release()
    await clock.advance(1)
    expect(order).toEqual([])
    await held[1]?.release()
    await clock.advance(1)
    expect(order).toEqual(['large', 'small'])
  })

  // The life of a share is its own, and ends by the engine's clock.
  it('keeps every holder for its own ttl, whatever ttl others ask for', async () => {
    const { clock, process } = rig()
    const long = process().holdfast.semaphore('pool', { capacity: 2 })
    const short = process().holdfast.semaphore('pool', { capacity: 2, ttlMs: 500 })
    const lease = await long.acquire({ ttlMs: 60_000, renew: false })
    await short.acquire({ renew: false })
    await clock.advance(600)
    expect(await short.tryAcquire({ permits: 2 })).toBeNull()
    expect(await short.tryAcquire()).not.toBeNull()
    await clock.advance(55_000)
    expect(lease.held).toBe(true)
    await clock.advance(5_000)
    expect(lease.held).toBe(false)
    expect(await short.tryAcquire({ permits: 1, renew: false })).not.toBeNull()
  })

  // Permits of a process that crashed come back.
  it('gets back the permits of a holder that crashed', async () => {
    const { clock, process } = rig()
    const crashing = process({ plan: [{ fromMs: 1, loseRequest: 1 }] }).holdfast
    const pool = process().holdfast.semaphore('pool', { capacity: 2 })
    await crashing.semaphore('pool', { capacity: 2 }).acquire({ permits: 2, ttlMs: 1000 })
    const waiter = watch(pool.acquire({ permits: 2 }))
    await clock.advance(999)
    expect(waiter.settled).toBe(false)
    await clock.advance(20)
    expect(waiter.value?.permits).toBe(2)
  })

  it.each([
    [5, RangeError, 'permits must be a whole number from 1 to the capacity of semaphore "s" (4)'],
    [0, RangeError, 'got 0'],
    [1.5, RangeError, 'got 1.5'],
    [Number.NaN, RangeError, 'got NaN'],
    ['2', TypeError, 'permits must be a number from 1 to the capacity of semaphore "s" (4)'],
  ])('refuses %j permits and names the capacity', async (permits, kind, message) => {
    const semaphore = rig().process().holdfast.semaphore('s', { capacity: 4 })
    for (const call of [
      semaphore.acquire({ permits: permits as number }),
      semaphore.tryAcquire({ permits: permits as number }),
      semaphore.run(() => 1, { permits: permits as number }),
    ]) {
      await expect(call).rejects.toThrow(kind)
      await expect(call).rejects.toThrow(message)
    }
  })

  it.each([0, -1, 2 ** 31, 1.5, '4', undefined])('refuses a capacity of %j', (capacity) => {
    const { holdfast } = rig().process()
    const options = { capacity: capacity as number }
    expect(() => holdfast.semaphore('s', options)).toThrow(/^capacity must be a/)
    expect(() => holdfast.semaphore('s', undefined as never)).toThrow('options must be an object')
    expect(() => holdfast.semaphore('', { capacity: 1 })).toThrow('name must not be empty')
  })

  it('tells kind and permits with its events', async () => {
    const { clock, process } = rig()
    const { holdfast } = process()
    const told: unknown[] = []
    holdfast.on('waiting', ({ name, kind, permits }) => told.push([name, kind, permits]))
    holdfast.on('granted', ({ lease }) => told.push([lease.name, lease.kind, lease.permits]))
    holdfast.on('lost', ({ lease }) => told.push([lease.name, lease.kind, lease.permits]))
    const pool = holdfast.semaphore('pool', { capacity: 2 })
    await pool.acquire({ permits: 2, ttlMs: 1000, renew: false })
    watch(pool.acquire())
    await clock.advance(1100)
    expect(told).toEqual([
      ['pool', 'semaphore', 2],
      ['pool', 'semaphore', 1],
      ['pool', 'semaphore', 2],
      ['pool', 'semaphore', 1],
    ])
  })
})

describe('a name in use by a lock of another shape', () => {
  it('is refused with both shapes, and nothing changes', async () => {
    const { clock, process, store } = rig()
    const { holdfast } = process()
    const lease = await holdfast.semaphore('s', { capacity: 5 }).acquire()
    const before = await holdfast.inspect('s')
    const others = [
      [holdfast.semaphore('s', { capacity: 3 }), 'a semaphore of 3', 3],
      [holdfast.mutex('s'), 'a mutex', 1],
      [holdfast.readWriteLock('s').read, 'a read-write lock', 2_147_483_647],
    ] as const
    for (const [lock, title, capacity] of others) {
      for (const call of [lock.acquire(), lock.tryAcquire(), lock.run(() => 1)]) {
        await expect(call).rejects.toMatchObject({
          code: 'HOLDFAST_SHAPE_MISMATCH',
          lock: 's',
          wanted: { capacity },
          found: { kind: 'semaphore', capacity: 5 },
          message: expect.stringContaining(
            `asked for as ${title}, but the name is in use by a sem`,
          ),
        })
      }
    }
    await expect(holdfast.election('s').campaign()).rejects.toThrow('asked for as an election')
    await expect(holdfast.election('s').leader()).rejects.toMatchObject({
      code: 'HOLDFAST_SHAPE_MISMATCH',
      found: { kind: 'semaphore', capacity: 5 },
    })
    expect(await holdfast.inspect('s')).toEqual(before)
    await lease.release()
    await clock.advance(1)
    expect(store.size.locks).toBe(0)
  })

  it('of a free name takes any shape', async () => {
    const { process } = rig()
    const { holdfast } = process()
    await (await holdfast.semaphore('s', { capacity: 5 }).acquire()).release()
    expect(await holdfast.mutex('s').tryAcquire()).not.toBeNull()
  })
})

describe('an engine without a kind of lock', () => {
  it('refuses to make one, and says why', () => {
    const { process } = rig()
    const { engine, holdfast } = process()
    Object.assign(engine, {
      guarantees: {
        ...engine.guarantees,
        kinds: ['mutex'],
        withoutKinds: 'independent servers together admit more than each',
      },
    })
    const why =
      'The faulty memory engine serves no lock of kind semaphore, only mutex: independent servers'
    expect(() => holdfast.semaphore('s', { capacity: 2 })).toThrow(why)
    expect(() => holdfast.readWriteLock('s')).toThrow(
      expect.objectContaining({ code: 'HOLDFAST_UNSUPPORTED', lock: 's' }),
    )
    expect(() => holdfast.election('s')).toThrow('kind election')
    Object.assign(engine, { guarantees: { ...engine.guarantees, withoutKinds: undefined } })
    expect(() => holdfast.election('s')).toThrow(/only mutex\.$/)
    expect(holdfast.mutex('s').name).toBe('s')
  })
})
