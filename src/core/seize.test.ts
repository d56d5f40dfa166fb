import { describe, expect, it } from 'vitest'
import { type Process, rig, watch } from '../../test/support/rig.ts'
import { DEFAULT_LEASE } from './options.ts'
import { seize } from './seize.ts'

const KEPT = DEFAULT_LEASE

function placeOf({ holdfast }: Process, name = 'm') {
  const { core } = holdfast
  return core.place(holdfast.mutex(name).ask(core, undefined))
}

describe('a seizure', () => {
  it('goes before those who wait, and tells a holder of the same Holdfast at once', async () => {
    const { clock, process } = rig()
    const one = process()
    const held = await one.holdfast.mutex('m').acquire()
    const waiting = watch(one.holdfast.mutex('m').acquire())
    await clock.advance(10)
    const seized = await seize(one.holdfast.core, placeOf(one), KEPT)
    expect(held.state).toBe('lost')
    expect(one.told).toContain('lost: refused')
    expect(seized.fence).toBeGreaterThan(held.fence)
    expect(waiting.settled).toBe(false)
    await seized.release()
    await clock.advance(10)
    expect(waiting.value?.held).toBe(true)
  })

  it('looks again when another seizure came in between', async () => {
    const { clock, process } = rig()
    const [one, two, three] = [process(), process(), process()]
    await one.holdfast.mutex('m').acquire()
    // What the second one looks at is what it was before the first one broke it.
    const { engine } = three
    const inspect = engine.inspect.bind(engine)
    const before = await inspect('m')
    let looks = 0
    Object.assign(engine, {
      inspect: async () => (looks++ === 0 ? before : await inspect('m')),
    })
    const first = watch(seize(two.holdfast.core, placeOf(two), KEPT))
    const second = watch(seize(three.holdfast.core, placeOf(three), KEPT))
    await clock.advance(500)
    expect(first.settled).toBe(true)
    expect(second.value?.held).toBe(true)
    await clock.advance(7000)
    expect(first.value?.held).toBe(false)
  })

  it('looks again when the engine knew nobody at the first look', async () => {
    const { clock, process } = rig()
    const [one, two] = [process(), process()]
    await one.holdfast.mutex('m').acquire()
    const { engine } = two
    const inspect = engine.inspect.bind(engine)
    let looks = 0
    Object.assign(engine, { inspect: async () => (looks++ === 0 ? null : await inspect('m')) })
    const seized = watch(seize(two.holdfast.core, placeOf(two), KEPT))
    await clock.advance(500)
    expect(seized.value?.held).toBe(true)
    expect(looks).toBeGreaterThan(1)
  })

  it('stops looking when it sees a grant whose news was lost', async () => {
    const { clock, process } = rig()
    const one = process()
    const two = process({ plan: [{ operations: ['push'], loseRequest: 1 }] })
    const held = await one.holdfast.mutex('m').acquire()
    const { engine } = two
    const inspect = engine.inspect.bind(engine)
    // The holder leaves by itself meanwhile, and the look says who holds the lock then.
    Object.assign(engine, {
      inspect: async () => {
        await held.release()
        return await inspect('m')
      },
    })
    const seized = watch(seize(two.holdfast.core, placeOf(two), KEPT))
    await clock.advance(5000)
    expect(seized.value?.held).toBe(true)
  })

  it('breaks nobody when the grant came while it looked', async () => {
    const { clock, process } = rig()
    const [one, two] = [process(), process()]
    const held = await one.holdfast.mutex('m').acquire()
    const { engine } = two
    const inspect = engine.inspect.bind(engine)
    // The holder leaves by itself meanwhile, and the look says who holds the lock then.
    Object.assign(engine, {
      inspect: async () => {
        await held.release()
        return await inspect('m')
      },
    })
    const seized = watch(seize(two.holdfast.core, placeOf(two), KEPT))
    await clock.advance(500)
    expect(seized.value?.held).toBe(true)
  })

  it('leaves no place behind when the engine does not answer', async () => {
    const { clock, process, store } = rig()
    const one = process()
    const held = await one.holdfast.mutex('m').acquire({ ttlMs: 30_000 })
    const two = process({ plan: [{ operations: ['inspect'], refuse: 1 }] })
    const seized = watch(seize(two.holdfast.core, placeOf(two), KEPT))
    await clock.advance(20_000)
    expect(seized.error).toMatchObject({ code: 'HOLDFAST_ENGINE_FAILED', operation: 'inspect' })
    expect(held.held).toBe(true)
    await held.release()
    expect(store.size.locks).toBe(0)
  })

  it('ends with the Holdfast', async () => {
    const { clock, process } = rig()
    const one = process()
    await one.holdfast.mutex('m').acquire({ ttlMs: 30_000 })
    const two = process()
    Object.assign(two.engine, { release: async () => false })
    const seized = watch(seize(two.holdfast.core, placeOf(two), KEPT))
    await clock.advance(200)
    expect(seized.settled).toBe(false)
    await two.holdfast.close()
    await clock.advance(200)
    expect(seized.error).toMatchObject({ code: 'HOLDFAST_CLOSED' })
    expect(two.told.filter((each) => each.startsWith('error'))).toEqual([])
  })
})
