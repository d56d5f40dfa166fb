import { describe, expect, it } from 'vitest'
import { rig, watch } from '../../test/support/rig.ts'
import type { Engine, Standing } from './engine.ts'

/** Replaces calls of an engine by others. */
function instead(engine: Engine, calls: Partial<Record<keyof Engine, unknown>>): void {
  Object.assign(engine, calls)
}

describe('run', () => {
  it('gives the lease to the work and its result to the caller, and releases', async () => {
    const { process, store } = rig()
    const mutex = process().holdfast.mutex('m')
    expect(await mutex.run(({ held, fence }) => held && fence > 0)).toBe(true)
    expect(store.size.locks).toBe(0)
  })

  it('tells the error of the work, whether the lease was lost or not', async () => {
    const { clock, process, store } = rig()
    const mutex = process().holdfast.mutex('m')
    const mine = new Error('mine')
    const fails = () => mutex.run(() => Promise.reject(mine))
    await expect(fails()).rejects.toBe(mine)
    expect(store.size.locks).toBe(0)
    const lost = watch(
      mutex.run(
        async () => {
          await clock.advance(2000)
          throw mine
        },
        { ttlMs: 1000, renew: false },
      ),
    )
    await clock.advance(5000)
    expect(lost.error).toBe(mine)
  })

  it('tells a loss that the work did not see', async () => {
    const { clock, process } = rig()
    const holder = process()
    const mutex = holder.holdfast.mutex('m')
    const expired = mutex.run(() => clock.advance(2000), { ttlMs: 1000, renew: false })
    await expect(expired).rejects.toMatchObject({ code: 'HOLDFAST_LEASE_LOST', reason: 'expired' })
    // The engine knows nothing of the lease any more, and the release is the first to hear it.
    const taken = mutex.run(() => instead(holder.engine, { release: async () => false }))
    await expect(taken).rejects.toMatchObject({ code: 'HOLDFAST_LEASE_LOST', reason: 'refused' })
  })

  it('says that it was closed when the lock was given back under the work', async () => {
    const { clock, process } = rig()
    const { holdfast } = process()
    const ran = watch(holdfast.mutex('m').run(() => holdfast.close()))
    await clock.advance(10)
    expect(ran.error).toMatchObject({ code: 'HOLDFAST_CLOSED', lock: 'm' })
  })
})

describe('an acquire', () => {
  it('cancelled between two tries sends no more', async () => {
    const { clock, process, store } = rig()
    const { holdfast, engine } = process({ plan: [{ untilMs: 10, refuse: 1 }] })
    let calls = 0
    const acquire = engine.acquire.bind(engine)
    instead(engine, {
      acquire: (claim: never) => {
        calls += 1
        return acquire(claim)
      },
    })
    const controller = new AbortController()
    const waiter = watch(holdfast.mutex('m').acquire({ signal: controller.signal }))
    await clock.advance(1)
    controller.abort()
    await clock.advance(5000)
    expect(waiter.error).toMatchObject({ name: 'AbortError' })
    expect(calls).toBe(1)
    expect(store.size.locks).toBe(0)
  })

  it('cancelled before it hears that the lock is taken has nothing to give back', async () => {
    const { clock, process } = rig(3)
    await process().holdfast.mutex('m').acquire()
    const { holdfast } = process({ plan: [{ delayMs: 50 }] })
    const controller = new AbortController()
    const tried = watch(holdfast.mutex('m').acquire({ timeoutMs: 0, signal: controller.signal }))
    await clock.advance(1)
    controller.abort()
    await clock.advance(200)
    expect(tried.error).toMatchObject({ name: 'AbortError' })
  })

  it('says that it may have run when any of its requests may have', async () => {
    const { clock, process } = rig()
    const { holdfast } = process({
      plan: [
        { untilMs: 5, loseReply: 1, patienceMs: 100 },
        { fromMs: 5, operations: ['acquire'], refuse: 1 },
      ],
    })
    const waiter = watch(holdfast.mutex('m').acquire())
    await clock.advance(8000)
    expect(waiter.error).toMatchObject({
      code: 'HOLDFAST_ENGINE_FAILED',
      outcome: 'unknown',
      lock: 'm',
      cause: { outcome: 'none' },
    })
  })

  it('tells an error of the engine that is none of its words as it is', async () => {
    const { process } = rig()
    const { engine, holdfast } = process()
    const bug = new TypeError('a bug')
    instead(engine, { acquire: () => Promise.reject(bug) })
    await expect(holdfast.mutex('m').acquire()).rejects.toBe(bug)
  })

  it('that moved up says who is ahead now, or nothing', async () => {
    const { clock, process } = rig()
    const { engine, holdfast } = process()
    await holdfast.mutex('m').acquire()
    for (const [ahead, known] of [
      [0, true],
      [3, false],
    ] as const) {
      const renew = engine.renew.bind(engine)
      const waiting = { state: 'waiting', ahead, ticket: 1, lookMs: 60_000 }
      instead(engine, { renew: async (places: readonly unknown[]) => places.map(() => waiting) })
      const waiter = watch(holdfast.mutex('m').acquire({ timeoutMs: 9000 }))
      await clock.advance(9000)
      expect(waiter.error).toMatchObject({ code: 'HOLDFAST_ACQUIRE_TIMEOUT', ahead })
      const { occupant } = waiter.error as { occupant?: unknown }
      expect(occupant !== undefined).toBe(known)
      instead(engine, { renew })
    }
  })

  it('waits on when the engine says nothing that is known', async () => {
    const { clock, process } = rig()
    const { engine, holdfast } = process()
    instead(engine, { acquire: async () => ({ state: 'odd' }) })
    const waiter = watch(holdfast.mutex('m').acquire({ timeoutMs: 500 }))
    await clock.advance(499)
    expect(waiter.settled).toBe(false)
    await clock.advance(1)
    expect(waiter.error).toMatchObject({ code: 'HOLDFAST_ACQUIRE_TIMEOUT' })
  })

  it('cancelled in the moment of its grant gives the lock back', async () => {
    const { clock, process } = rig()
    const { engine, holdfast } = process()
    const lease = await holdfast.mutex('m').acquire()
    let tell: ((standing: Standing) => void) | undefined
    instead(engine, {
      wait: () =>
        new Promise((resolve) => {
          tell = resolve
        }),
    })
    const controller = new AbortController()
    const waiter = watch(holdfast.mutex('m').acquire({ signal: controller.signal }))
    await clock.advance(1)
    await lease.release()
    tell?.({ state: 'held', fence: 1, deadline: 10_000 })
    controller.abort()
    await clock.advance(10)
    expect(waiter.error).toMatchObject({ name: 'AbortError' })
    expect(await holdfast.inspect('m')).toBeNull()
  })
})

describe('a lease', () => {
  it('that was released is held no more, and a late answer changes nothing', async () => {
    const { clock, process } = rig(1)
    const { holdfast } = process({ plan: [{ operations: ['renew'], delayMs: 50 }] })
    const lease = await holdfast.mutex('m').acquire()
    const renewed = watch(lease.renew())
    await clock.advance(1)
    expect(await lease.release()).toBe(true)
    expect(() => lease.assertHeld()).toThrow(
      expect.objectContaining({ code: 'HOLDFAST_LEASE_LOST' }),
    )
    await clock.advance(200)
    expect(renewed.error).toMatchObject({ code: 'HOLDFAST_LEASE_LOST' })
    expect(lease.state).toBe('released')
  })

  it('that the engine finds in the line is lost', async () => {
    const { process } = rig()
    const { engine, holdfast } = process()
    const lease = await holdfast.mutex('m').acquire()
    const waiting = { state: 'waiting', ahead: 0, ticket: 1, lookMs: 0 }
    instead(engine, { renew: async () => [waiting] })
    await expect(lease.renew()).rejects.toMatchObject({ reason: 'refused' })
  })

  it('stands as it stood when the engine says nothing, or nothing known', async () => {
    const { process } = rig()
    const { engine, holdfast } = process()
    const lease = await holdfast.mutex('m').acquire()
    instead(engine, { renew: async () => [] })
    await lease.renew()
    instead(engine, { renew: async () => [{ state: 'odd' }] })
    await lease.renew()
    expect(lease.held).toBe(true)
  })

  it.each(['held', 'unknown'])(
    'whose answer, %s, comes after a blocked event loop is lost first',
    async (state) => {
      const { clock, process } = rig()
      const { engine, holdfast, told } = process()
      const lease = await holdfast.mutex('m').acquire({ ttlMs: 900 })
      let answer: ((standings: unknown[]) => void) | undefined
      instead(engine, {
        renew: () =>
          new Promise((resolve) => {
            answer = resolve
          }),
      })
      await clock.advance(600)
      const now = clock.now.bind(clock)
      // Time passes, no timer fires, and the answer is read first.
      clock.now = () => 5000
      answer?.([{ state, fence: lease.fence, deadline: 1500, error: new Error('late') }])
      await new Promise((resolve) => setImmediate(resolve))
      clock.now = now
      expect(told.at(-1)).toBe('lost: expired')
      expect(lease.state).toBe('lost')
    },
  )
})

describe('a place given up', () => {
  it('is told to nobody when the end came before it could be given back', async () => {
    const { clock, process } = rig()
    const { holdfast, told } = process({
      requestTimeoutMs: 100,
      plan: [{ fromMs: 1, operations: ['release'], loseRequest: 1, patienceMs: 150 }],
    })
    await holdfast.mutex('m').acquire()
    const controller = new AbortController()
    const waiter = watch(holdfast.mutex('m').acquire({ signal: controller.signal }))
    await clock.advance(1)
    controller.abort()
    const closed = watch(holdfast.close())
    await clock.advance(2000)
    expect(waiter.error).toMatchObject({ name: 'AbortError' })
    expect(closed.settled).toBe(true)
    expect(told.filter((each) => each.startsWith('error')).length).toBeLessThanOrEqual(1)
  })
})
