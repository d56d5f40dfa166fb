import { createHoldfast, type Engine } from 'holdfast'
import { MemoryStore, memory } from 'holdfast/memory'
import { quorum } from 'holdfast/quorum'
import { place, SimulatedClock, seededRandom, settled } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import type { Standing } from '../../../src/core/engine.ts'
import { EngineError } from '../../../src/core/errors.ts'
import { watch } from '../../support/rig.ts'

/** Three stores, and engines on them whose calls a test can take over. */
function world() {
  const clock = new SimulatedClock(1_000)
  const random = seededRandom(7)
  const stores = Array.from({ length: 3 }, (_, at) => {
    const nowMicros = () => 1.7e15 + at * 7_000 + Math.floor(clock.now() * 1000)
    return new MemoryStore({ clock, nowMicros })
  })
  const engines = () => stores.map((store) => memory({ clock, store }))
  const over = (nodes: readonly Engine[]) => quorum(nodes, { clock, random, nodeTimeoutMs: 200 })
  return { clock, random, stores, engines, over }
}

const now = (asked: ReturnType<typeof place>) => ({ ...asked, wait: false })
const holderOf = (store: MemoryStore) => store.inspect('lock')?.holders[0]?.identity

const refused = new EngineError({
  engine: 'memory',
  operation: 'renew',
  outcome: 'none',
  transient: true,
  problem: 'refused',
})

describe('a grant that was kept in a split vote', () => {
  it('is given back when its node then refuses the next question', async () => {
    const { clock, stores, engines, over } = world()
    const [first, second, third] = engines() as [Engine, Engine, Engine]
    await second.acquire(now(place('lock')))
    await third.acquire(now(place('lock')))
    first.renew = async () => {
      throw refused
    }
    const engine = over([first, second, third])
    const beaten = watch(engine.acquire(now(place('lock'))))
    await clock.advance(3_000)
    expect(beaten.value).toMatchObject({ state: 'absent' })
    expect(stores[0]!.inspect('lock')).toBeNull()
    await engine.close()
  })
})

describe('a give-back that arrives late', () => {
  it('does not undo a later grant of the same identity', async () => {
    const { clock, stores, engines, over } = world()
    const [first, second, third] = engines() as [Engine, Engine, Engine]
    const asked = place('lock', { ttlMs: 60_000, waitTtlMs: 60_000 })
    const release = third.release.bind(third)
    let arrive = () => {}
    const engine = over([first, second, third])
    expect(await engine.acquire(now(asked))).toMatchObject({ state: 'held' })
    // Two nodes lost the lease; what the third keeps is given back, but that takes a while.
    for (const each of engines().slice(0, 2)) await each.release(asked)
    third.release = (...args) => {
      third.release = release
      return new Promise((resolve) => {
        arrive = () => resolve(release(...args))
      })
    }
    expect(await engine.renew([asked])).toEqual([{ state: 'absent' }])
    first.acquire = async () => {
      throw refused
    }
    const again = watch(engine.acquire({ ...asked, wait: true }))
    await clock.advance(1_000)
    arrive()
    await settled()
    const [, one, other] = stores.map(holderOf)
    const kept = one !== undefined && one === other
    expect(again.value?.state !== 'held' || kept).toBe(true)
    const later = watch(engine.acquire({ ...asked, wait: true }))
    await clock.advance(1_000)
    expect(later.value).toMatchObject({ state: 'held' })
    expect(holderOf(stores[1]!)).toBe(holderOf(stores[2]!))
    await engine.release(asked)
    await settled()
    expect(stores.map(holderOf)).toEqual([undefined, undefined, undefined])
    await engine.close()
  })
})

describe('a grant that comes late, after its round was given up', () => {
  it('is not counted by a renewal while it is about to be given back', async () => {
    const { clock, stores, engines, over } = world()
    const [first, second, third] = engines() as [Engine, Engine, Engine]
    const asked = place('lock', { ttlMs: 1_000, waitTtlMs: 1_000 })
    const others = place('lock', { ttlMs: 60_000 })
    await third.acquire(now(others))
    // The first node grants, but is slow to say so, and slow to take back what it granted.
    const [acquire, release] = [first.acquire.bind(first), first.release.bind(first)]
    let told = () => {}
    let takenBack = () => {}
    first.acquire = (claim) => {
      first.acquire = acquire
      return new Promise((resolve) => {
        told = () => resolve(acquire(claim))
      })
    }
    first.release = (...args) => {
      first.release = release
      return new Promise((resolve) => {
        takenBack = () => resolve(release(...args))
      })
    }
    const engine = over([first, second, third])
    const outcome = watch(engine.acquire(now(asked)))
    // The second node is kept in the split vote, and the third is free in the next round.
    await clock.advance(200)
    await third.release(others)
    await clock.advance(150)
    expect(outcome.value).toMatchObject({ state: 'held' })
    told()
    await settled()
    expect(stores.map(holderOf)).toEqual([asked.identity, asked.identity, asked.identity])
    // Only the first node and one of the others confirm, and the first is about to be free.
    third.renew = async () => {
      throw refused
    }
    const [standing] = await engine.renew([asked])
    expect(standing).toMatchObject({ state: 'unknown' })
    takenBack()
    await engine.release(asked)
    await clock.advance(1_000)
    await engine.close()
  })
})

describe('a waiter behind a lock that nobody uses any more', () => {
  it('is let in soon after the majority is free', async () => {
    const { clock, random, engines, over } = world()
    const [first, second, third] = engines() as [Engine, Engine, Engine]
    await first.acquire(now(place('lock', { ttlMs: 600_000 })))
    const holder = place('lock', { ttlMs: 600_000 })
    for (const each of [second, third]) await each.acquire(now(holder))
    const holdfast = createHoldfast({ engine: over(engines()), clock, random })
    const mutex = holdfast.mutex('lock')
    const [one, other] = [watch(mutex.acquire()), watch(mutex.acquire())]
    await clock.advance(1_000)
    for (const each of [second, third]) await each.release(holder)
    await clock.advance(500)
    const winner = one.value ?? other.value
    expect(winner).toBeDefined()
    await winner!.release()
    await clock.advance(500)
    expect(one.value?.held === true || other.value?.held === true).toBe(true)
    await one.value?.release()
    await other.value?.release()
    await holdfast.close()
  })
})

describe('a place that was lost while somebody listens for it', () => {
  it('is looked at instead, since it may have been asked for again', async () => {
    const { clock, engines, over } = world()
    const others = place('lock', { ttlMs: 600_000 })
    for (const each of engines()) await each.acquire(now(others))
    const nodes = engines()
    const [first] = nodes as [Engine]
    const engine = over(nodes)
    const asked = place('lock', { waitTtlMs: 1_000 })
    const waits = { ...asked, wait: true }
    expect(await engine.acquire(waits)).toMatchObject({ state: 'waiting' })
    let hear: (news: Standing) => void = () => {}
    first.wait = () =>
      new Promise((resolve) => {
        hear = resolve
      })
    const news = watch(engine.wait(asked, new AbortController().signal))
    await settled()
    // Nothing was heard of the place for longer than it lives.
    await clock.advance(1_500)
    expect(await engine.renew([asked])).toMatchObject([{ state: 'absent' }])
    expect(await engine.acquire(waits)).toMatchObject({ state: 'waiting' })
    hear({ state: 'held', fence: 1, deadline: clock.now() + 1_000 })
    await settled()
    expect(news.value).toMatchObject({ state: 'waiting', lookMs: 0 })
    await engine.release(asked)
    await clock.advance(1_000)
    await engine.close()
  })
})

describe('a look that hangs on its line', () => {
  it('does not ask anew for a lease that was won meanwhile', async () => {
    const { clock, stores, engines, over } = world()
    const holder = place('lock', { ttlMs: 600_000 })
    const before = place('lock', { waitTtlMs: 600_000 })
    for (const each of engines()) {
      await each.acquire(now(holder))
      await each.acquire({ ...before, wait: true })
    }
    const nodes = engines()
    const [first] = nodes as [Engine]
    const renew = first.renew.bind(first)
    first.renew = () => {
      first.renew = renew
      return new Promise(() => {})
    }
    const engine = over(nodes)
    const asked = place('lock', { ttlMs: 60_000, waitTtlMs: 60_000 })
    expect(await engine.acquire({ ...asked, wait: true })).toMatchObject({ state: 'waiting' })
    const look = watch(engine.renew([asked]))
    await settled()
    for (const each of engines()) {
      await each.release(before)
      await each.release(holder)
    }
    const next = watch(engine.renew([asked]))
    await clock.advance(100)
    expect(next.value).toMatchObject([{ state: 'held' }])
    expect(look.value).toBeUndefined()
    let asks = 0
    for (const node of nodes) {
      const acquire = node.acquire.bind(node)
      node.acquire = (claim) => {
        asks++
        return acquire(claim)
      }
    }
    await clock.advance(1_000)
    expect(look.value).toEqual(next.value)
    expect(asks).toBe(0)
    const holders = stores.map(holderOf)
    expect(holders.filter((identity) => identity === asked.identity).length).toBeGreaterThan(1)
    await engine.release(asked)
    await clock.advance(1_000)
    await engine.close()
  })
})

describe('a quorum of quorums', () => {
  it('draws no smaller a fence than it is asked for', async () => {
    const { engines, over } = world()
    const fence = 1.9e15
    expect(await over(engines()).acquire({ ...now(place('lock')), fence })).toMatchObject({
      state: 'held',
      fence,
    })
  })
})
