import { EngineError } from 'holdfast'
import { describe, expect, it } from 'vitest'
import { rig, watch } from '../../test/support/rig.ts'
import { sleep } from './clock.ts'

const MUTEX = { shape: { kind: 'mutex', capacity: 1 }, permits: 1, minHoldMs: 0 }

describe('tryAcquire', () => {
  it('resolves to null when the lock is taken, and leaves nothing', async () => {
    const { process, store } = rig()
    const mutex = process().holdfast.mutex('m')
    const lease = await mutex.tryAcquire()
    expect(await mutex.tryAcquire()).toBeNull()
    await lease?.release()
    expect(store.size.locks).toBe(0)
  })
})

describe('acquire', () => {
  it('waits in the line and is granted first come, first served', async () => {
    const { clock, process } = rig()
    const holder = await process().holdfast.mutex('m').acquire()
    const order: number[] = []
    const waiters = [process(), process(), process()]
    for (const [index, { holdfast }] of waiters.entries()) {
      void holdfast.mutex('m').run(() => order.push(index))
      await clock.advance(1)
    }
    expect(waiters.map(({ told }) => told)).toEqual([
      ['waiting: m 0 ahead'],
      ['waiting: m 1 ahead'],
      ['waiting: m 2 ahead'],
    ])
    await holder.release()
    await clock.advance(1)
    expect(order).toEqual([0, 1, 2])
  })

  it('is granted when the holder vanished, at the end of its lease', async () => {
    const { clock, process } = rig()
    const lease = await process().holdfast.mutex('m').acquire({ ttlMs: 4000, renew: false })
    const waiter = watch(process().holdfast.mutex('m').acquire())
    await clock.advance(3999)
    expect(waiter.settled).toBe(false)
    await clock.advance(10)
    expect(waiter.value?.fence).toBeGreaterThan(lease.fence)
  })

  it('with timeoutMs 0 tries once and names the holder', async () => {
    const { process } = rig()
    const { holdfast } = process({ label: 'nightly' })
    await holdfast.mutex('m').acquire()
    await expect(holdfast.mutex('m').acquire({ timeoutMs: 0 })).rejects.toMatchObject({
      name: 'AcquireTimeoutError',
      code: 'HOLDFAST_ACQUIRE_TIMEOUT',
      lock: 'm',
      timeoutMs: 0,
      ahead: undefined,
      message: expect.stringMatching(/held by process \d+ on .+ \(nightly\)/),
    })
  })

  it('gives up after timeoutMs, says who is ahead, and leaves the line', async () => {
    const { clock, process, store } = rig()
    const lease = await process().holdfast.mutex('m').acquire()
    const first = watch(process().holdfast.mutex('m').acquire({ timeoutMs: 1000 }))
    await clock.advance(1)
    const second = watch(process().holdfast.mutex('m').acquire({ timeoutMs: 500 }))
    await clock.advance(499)
    expect(second.settled).toBe(false)
    await clock.advance(1)
    expect(second.error).toMatchObject({
      code: 'HOLDFAST_ACQUIRE_TIMEOUT',
      timeoutMs: 500,
      ahead: 1,
    })
    await clock.advance(500)
    expect(first.error).toMatchObject({ code: 'HOLDFAST_ACQUIRE_TIMEOUT', ahead: 0 })
    expect((await process().holdfast.inspect('m'))?.waiting).toBe(0)
    await lease.release()
    expect(store.size.locks).toBe(0)
  })

  it('is cancelled by its signal, with the reason as it is, and leaves the line', async () => {
    const { clock, process } = rig()
    await process().holdfast.mutex('m').acquire()
    const controller = new AbortController()
    const waiter = watch(process().holdfast.mutex('m').acquire({ signal: controller.signal }))
    await clock.advance(100)
    const reason = { my: 'reason' }
    controller.abort(reason)
    await clock.advance(1)
    expect(waiter.error).toBe(reason)
    expect((await process().holdfast.inspect('m'))?.waiting).toBe(0)
    await expect(process().holdfast.mutex('n').acquire({ signal: controller.signal })).rejects.toBe(
      reason,
    )
    expect(await process().holdfast.inspect('n')).toBeNull()
  })

  it('passes the grant on when cancelled at the moment of the grant', async () => {
    const { clock, process } = rig()
    const lease = await process().holdfast.mutex('m').acquire()
    const controller = new AbortController()
    const first = watch(process().holdfast.mutex('m').acquire({ signal: controller.signal }))
    await clock.advance(1)
    const second = watch(process().holdfast.mutex('m').acquire())
    await clock.advance(1)
    const releasing = lease.release()
    controller.abort()
    await releasing
    await clock.advance(5)
    expect(first.error).toMatchObject({ name: 'AbortError' })
    expect(second.value?.held).toBe(true)
  })

  it('gives back whole what was granted to a call that was over, whatever its minimum hold', async () => {
    const { clock, process, store } = rig(3)
    const { holdfast } = process({ plan: [{ untilMs: 5, delayMs: 50 }] })
    const late = new AbortController()
    const cancelled = watch(
      holdfast.mutex('m').acquire({ signal: late.signal, minHoldMs: 20_000, ttlMs: 30_000 }),
    )
    await clock.advance(1)
    late.abort()
    await clock.advance(200)
    expect(cancelled.settled).toBe(true)
    expect(store.size.locks).toBe(0)
    // The same where the grant came by push, at the moment at which its waiter left.
    const lease = await process().holdfast.mutex('n').acquire()
    const leaving = new AbortController()
    watch(process().holdfast.mutex('n').acquire({ signal: leaving.signal, minHoldMs: 20_000 }))
    await clock.advance(1)
    const releasing = lease.release()
    leaving.abort()
    await releasing
    await clock.advance(5)
    expect(store.size.locks).toBe(0)
  })

  it('cleans up a request that was under way when it was cancelled', async () => {
    const { clock, process, store } = rig(3)
    const { holdfast } = process({ plan: [{ untilMs: 5, delayMs: 50 }] })
    const controller = new AbortController()
    const waiter = watch(holdfast.mutex('m').acquire({ signal: controller.signal }))
    await clock.advance(1)
    controller.abort()
    await clock.advance(200)
    expect(waiter.error).toMatchObject({ name: 'AbortError' })
    expect(store.size.locks).toBe(0)
  })

  it('survives a lost reply without blocking itself', async () => {
    const { clock, process } = rig()
    const { holdfast } = process({
      plan: [{ untilMs: 50, operations: ['acquire'], loseReply: 1, patienceMs: 60 }],
    })
    const lease = watch(holdfast.mutex('m').acquire())
    await clock.advance(200)
    expect(lease.value?.held).toBe(true)
    // The lease counts from before the request that was answered, and the engine's view is not
    // shorter.
    expect(lease.value?.remainingMs).toBeLessThan(10_000 - 60)
  })

  it('rejects with EngineError when the engine is gone, and cleans up later', async () => {
    const { clock, process, store } = rig()
    const { holdfast } = process({ plan: [{ untilMs: 5900, loseReply: 1, patienceMs: 1000 }] })
    const waiter = watch(holdfast.mutex('m').acquire({ ttlMs: 60_000 }))
    await clock.advance(5900)
    expect(waiter.error).toBeInstanceOf(EngineError)
    expect(waiter.error).toMatchObject({ outcome: 'unknown', lock: 'm' })
    await clock.advance(3000)
    expect(store.size.locks).toBe(0)
  })

  it('tells unreachable from busy when the time is over before any answer', async () => {
    const { clock, process } = rig()
    const { holdfast } = process({ plan: [{ loseRequest: 1, patienceMs: 1000 }] })
    const silent = watch(holdfast.mutex('m').acquire({ timeoutMs: 300 }))
    const failed = watch(holdfast.mutex('m').acquire({ timeoutMs: 1010 }))
    await clock.advance(300)
    expect(silent.error).toMatchObject({ code: 'HOLDFAST_ENGINE_FAILED', outcome: 'unknown' })
    expect((silent.error as Error).message).toContain('no answer within timeoutMs (300 ms)')
    await clock.advance(2000)
    expect(failed.error).toMatchObject({ code: 'HOLDFAST_ENGINE_FAILED' })
  })

  it('finds its grant by itself when the push was lost', async () => {
    const { clock, process } = rig()
    const lease = await process().holdfast.mutex('m').acquire()
    const waiter = watch(
      process({ plan: [{ operations: ['push'], loseRequest: 1 }] })
        .holdfast.mutex('m')
        .acquire(),
    )
    await clock.advance(1)
    await lease.release()
    await clock.advance(10_000 / 3)
    expect(waiter.value?.held).toBe(true)
  })

  it('keeps its place over a spell without an engine, if it is no longer than the place', async () => {
    const { clock, process } = rig()
    await process().holdfast.mutex('m').acquire()
    const patient = watch(
      process({ plan: [{ fromMs: 10, untilMs: 8000, refuse: 1 }] })
        .holdfast.mutex('m')
        .acquire(),
    )
    const unlucky = watch(
      process({ plan: [{ fromMs: 10, refuse: 1 }] })
        .holdfast.mutex('m')
        .acquire(),
    )
    await clock.advance(9000)
    expect(patient.settled).toBe(false)
    await clock.advance(8000)
    expect(patient.settled).toBe(false)
    expect(unlucky.error).toMatchObject({ code: 'HOLDFAST_ENGINE_FAILED' })
  })

  it('looks once more for news that came while a look was under way', async () => {
    const { clock, process } = rig()
    const lease = await process().holdfast.mutex('m').acquire()
    const { engine, holdfast } = process()
    let hint = () => {}
    engine.wait = async () => {
      await new Promise<void>((resolve) => {
        hint = resolve
      })
      return { state: 'waiting', ahead: 0, ticket: 0, lookMs: 0 }
    }
    const renew = engine.renew.bind(engine)
    engine.renew = async (places) => {
      const standings = await renew(places)
      await sleep(clock, 100)
      return standings
    }
    const waiter = watch(holdfast.mutex('m').acquire())
    await clock.advance(1)
    hint()
    await clock.advance(50)
    // The look has seen the lock taken, and its answer is on its way.
    await lease.release()
    hint()
    await clock.advance(200)
    expect(waiter.value?.held).toBe(true)
  })

  it('comes back to its place when the line lost it', async () => {
    const { clock, process } = rig()
    const lease = await process().holdfast.mutex('m').acquire()
    const first = process({
      plan: [{ fromMs: 5, untilMs: 12_000, operations: ['renew'], refuse: 1 }],
    })
    const order: string[] = []
    void first.holdfast.mutex('m').run(() => order.push('first'))
    await clock.advance(1)
    void process()
      .holdfast.mutex('m')
      .run(() => order.push('second'))
    // The place of the first ends after 10 s of silence; its next look brings it back in front.
    await clock.advance(13_000)
    await lease.release()
    await clock.advance(20)
    expect(order).toEqual(['first', 'second'])
  })

  it('does not accept a lease that its answer outlived', async () => {
    const { clock, process, store } = rig(5)
    const { holdfast } = process({
      requestTimeoutMs: 3000,
      plan: [{ delayMs: 5000, operations: ['acquire', 'renew'] }],
    })
    const waiter = watch(holdfast.mutex('m').acquire({ ttlMs: 20 }))
    await clock.advance(60_000)
    expect(waiter.error).toMatchObject({ code: 'HOLDFAST_ENGINE_FAILED' })
    expect((waiter.error as Error).message).toContain('longer than the lease')
    expect(store.size.locks).toBe(0)
  })

  it('renews a slow grant instead of failing', async () => {
    const { clock, process } = rig(7)
    const { holdfast } = process({ plan: [{ untilMs: 1, delayMs: 400, operations: ['acquire'] }] })
    const waiter = watch(holdfast.mutex('m').acquire({ ttlMs: 100 }))
    await clock.advance(1000)
    expect(waiter.value?.held).toBe(true)
  })

  it('keeps a lease that was granted while a request to come back was under way', async () => {
    for (let releaseMs = 20; releaseMs <= 800; releaseMs += 20) {
      const { clock, process } = rig(releaseMs)
      const plan = [{ fromMs: 100, operations: ['acquire'] as const, delayMs: 400 }]
      const waiting = process({ plan })
      const rival = process()
      const holder = await rival.holdfast.mutex('m').acquire()
      const lease = watch(waiting.holdfast.mutex('m').acquire({ ttlMs: 9000 }))
      await clock.advance(100)
      // The line loses the place; the next look asks for it again, slowly.
      const identity = (await rival.holdfast.inspect('m'))?.waiters[0]?.identity
      await rival.engine.release({ name: 'm', identity, ...MUTEX } as never)
      await clock.advance(releaseMs)
      await holder.release()
      await clock.advance(2000)
      expect(lease.value?.held).toBe(true)
      expect((await rival.holdfast.inspect('m'))?.holders[0]?.identity).toBe(identity)
    }
  })

  it('grants a lease with a ttl of weeks at its push', async () => {
    const { clock, process } = rig()
    const holder = await process().holdfast.mutex('m').acquire()
    const plan = [{ fromMs: 60_000, operations: ['renew'] as const, refuse: 1 }]
    const lease = watch(process({ plan }).holdfast.mutex('m').acquire({ ttlMs: 2_000_000_000 }))
    await clock.advance(60_000)
    await holder.release()
    await clock.advance(10)
    expect(lease.value?.held).toBe(true)
  })

  it('looks again when the push of a grant came too late, however long it had waited', async () => {
    const { clock, process } = rig()
    const holder = await process().holdfast.mutex('m').acquire()
    const plan = [
      { operations: ['push'] as const, delayMs: 3000 },
      { fromMs: 20_000, untilMs: 23_000, operations: ['renew'] as const, refuse: 1 },
    ]
    const lease = watch(process({ plan }).holdfast.mutex('m').acquire({ ttlMs: 300 }))
    await clock.advance(20_000)
    await holder.release()
    await clock.advance(5000)
    expect(lease.value?.held).toBe(true)
  })
})
