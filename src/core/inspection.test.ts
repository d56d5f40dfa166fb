import { describe, expect, it } from 'vitest'
import { rig, watch } from '../../test/support/rig.ts'

describe('inspect', () => {
  it('shows who holds a lock of any kind, and since when', async () => {
    const { clock, process } = rig()
    const { holdfast } = process({ label: 'importer' })
    const pool = holdfast.semaphore('pool', { capacity: 3 })
    await pool.acquire({ permits: 2 })
    await clock.advance(500)
    await pool.acquire()
    const { read, write } = holdfast.readWriteLock('config')
    await read.acquire()
    await read.acquire()
    watch(write.acquire({ label: 'deploy' }))
    await holdfast.election('leader').campaign({ note: 'me' })
    await clock.advance(500)
    const seen = await process().holdfast.inspect('pool')
    expect(seen).toMatchObject({ kind: 'semaphore', capacity: 3, waiting: 0 })
    expect(seen?.holders).toMatchObject([
      { permits: 2, heldMs: 1000, about: { label: 'importer', pid: expect.any(Number) } },
      { permits: 1, heldMs: 500, about: { host: expect.any(String) } },
    ])
    const config = await holdfast.inspect('config')
    expect(config?.holders.map(({ permits, heldMs }) => [permits, heldMs])).toEqual([
      [1, 500],
      [1, 500],
    ])
    expect(config?.waiters).toMatchObject([{ permits: 2 ** 31 - 1, about: { label: 'deploy' } }])
    expect((await holdfast.inspect('leader'))?.holders).toMatchObject([
      { heldMs: 500, about: { label: 'importer', note: 'me' } },
    ])
  })
})

describe('names', () => {
  it('goes through all pages, and tells each name once', async () => {
    const { process } = rig()
    const { engine, holdfast } = process()
    for (let index = 0; index < 25; index++) await holdfast.mutex(`a${index}`).acquire()
    await holdfast.semaphore('b', { capacity: 2 }).acquire()
    const found = []
    for await (const name of holdfast.names({ prefix: 'a', limit: 4 })) found.push(name)
    expect(found.length).toBe(25)
    const pages = [
      { names: ['x', 'y'], cursor: '1' },
      { names: [], cursor: '2' },
      { names: ['y', 'z'] },
    ]
    Object.assign(engine, { list: async () => pages.shift() })
    const odd = []
    for await (const name of holdfast.names()) odd.push(name)
    expect(odd).toEqual(['x', 'y', 'z'])
  })

  it('refuses what list refuses, and ends with the Holdfast', async () => {
    const { process } = rig()
    const { holdfast } = process()
    await expect(holdfast.names({ limit: 0 }).next()).rejects.toThrow('limit must be a whole')
    await expect(holdfast.names(null as never).next()).rejects.toThrow('options must be an object')
    await holdfast.close()
    await expect(holdfast.names().next()).rejects.toMatchObject({ code: 'HOLDFAST_CLOSED' })
  })
})

describe('forceRelease', () => {
  it('breaks every holder, grants who waits at once, and the fence rises', async () => {
    const { clock, process } = rig()
    const { holdfast, told } = process({ label: 'stuck' })
    const pool = holdfast.semaphore('pool', { capacity: 2, minHoldMs: 60_000, lockDelayMs: 60_000 })
    const leases = [await pool.acquire(), await pool.acquire()]
    const signals = leases.map(({ signal }) => signal)
    const waiter = watch(pool.acquire({ permits: 2 }))
    await clock.advance(1)
    const report = await process().holdfast.forceRelease('pool')
    expect(report.name).toBe('pool')
    expect(report.broken.map(({ identity }) => identity)).toEqual(leases.map((x) => x.identity))
    expect(report.broken[0]).toMatchObject({ about: { label: 'stuck' }, heldMs: 1 })
    await clock.advance(1)
    for (const { fence } of leases) expect(waiter.value?.fence).toBeGreaterThan(fence)
    // The broken ones hear of it at their next renewal.
    await clock.advance(6000)
    for (const { reason } of signals) {
      expect(reason).toMatchObject({ code: 'HOLDFAST_LEASE_LOST', reason: 'refused' })
    }
    expect(told.filter((each) => each === 'lost: refused').length).toBe(2)
    expect(waiter.value?.held).toBe(true)
    expect(await leases[0]?.release()).toBe(false)
  })

  it('ends what stays taken by nobody', async () => {
    const { clock, process, store } = rig()
    const { holdfast } = process()
    const pool = holdfast.semaphore('pool', { capacity: 4 })
    for (const minHoldMs of [60_000, 60_000]) await (await pool.acquire({ minHoldMs })).release()
    await pool.acquire({ lockDelayMs: 60_000, ttlMs: 100, renew: false })
    await clock.advance(200)
    const lease = await pool.acquire()
    const { broken } = await holdfast.forceRelease('pool')
    expect(broken.map(({ identity }) => identity).toSorted()).toEqual(['', '', '', lease.identity])
    expect(store.size.locks).toBe(0)
  })

  it('finds nothing to break in a free lock', async () => {
    const { process } = rig()
    const { engine, holdfast } = process()
    expect(await holdfast.forceRelease('m')).toEqual({ name: 'm', broken: [] })
    // Held when it was looked at, and released before it could be broken.
    await holdfast.mutex('m').acquire()
    Object.assign(engine, { release: async () => false })
    expect((await holdfast.forceRelease('m')).broken).toEqual([])
    await expect(holdfast.forceRelease('')).rejects.toThrow('name must not be empty')
  })

  it('counts a holder as broken when only the answer was lost', async () => {
    const { clock, process } = rig()
    const { engine, holdfast } = process()
    await holdfast.mutex('m').acquire()
    const broken = process({
      plan: [{ operations: ['release'], untilMs: 5, loseReply: 1, patienceMs: 10 }],
    }).holdfast
    const done = watch(broken.forceRelease('m'))
    await clock.advance(500)
    expect(done.value?.broken.length).toBe(1)
    // One that certainly did not run proves nothing.
    await holdfast.mutex('n').acquire()
    const refused = process({
      plan: [{ operations: ['release'], untilMs: clock.now() + 1, refuse: 1 }],
    }).holdfast
    const late = watch(refused.forceRelease('n'))
    const { holders } = (await engine.inspect('n')) ?? { holders: [] }
    await engine.release(
      { ...holders[0], name: 'n', minHoldMs: 0, shape: { kind: 'mutex', capacity: 1 } } as never,
      { force: true },
    )
    await clock.advance(500)
    expect(late.value?.broken).toEqual([])
    const bug = new TypeError('a bug')
    Object.assign(engine, { release: () => Promise.reject(bug) })
    await holdfast.mutex('o').acquire()
    await expect(holdfast.forceRelease('o')).rejects.toBe(bug)
  })
})
