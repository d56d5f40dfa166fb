import { describe, expect, it } from 'vitest'
import { type Rig, rig, watch } from '../../test/support/rig.ts'

/** Three locks of each of many processes. */
function several({ process }: Rig, plan: Parameters<Rig['process']>[0] = {}) {
  const made = process(plan)
  const { holdfast } = made
  const [a, b] = [holdfast.mutex('a'), holdfast.mutex('b')]
  const pool = holdfast.semaphore('pool', { capacity: 3 })
  const { read, write } = holdfast.readWriteLock('config')
  return { ...made, a, b, pool, read, write }
}

describe('all', () => {
  it('takes any mix of locks under one lease, with a fence for each', async () => {
    const world = rig()
    const { holdfast, a, b, pool, read } = several(world)
    const lease = await holdfast
      .all([{ lock: pool, permits: 2 }, holdfast.all([b, read]), a])
      .acquire()
    expect(lease.names).toEqual(['a', 'b', 'config', 'pool'])
    const reports = await Promise.all(lease.names.map((name) => holdfast.inspect(name)))
    expect(reports.map((report) => report?.holders[0]?.permits)).toEqual([1, 1, 1, 2])
    expect(reports.map((report) => report?.holders[0]?.fence)).toEqual([...lease.fences.values()])
    expect([lease.held, lease.state, lease.signal.aborted]).toEqual([true, 'held', false])
    lease.assertHeld(1000)
    await lease.renew()
    expect(await lease.release()).toBe(true)
    expect([lease.held, lease.state, lease.remainingMs]).toEqual([false, 'released', 0])
    expect(lease.signal.aborted).toBe(false)
    expect(world.store.size.locks).toBe(0)
  })

  it('is all or nothing: what was taken is given back when one is not to be had', async () => {
    const world = rig()
    const { clock } = world
    const { holdfast, a, b } = several(world)
    const held = await several(world).b.acquire({ label: 'elsewhere' })
    const both = holdfast.all([b, a], { minHoldMs: 60_000 })
    expect(await both.tryAcquire()).toBeNull()
    await expect(both.acquire({ timeoutMs: 0 })).rejects.toThrow(
      /Lock "b" was not granted within 0 ms; held by .*\(elsewhere\)/,
    )
    const late = watch(both.acquire({ timeoutMs: 100 }))
    await clock.advance(50)
    expect(await a.tryAcquire()).toBeNull()
    await clock.advance(50)
    expect(late.error).toMatchObject({ lock: 'b', timeoutMs: 100, ahead: 0 })
    const controller = new AbortController()
    const cancelled = watch(both.acquire({ signal: controller.signal }))
    await clock.advance(50)
    controller.abort(new Error('enough'))
    await clock.advance(1)
    expect(cancelled.error).toMatchObject({ message: 'enough' })
    // Not even a minimum hold stays of what was never used.
    await held.release()
    expect(world.store.size.locks).toBe(0)
  })

  // Locks taken in different orders wait for each other.
  it('never deadlocks, whatever order its callers name', async () => {
    const world = rig()
    const { clock } = world
    const names = ['x', 'y', 'z', 'ä', 'X']
    let inside = 0
    let done = 0
    const workers = Array.from({ length: 12 }, async (_, index) => {
      const { holdfast } = world.process()
      const locks = [0, 1, 2].map((step) =>
        holdfast.mutex(names[(index * 3 + step * (1 + (index % 2))) % 5] as string),
      )
      const shared = holdfast.mutex('shared')
      await holdfast.all([...locks, shared]).run(async () => {
        inside += 1
        expect(inside).toBe(1)
        await new Promise((resolve) => setImmediate(resolve))
        inside -= 1
      })
      done += 1
    })
    const finished = watch(Promise.all(workers))
    for (let round = 0; !finished.settled && round < 200; round++) await clock.advance(1)
    expect([finished.error, done, world.store.size.locks]).toEqual([undefined, 12, 0])
  })

  it('keeps what is taken alive while it waits for the rest, and lets its lease be short', async () => {
    const world = rig()
    const { clock } = world
    const { holdfast, a, b } = several(world)
    const other = several(world)
    const held = await other.b.acquire()
    const short = { ttlMs: 1000, renew: false }
    const both = watch(holdfast.all([a, b], short).acquire())
    await clock.advance(7000)
    expect(both.settled).toBe(false)
    expect(await other.a.tryAcquire()).toBeNull()
    await held.release()
    await clock.advance(1)
    // Each has its whole life from the moment at which all were had.
    expect(both.value?.remainingMs).toBeGreaterThan(980)
    const { signal } = both.value ?? {}
    await clock.advance(1000)
    expect(signal?.reason).toMatchObject({ code: 'HOLDFAST_LEASE_LOST', reason: 'expired' })
    expect(both.value?.state).toBe('lost')
    expect(world.store.size.locks).toBeLessThanOrEqual(2)
    expect(await other.a.tryAcquire()).not.toBeNull()
  })

  it('starts over when a lock is lost while it waits for the next', async () => {
    const world = rig()
    const { clock } = world
    const { holdfast, a, b } = several(world)
    const other = several(world)
    const held = await other.b.acquire()
    const both = watch(holdfast.all([a, b], { ttlMs: 900 }).acquire())
    await clock.advance(10)
    const first = (await other.holdfast.forceRelease('a')).broken[0]
    await clock.advance(600)
    expect((await other.holdfast.inspect('a'))?.holders[0]?.fence).toBeGreaterThan(
      first?.fence ?? Number.POSITIVE_INFINITY,
    )
    expect((await other.holdfast.inspect('b'))?.waiting).toBe(1)
    await held.release()
    await clock.advance(1)
    expect(both.value?.held).toBe(true)
  })

  it('starts over when the last lock was had too late for the first', async () => {
    const world = rig()
    const { clock } = world
    const { engine, holdfast, a, b } = several(world)
    const acquire = engine.acquire.bind(engine)
    let tries = 0
    Object.assign(engine, {
      acquire: async (claim: { name: string }) => {
        const standing = await acquire(claim as never)
        if (claim.name === 'b' && ++tries === 1) {
          const now = clock.now.bind(clock)
          // The event loop stands still: no timer tells that the time of "a" is over.
          clock.now = () => now() + 5000
          return { ...standing, deadline: clock.now() + 10_000 }
        }
        return standing
      },
    })
    const both = watch(holdfast.all([a, b], { ttlMs: 1000 }).acquire())
    await clock.advance(5)
    expect(tries).toBe(2)
    expect(both.value?.held).toBe(true)
  })

  it.each([500, 0])('starts over no more once its %d ms are over', async (timeoutMs) => {
    const world = rig()
    const { clock } = world
    const { engine, holdfast, a, b } = several(world)
    const { holdfast: other } = world.process()
    const acquire = engine.acquire.bind(engine)
    let tries = 0
    Object.assign(engine, {
      acquire: async (claim: { name: string }) => {
        const standing = await acquire(claim as never)
        // Each time the first lock is taken away before the second is had.
        if (claim.name === 'b' && ++tries < 100) {
          await other.forceRelease('a')
          await clock.advance(200)
        }
        return standing
      },
    })
    const both = watch(holdfast.all([a, b], { ttlMs: 300 }).acquire({ timeoutMs }))
    await clock.advance(100_000)
    expect(both.error).toMatchObject({ code: 'HOLDFAST_ACQUIRE_TIMEOUT', timeoutMs })
    expect(tries).toBeLessThan(20)
  })

  it('hands its signal on, also one that aborts for a lost lease', async () => {
    const world = rig()
    const { clock } = world
    const { holdfast, a, b, pool } = several(world)
    const outer = await pool.acquire({ ttlMs: 1000, renew: false })
    await several(world).b.acquire()
    const both = watch(holdfast.all([a, b]).acquire({ signal: outer.signal }))
    await clock.advance(1100)
    expect(both.error).toBe(outer.signal.reason)
    const never = holdfast.all([a, b]).acquire({ signal: AbortSignal.abort('no') })
    await expect(never).rejects.toBe('no')
  })

  it('says that its time was over, not that a late lock did not answer', async () => {
    const world = rig(3)
    const { clock } = world
    const { holdfast, a, b } = several(world, {
      plan: [{ fromMs: 5, operations: ['acquire'], loseRequest: 1, patienceMs: 5000 }],
    })
    const held = await several(world).a.acquire()
    const both = watch(holdfast.all([a, b]).acquire({ timeoutMs: 100 }))
    await clock.advance(98)
    await held.release()
    await clock.advance(2)
    expect(both.error).toMatchObject({ code: 'HOLDFAST_ACQUIRE_TIMEOUT', lock: 'b' })
    const alone = watch(holdfast.all([b]).acquire({ timeoutMs: 100 }))
    await clock.advance(100)
    expect(alone.error).toMatchObject({ code: 'HOLDFAST_ENGINE_FAILED', lock: 'b' })
  })

  it('has what it has when the engine does not answer the last renewal', async () => {
    const world = rig()
    const { clock } = world
    const { holdfast, a, b } = several(world, {
      requestTimeoutMs: 50,
      plan: [{ operations: ['renew'], refuse: 1 }],
    })
    const both = watch(holdfast.all([a, b], { renew: false, ttlMs: 1000 }).acquire())
    await clock.advance(100)
    expect(both.value?.held).toBe(true)
    expect(both.value?.remainingMs).toBeLessThan(950)
  })
})

describe('several locks that are not to renew themselves', () => {
  it('start over when the last renewal finds one lost', async () => {
    const world = rig()
    const { clock } = world
    const { engine, holdfast, a, b } = several(world)
    const renew = engine.renew.bind(engine)
    let renewals = 0
    Object.assign(engine, {
      renew: async (places: readonly never[]) => {
        renewals += 1
        if (renewals === 1) await engine.release(places[0] as never, { force: true })
        return await renew(places)
      },
    })
    const both = watch(holdfast.all([a, b], { renew: false }).acquire())
    await clock.advance(10)
    expect(both.value?.held).toBe(true)
    expect(renewals).toBe(4)
  })
})

describe('the lease of all', () => {
  it('is had without waiting, or not at all', async () => {
    const world = rig()
    const { holdfast, a, b } = several(world)
    const lease = await holdfast.all([a, b]).tryAcquire()
    expect(lease?.held).toBe(true)
    expect(await holdfast.all([b]).tryAcquire()).toBeNull()
  })

  it('is lost when one is lost, and the rest ends with its ttl', async () => {
    const world = rig()
    const { clock } = world
    const { holdfast, a, b, told } = several(world)
    const lease = await holdfast.all([a, b], { ttlMs: 1000 }).acquire()
    const { signal } = lease
    await holdfast.forceRelease('b')
    await clock.advance(500)
    expect(signal.reason).toMatchObject({ code: 'HOLDFAST_LEASE_LOST', lock: 'b' })
    expect([lease.held, lease.state]).toEqual([false, 'lost'])
    expect(() => lease.assertHeld()).toThrow(expect.objectContaining({ lock: 'b' }))
    // The work may still wind down under "a", and nobody has to release it.
    expect(await holdfast.inspect('a')).not.toBeNull()
    await clock.advance(1000)
    expect(await holdfast.inspect('a')).toBeNull()
    expect(told.filter((each) => each.startsWith('lost'))).toEqual([
      'lost: refused',
      'lost: expired',
    ])
    expect(await lease.release()).toBe(false)
    expect(lease.signal.reason).toBe(signal.reason)
  })

  it('renews nothing more once one is lost, whatever the others were told', async () => {
    const world = rig()
    const { clock } = world
    const { holdfast, a, b, engine } = several(world)
    const lease = await holdfast.all([a, b], { ttlMs: 1000 }).acquire()
    let renewals = 0
    Object.assign(engine, {
      renew: async (places: readonly { name: string }[]) => {
        renewals += 1
        const unknown = { state: 'unknown', error: new Error('down') }
        return places.map(({ name }) => (name === 'a' ? { state: 'absent' } : unknown))
      },
    })
    await clock.advance(500)
    expect(lease.state).toBe('lost')
    await clock.advance(500)
    expect(renewals).toBe(1)
  })

  it('is told to whoever asks before any timer could fire', async () => {
    const world = rig()
    const { clock } = world
    const { holdfast, a, b } = several(world)
    const lease = await holdfast.all([a, b], { ttlMs: 1000 }).acquire()
    clock.now = () => 5000
    expect(lease.signal.reason).toMatchObject({ code: 'HOLDFAST_LEASE_LOST' })
  })

  it('tells a release that failed after all were tried', async () => {
    const world = rig()
    const { clock } = world
    const { holdfast, a, b } = several(world, {
      requestTimeoutMs: 50,
      plan: [{ fromMs: 1, untilMs: 500, operations: ['release'], refuse: 1 }],
    })
    const lease = await holdfast.all([a, b]).acquire()
    await clock.advance(1)
    const released = watch(lease.release())
    await clock.advance(200)
    expect(released.error).toMatchObject({ code: 'HOLDFAST_ENGINE_FAILED' })
    await clock.advance(2000)
    expect(world.store.size.locks).toBe(0)
  })

  it('ends with its block, and with its run', async () => {
    const world = rig()
    const { holdfast, a, b } = several(world)
    {
      await using lease = await holdfast.all([a, b]).acquire()
      expect(lease.held).toBe(true)
    }
    expect(world.store.size.locks).toBe(0)
    const both = holdfast.all([a, b])
    expect(both.names).toEqual(['a', 'b'])
    const result = await both.run(async ({ fences }) => {
      // Work inside stands inside each of them.
      const inner = await a.run(({ fence }) => fence, { reentrant: true })
      expect(inner).toBe(fences.get('a'))
      return 'done'
    })
    expect(result).toBe('done')
    await expect(both.run(() => Promise.reject(new Error('mine')))).rejects.toThrow('mine')
    await expect(both.run(() => holdfast.forceRelease('b'))).rejects.toMatchObject({
      code: 'HOLDFAST_LEASE_LOST',
      lock: 'b',
    })
    expect(world.store.size.locks).toBe(0)
  })

  it('is released by close, and whoever waits for it is told', async () => {
    const world = rig()
    const { clock } = world
    const { holdfast, a, b, pool } = several(world)
    const other = several(world)
    const held = await other.b.acquire()
    const lease = await holdfast.all([pool, holdfast.mutex('c')]).acquire()
    const waiting = watch(holdfast.all([a, b]).acquire())
    await clock.advance(10)
    const closing = watch(holdfast.close())
    await clock.advance(10)
    expect(closing.settled).toBe(true)
    expect(waiting.error).toMatchObject({ code: 'HOLDFAST_CLOSED' })
    expect(lease.signal.reason).toMatchObject({ code: 'HOLDFAST_CLOSED' })
    await held.release()
    expect(world.store.size.locks).toBe(0)
    await expect(holdfast.all([a]).acquire()).rejects.toMatchObject({ code: 'HOLDFAST_CLOSED' })
  })
})

describe('what all refuses', () => {
  it('is one lock twice', () => {
    const { holdfast, a, b, pool, read, write } = several(rig())
    for (const [locks, name] of [
      [[a, b, a], 'a'],
      [[a, holdfast.mutex('a')], 'a'],
      [[read, write], 'config'],
      [[pool, { lock: pool, permits: 2 }], 'pool'],
      [[a, holdfast.all([b, a])], 'a'],
    ] as const) {
      expect(() => holdfast.all(locks)).toThrow(
        `locks must name each lock once, got "${name}" twice.`,
      )
    }
  })

  it('is what is no lock, or one of another Holdfast', () => {
    const world = rig()
    const { holdfast, a, pool } = several(world)
    const other = several(world)
    const one = 'locks[0] must be a mutex, a semaphore,'
    for (const member of [7, null, 'a', {}, { lock: a }, holdfast.election('e')]) {
      expect(() => holdfast.all([member as never])).toThrow(one)
    }
    expect(() => holdfast.all([])).toThrow('locks must hold at least one lock')
    expect(() => holdfast.all(a as never)).toThrow('locks must be an array')
    expect(() => holdfast.all([{ lock: pool, permits: 4 }])).toThrow(
      'the capacity of semaphore "pool" (3), got 4',
    )
    expect(() => holdfast.all([other.a])).toThrow('lock "a" belongs to another Holdfast')
    expect(() => holdfast.all([other.holdfast.all([other.a])])).toThrow('another Holdfast')
    expect(() => holdfast.all([a], { ttlMs: 1 })).toThrow('ttlMs must be a whole number')
  })

  it('is to be reentrant', async () => {
    const { holdfast, a } = several(rig())
    const reentrant = { reentrant: true } as never
    await expect(holdfast.all([a]).run(() => 1, reentrant)).rejects.toThrow(
      'reentrant is for single locks',
    )
    await expect(holdfast.all([a]).run(7 as never)).rejects.toThrow('work must be a function')
  })
})
