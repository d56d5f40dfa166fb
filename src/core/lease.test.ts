import { LeaseLostError } from 'holdfast'
import { describe, expect, it } from 'vitest'
import { rig, watch } from '../../test/support/rig.ts'

const SILENT = { loseRequest: 1, patienceMs: 100 }

describe('a lease', () => {
  it('carries a fence that grows, an identity of its own and the time left', async () => {
    const { process } = rig()
    const mutex = process().holdfast.mutex('m')
    const first = await mutex.acquire({ ttlMs: 1000 })
    expect(first.identity).toMatch(/^[0-9a-f]{32}$/)
    expect(first.held).toBe(true)
    expect(first.state).toBe('held')
    expect(first.remainingMs).toBe(1000 - 12)
    await first.release()
    const second = await mutex.acquire()
    expect(second.fence).toBeGreaterThan(first.fence)
    expect(second.identity).not.toBe(first.identity)
  })

  it('renews itself for as long as it is held', async () => {
    const { clock, process } = rig()
    const { holdfast, told } = process()
    const lease = await holdfast.mutex('m').acquire({ ttlMs: 1000 })
    await clock.advance(60_000)
    expect(lease.held).toBe(true)
    expect(lease.remainingMs).toBeGreaterThan(500)
    expect(told).toEqual(['granted: m'])
  })

  it('does not renew when told not to', async () => {
    const { clock, process } = rig()
    const { holdfast, told } = process()
    const lease = await holdfast.mutex('m').acquire({ ttlMs: 1000, renew: false })
    const { signal } = lease
    await clock.advance(987)
    expect(lease.held).toBe(true)
    await clock.advance(2)
    expect(lease.held).toBe(false)
    expect(lease.state).toBe('lost')
    expect(signal.aborted).toBe(true)
    expect(signal.reason).toMatchObject({
      code: 'HOLDFAST_LEASE_LOST',
      reason: 'expired',
      lock: 'm',
    })
    expect(told).toEqual(['granted: m', 'lost: expired'])
  })

  it('ends after maxHoldMs, however well it is renewed, and the next is granted', async () => {
    const { clock, process } = rig()
    const { holdfast, told } = process()
    const rival = process()
    const mutex = holdfast.mutex('m', { ttlMs: 1000, maxHoldMs: 5000 })
    const hangs = watch(mutex.run(() => new Promise(() => undefined)))
    await clock.advance(1)
    const granted = watch(rival.holdfast.mutex('m').acquire())
    await clock.advance(4990)
    expect(granted.settled).toBe(false)
    expect(told).toEqual(['granted: m'])
    await clock.advance(10)
    expect(told).toEqual(['granted: m', 'lost: overdue'])
    expect(granted.value?.held).toBe(true)
    expect(hangs.settled).toBe(false)
  })

  it('is overdue for whoever asks before the timer could tell', async () => {
    const { clock, process } = rig()
    const lease = await process().holdfast.mutex('m').acquire({ maxHoldMs: 100, renew: false })
    expect(lease.remainingMs).toBe(100)
    clock.now = () => 150
    expect(() => lease.assertHeld()).toThrow('was held for all of its maxHoldMs')
    expect(lease.signal.reason).toMatchObject({ reason: 'overdue' })
    expect(await lease.release()).toBe(false)
    await clock.advance(1)
    expect(await process().holdfast.mutex('m').tryAcquire()).not.toBeNull()
  })

  it('is told lost before another can be granted it, when the engine falls silent', async () => {
    const { clock, process } = rig()
    const holder = process({ plan: [{ fromMs: 10, ...SILENT }] })
    const rival = process()
    const lease = await holder.holdfast.mutex('m').acquire({ ttlMs: 1000 })
    const granted = watch(rival.holdfast.mutex('m').acquire({ ttlMs: 1000 }))
    let lostAt = Number.POSITIVE_INFINITY
    lease.signal.addEventListener('abort', () => {
      lostAt = clock.now()
      expect(granted.settled).toBe(false)
    })
    for (let at = 0; at < 3000 && !granted.settled; at += 5) await clock.advance(5)
    expect(granted.value?.held).toBe(true)
    expect(lostAt).toBeLessThan(clock.now())
    expect(holder.told).toEqual(['granted: m', 'jeopardy: m', 'lost: expired'])
  })

  it('survives failed renewals that are followed by a good one', async () => {
    const { clock, process } = rig()
    const { holdfast, told } = process({
      plan: [{ fromMs: 300, untilMs: 700, operations: ['renew'], refuse: 1 }],
    })
    const lease = await holdfast.mutex('m').acquire({ ttlMs: 1000 })
    await clock.advance(500)
    expect(lease.state).toBe('jeopardy')
    expect(lease.held).toBe(true)
    await clock.advance(5000)
    expect(lease.state).toBe('held')
    expect(told).toEqual(['granted: m', 'jeopardy: m', 'secured: m'])
  })

  it('takes a refusal as final and tells at once', async () => {
    const { clock, process } = rig()
    const { holdfast, engine, told } = process()
    const lease = await holdfast.mutex('m').acquire({ ttlMs: 9000 })
    await stealFrom(engine, lease)
    await clock.advance(3100)
    expect(lease.state).toBe('lost')
    expect(told).toEqual(['granted: m', 'lost: refused'])
    expect(await lease.release()).toBe(false)
  })

  it('computes held at the moment it is asked, not when a timer fires', async () => {
    const { clock, process } = rig()
    const { holdfast } = process()
    const lease = await holdfast.mutex('m').acquire({ ttlMs: 1000 })
    const { signal } = lease
    // A blocked event loop: time passes, no timer fires.
    clock.now = () => 5000
    expect(lease.held).toBe(false)
    expect(signal.aborted).toBe(true)
    expect(() => lease.assertHeld()).toThrow(LeaseLostError)
  })

  it('makes a signal that is already aborted once lost', async () => {
    const { clock, process } = rig()
    const lease = await process().holdfast.mutex('m').acquire({ ttlMs: 1000, renew: false })
    await clock.advance(2000)
    expect(lease.signal.aborted).toBe(true)
    expect(lease.signal.reason).toBeInstanceOf(LeaseLostError)
  })

  it('asserts that enough time is left', async () => {
    const { clock, process } = rig()
    const lease = await process().holdfast.mutex('m').acquire({ ttlMs: 1000, renew: false })
    expect(() => lease.assertHeld()).not.toThrow()
    expect(() => lease.assertHeld(900)).not.toThrow()
    await clock.advance(200)
    expect(() => lease.assertHeld(900)).toThrow(
      expect.objectContaining({ code: 'HOLDFAST_LEASE_LOST', reason: 'short' }),
    )
    expect(lease.held).toBe(true)
    expect(() => lease.assertHeld(-1)).toThrow(RangeError)
    expect(() => lease.assertHeld('1' as never)).toThrow(TypeError)
  })

  it('renews on demand', async () => {
    const { clock, process } = rig()
    const lease = await process().holdfast.mutex('m').acquire({ ttlMs: 1000, renew: false })
    await clock.advance(900)
    await lease.renew()
    expect(lease.remainingMs).toBe(988)
    await clock.advance(2000)
    await expect(lease.renew()).rejects.toMatchObject({ code: 'HOLDFAST_LEASE_LOST' })
  })

  it('says when a renewal on demand is refused or cannot be confirmed', async () => {
    const { clock, process } = rig()
    const { holdfast, engine } = process({
      plan: [{ fromMs: 100, operations: ['renew'], unknown: 1 }],
    })
    const lease = await holdfast.mutex('m').acquire({ ttlMs: 60_000 })
    await clock.advance(100)
    const renewed = watch(lease.renew())
    await clock.advance(6000)
    expect(renewed.error).toMatchObject({ code: 'HOLDFAST_ENGINE_FAILED' })
    expect(lease.held).toBe(true)
    await stealFrom(engine, lease)
    const stolen = process().holdfast
    const other = await stolen.mutex('n').acquire()
    await stealFrom(engine, other)
    await expect(other.renew()).rejects.toMatchObject({ reason: 'refused' })
  })
})

describe('a release', () => {
  it('is repeatable and says whether the lease was still there', async () => {
    const { process } = rig()
    const { holdfast, told } = process()
    const lease = await holdfast.mutex('m').acquire()
    const both = await Promise.all([lease.release(), lease.release()])
    expect(both).toEqual([true, true])
    expect(lease.held).toBe(false)
    expect(lease.state).toBe('released')
    expect(lease.remainingMs).toBe(0)
    expect(lease.signal.aborted).toBe(false)
    expect(told).toEqual(['granted: m', 'released: m'])
  })

  it('counts as done when only its reply was lost', async () => {
    const { clock, process } = rig()
    const { holdfast } = process({
      plan: [{ untilMs: 50, operations: ['release'], loseReply: 1, patienceMs: 60 }],
    })
    const lease = await holdfast.mutex('m').acquire()
    const released = watch(lease.release())
    await clock.advance(1000)
    expect(released.value).toBe(true)
  })

  it('rejects when the engine is gone, and goes on until it is back', async () => {
    const { clock, process } = rig()
    const { holdfast, told } = process({
      plan: [{ fromMs: 1, untilMs: 7000, operations: ['release'], refuse: 1 }],
    })
    const lease = await holdfast.mutex('m').acquire({ ttlMs: 60_000 })
    await clock.advance(1)
    const released = watch(lease.release())
    await clock.advance(5000)
    expect(released.error).toMatchObject({ code: 'HOLDFAST_ENGINE_FAILED', outcome: 'none' })
    await clock.advance(3000)
    expect(await process().holdfast.mutex('m').tryAcquire()).not.toBeNull()
    expect(told).toEqual(['granted: m'])
  })

  it('tells an error when the background gives up too', async () => {
    const { clock, process } = rig()
    const { holdfast, told } = process({
      plan: [{ fromMs: 1, operations: ['release', 'renew'], refuse: 1 }],
    })
    const lease = await holdfast.mutex('m').acquire({ ttlMs: 1000 })
    await clock.advance(1)
    const disposed = watch(lease[Symbol.asyncDispose]())
    await clock.advance(20_000)
    expect(disposed.settled).toBe(true)
    expect(disposed.error).toBeUndefined()
    expect(told.filter((each) => each.startsWith('error'))).toHaveLength(2)
  })

  it('cleans up what an unanswered renewal may have kept', async () => {
    const { clock, process, store } = rig()
    const { holdfast } = process({
      plan: [{ fromMs: 1, untilMs: 1200, operations: ['renew'], loseReply: 1, patienceMs: 900 }],
    })
    const lease = await holdfast.mutex('m').acquire({ ttlMs: 1000 })
    await clock.advance(1000)
    expect(lease.state).toBe('lost')
    expect(store.size.locks).toBe(1)
    expect(await lease.release()).toBe(false)
    await clock.advance(10)
    expect(store.size.locks).toBe(0)
  })
})

/** Somebody releases the lease behind its back. */
async function stealFrom(
  engine: { release(place: never): Promise<boolean> },
  lease: { name: string; identity: string },
): Promise<void> {
  const place = {
    name: lease.name,
    identity: lease.identity,
    shape: { kind: 'mutex', capacity: 1 },
    permits: 1,
    minHoldMs: 0,
  }
  expect(await engine.release(place as never)).toBe(true)
}
