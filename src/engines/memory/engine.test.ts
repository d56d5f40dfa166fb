import { afterEach, describe, expect, it } from 'vitest'
import type { Engine, Place } from '../../core/engine.ts'
import { place, SimulatedClock } from '../../testing/index.ts'
import { MemoryStore, memory } from './index.ts'

const engines: Engine[] = []

afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close()
})

function world(keepFenceMs?: number) {
  const clock = new SimulatedClock()
  const store = new MemoryStore({
    clock,
    nowMicros: () => 5_000_000 + clock.now() * 1000,
    ...(keepFenceMs === undefined ? {} : { keepFenceMs }),
  })
  const process = (own?: SimulatedClock) => {
    const engine = memory({ store, ...(own === undefined ? {} : { clock: own }) })
    engines.push(engine)
    return engine
  }
  return { clock, store, process }
}

const join = (engine: Engine, asked: Place) => engine.acquire({ ...asked, wait: true })
const never = () => new AbortController().signal

describe('a memory engine', () => {
  it('needs nothing to start', async () => {
    const [one, other] = [memory(), memory()]
    engines.push(one, other)
    const asked = place('lock')
    const before = Date.now() * 1000
    expect(await join(one, asked)).toMatchObject({ state: 'held' })
    const apart = await join(other, asked)
    expect(apart.state === 'held' && apart.fence >= before).toBe(true)
  })

  it('takes a clock for itself and its store', async () => {
    const clock = new SimulatedClock(70)
    const engine = memory({ clock })
    engines.push(engine)
    expect(await join(engine, place('lock', { ttlMs: 30 }))).toMatchObject({ deadline: 100 })
    await clock.advance(30)
    expect(await engine.inspect('lock')).toBeNull()
  })

  it('counts deadlines on its own clock', async () => {
    const { clock, process } = world()
    const own = new SimulatedClock(1e6)
    const [a, b] = [process(), process(own)]
    const [first, second] = [place('lock', { ttlMs: 50 }), place('lock', { grantTtlMs: 20 })]
    expect(await join(a, first)).toMatchObject({ deadline: 50 })
    await join(b, second)
    const news = b.wait(second, never())
    await clock.advance(10)
    await a.release(first)
    expect(await news).toMatchObject({ state: 'held', deadline: 1e6 + 20 })
  })

  it('passes over the waiters of an engine that was closed', async () => {
    const { process } = world()
    const [a, b, c] = [process(), process(), process()]
    const [first, second, third] = [place('lock'), place('lock'), place('lock')]
    await join(a, first)
    await join(b, second)
    await join(c, third)
    await b.close()
    await a.release(first)
    expect(await c.wait(third, never())).toMatchObject({ state: 'held' })
  })
})

describe('wait', () => {
  it('says that a look is due to a waiter that was swept or sent away', async () => {
    const { clock, process } = world()
    const [a, b] = [process(), process()]
    const [holder, swept, sent] = [place('lock'), place('lock', { waitTtlMs: 10 }), place('lock')]
    await join(a, holder)
    await join(b, swept)
    await join(b, sent)
    const news = [b.wait(swept, never()), b.wait(sent, never())]
    await clock.advance(10)
    expect(await a.release(sent)).toBe(true)
    expect(await Promise.all(news)).toMatchObject([
      { state: 'waiting', lookMs: 0 },
      { state: 'waiting', lookMs: 0 },
    ])
  })

  it('tells everybody who waits for one place', async () => {
    const { process } = world()
    const a = process()
    const [holder, waiter] = [place('lock'), place('lock')]
    await join(a, holder)
    await join(a, waiter)
    const news = [a.wait(waiter, never()), a.wait(waiter, never())]
    await a.release(holder)
    expect(await Promise.all(news)).toMatchObject([{ state: 'held' }, { state: 'held' }])
  })

  it('hears of a grant that its own process found by looking', async () => {
    const { clock, process } = world()
    const a = process()
    const waiter = place('lock', { ttlMs: 500 })
    await join(a, place('lock', { ttlMs: 10 }))
    await join(a, waiter)
    const news = a.wait(waiter, never())
    await clock.advance(10)
    const [looked] = await a.renew([waiter])
    expect(await news).toEqual(looked)
    expect(looked).toMatchObject({ state: 'held', deadline: 510 })
  })

  it('is not told of what came before the latest standing', async () => {
    const { clock, process } = world()
    const [a, b] = [process(), process()]
    const waiter = place('lock', { waitTtlMs: 10 })
    await join(a, place('lock'))
    await join(b, waiter)
    await clock.advance(10)
    await a.inspect('lock')
    await join(b, waiter)
    const enough = new AbortController()
    const news = b.wait(waiter, enough.signal)
    enough.abort('enough')
    await expect(news).rejects.toBe('enough')
  })

  it('for a place that nobody knows ends by its signal only', async () => {
    const { process } = world()
    const a = process()
    const stranger = place('lock')
    const [one, other] = [new AbortController(), new AbortController()]
    const news = [a.wait(stranger, one.signal), a.wait(stranger, other.signal)]
    const outcomes = Promise.allSettled(news)
    expect(await a.renew([stranger])).toEqual([{ state: 'absent' }])
    one.abort('one')
    other.abort('other')
    expect(await outcomes).toMatchObject([{ reason: 'one' }, { reason: 'other' }])
  })
})

describe('the store', () => {
  it('keeps nothing of a lock but its last fence, and that for a while', async () => {
    const { clock, store, process } = world(1_000)
    const a = process()
    for (let round = 0; round < 50; round++) {
      const asked = place(`lock ${round}`)
      await join(a, asked)
      await a.release(asked)
    }
    expect(store.size).toEqual({ locks: 0, fences: 50 })
    await clock.advance(2_000)
    for (let round = 0; round < 25; round++) {
      const asked = place('another')
      await join(a, asked)
      await a.release(asked)
    }
    expect(store.size).toEqual({ locks: 0, fences: 1 })
  })

  it('forgets leases that nobody ended and nobody looks at', async () => {
    const { clock, store, process } = world()
    const a = process()
    for (let round = 0; round < 50; round++) {
      await join(a, place(`lock ${round}`, { ttlMs: 100 }))
      await join(a, place(`lock ${round}`, { waitTtlMs: 100 }))
    }
    await clock.advance(1_000)
    expect(store.size.locks).toBe(50)
    for (let round = 0; round < 60; round++) {
      const asked = place('another')
      await join(a, asked)
      await a.release(asked)
    }
    expect(store.size.locks).toBe(0)
  })

  it('remembers no fence of a lock that was never granted', async () => {
    const { store, process } = world()
    const a = process()
    expect(await a.release(place('lock'))).toBe(false)
    expect(await a.inspect('lock')).toBeNull()
    expect(await a.renew([place('lock')])).toEqual([{ state: 'absent' }])
    expect(store.size).toEqual({ locks: 0, fences: 0 })
  })

  it('draws larger fences than a store before it', async () => {
    const { clock, process } = world()
    const before = await join(process(), place('lock'))
    await clock.advance(1)
    const next = new MemoryStore({ clock, nowMicros: () => 5_000_000 + clock.now() * 1000 })
    const engine = memory({ store: next })
    engines.push(engine)
    const after = await join(engine, place('lock'))
    expect(before).toMatchObject({ fence: 5_000_000 })
    expect(after).toMatchObject({ fence: 5_001_000 })
  })
})
