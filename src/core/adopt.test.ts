import { describe, expect, it } from 'vitest'
import { type Process, rig, watch } from '../../test/support/rig.ts'
import { adopt } from './adopt.ts'
import { DEFAULT_LEASE } from './options.ts'

const KEPT = DEFAULT_LEASE

function placeOf({ holdfast }: Process, identity: string, ttlMs = 5000) {
  const { core } = holdfast
  const ask = holdfast.mutex('m', { ttlMs }).ask(core, undefined)
  return core.place({ ...ask, identity })
}

describe('a lease that is taken over', () => {
  it('goes on under its identity and fence, for the new ttl', async () => {
    const { clock, process } = rig()
    const [one, two] = [process(), process()]
    const first = await one.holdfast.mutex('m').acquire({ ttlMs: 1000, renew: false })
    const lease = await adopt(two.holdfast.core, placeOf(two, first.identity), KEPT)
    expect(lease?.fence).toBe(first.fence)
    await clock.advance(20_000)
    expect(first.held).toBe(false)
    expect(lease?.held).toBe(true)
    expect(await lease?.release()).toBe(true)
  })

  it('is none when the identity does not hold the lock', async () => {
    const { clock, process } = rig()
    const [one, two] = [process(), process()]
    const { core } = two.holdfast
    expect(await adopt(core, placeOf(two, 'a'.repeat(32)), KEPT)).toBeNull()
    const first = await one.holdfast.mutex('m').acquire({ ttlMs: 1000, renew: false })
    expect(await adopt(core, placeOf(two, 'a'.repeat(32)), KEPT)).toBeNull()
    await clock.advance(1100)
    expect(await adopt(core, placeOf(two, first.identity), KEPT)).toBeNull()
    // An engine that says nothing knows nothing.
    Object.assign(two.engine, { renew: async () => [] })
    expect(await adopt(core, placeOf(two, first.identity), KEPT)).toBeNull()
  })

  it('is none when the answer came after its end', async () => {
    const { clock, process } = rig()
    const two = process()
    const held = { state: 'held', fence: 1, deadline: clock.now() } as const
    Object.assign(two.engine, { renew: async () => [held] })
    expect(await adopt(two.holdfast.core, placeOf(two, 'a'.repeat(32)), KEPT)).toBeNull()
  })

  it('rejects when the engine does not answer, or is closed', async () => {
    const { clock, process } = rig()
    const two = process({ plan: [{ operations: ['renew'], unknown: 1 }] })
    const { core } = two.holdfast
    const taken = watch(adopt(core, placeOf(two, 'a'.repeat(32)), KEPT))
    await clock.advance(10_000)
    expect(taken.error).toMatchObject({ code: 'HOLDFAST_ENGINE_FAILED' })
    await two.holdfast.close()
    const late = adopt(core, placeOf(two, 'a'.repeat(32)), KEPT)
    await expect(late).rejects.toMatchObject({ code: 'HOLDFAST_CLOSED' })
  })
})

describe('a lease that is detached', () => {
  it('stays taken until its ttl, and nothing is told', async () => {
    const { clock, process } = rig()
    const [one, two] = [process(), process()]
    const lease = await one.holdfast.mutex('m').acquire({ ttlMs: 1000 })
    lease.detach()
    await one.holdfast.close()
    expect(await two.holdfast.mutex('m').tryAcquire()).toBeNull()
    await clock.advance(1100)
    expect((await two.holdfast.mutex('m').tryAcquire())?.held).toBe(true)
    expect(one.told).toEqual(['granted: m'])
  })
})

describe('a Holdfast that leaves', () => {
  it('gives nothing back, and settles who waits', async () => {
    const { clock, process } = rig()
    const [one, two] = [process(), process()]
    const lease = await one.holdfast.mutex('m').acquire({ ttlMs: 1000 })
    const { signal } = lease
    const waiting = watch(one.holdfast.mutex('m').acquire())
    await clock.advance(10)
    await one.holdfast.leave()
    expect(signal.reason).toMatchObject({ code: 'HOLDFAST_CLOSED' })
    expect(waiting.error).toMatchObject({ code: 'HOLDFAST_CLOSED' })
    expect(lease.held).toBe(false)
    expect(await two.holdfast.mutex('m').tryAcquire()).toBeNull()
    await clock.advance(1100)
    expect((await two.holdfast.mutex('m').tryAcquire())?.held).toBe(true)
  })
})
