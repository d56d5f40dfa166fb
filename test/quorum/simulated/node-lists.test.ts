import type { Engine, Finding } from 'holdfast'
import { MemoryStore, memory } from 'holdfast/memory'
import { quorum } from 'holdfast/quorum'
import { place, SimulatedClock, seededRandom, settled } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { EngineError } from '../../../src/core/errors.ts'

const QUICK = { ttlMs: 10_000, requestTimeoutMs: 5_000, quick: true } as const
/** A list is noted again after this long. */
const AGAIN_MS = 15_000

/** Stores, and quorums of any of them; a store may be replaced by an empty one. */
function world() {
  const clock = new SimulatedClock(1_000)
  const random = seededRandom(3)
  const stores = Array.from({ length: 5 }, () => new MemoryStore({ clock }))
  const told: Finding[] = []
  const over = (at: readonly number[], change = (engine: Engine) => engine) => {
    const engines = at.map((each) => change(memory({ clock, store: stores[each]! })))
    const warn = (finding: Finding) => told.push(finding)
    return quorum(engines, { clock, random, warn, nodeTimeoutMs: 200 })
  }
  /** Takes and releases a lock, and lets everything come to rest. */
  const use = async (engine: Engine) => {
    const asked = place('lock')
    await engine.acquire({ ...asked, wait: false })
    await engine.release(asked)
    await settled()
  }
  return { clock, stores, told, over, use }
}

/** An engine whose members are those of whatever stands for it at that moment. */
function instead(engine: Engine, current: (key: PropertyKey) => object): Engine {
  return new Proxy(engine, {
    get(_, key) {
      const target = current(key)
      const member: unknown = Reflect.get(target, key)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}

describe('processes whose lists of nodes differ', () => {
  it.each([
    ['one node is another', [0, 1, 3]],
    ['there are two nodes more', [0, 1, 2, 3, 4]],
    ['all but one are others', [2, 3, 4]],
  ])('are told: %s', async (_, list) => {
    const { clock, told, over, use } = world()
    const [one, other] = [over([0, 1, 2]), over(list)]
    await use(one)
    expect(told).toEqual([])
    await clock.advance(10)
    await use(other)
    // Nodes that had no name until now may have lost one.
    for (let round = 0; round < 2; round++) {
      await clock.advance(AGAIN_MS)
      for (const each of [one, other]) await use(each)
    }
    expect(told.map(({ code, severity }) => `${severity} ${code}`)).toEqual([
      'danger quorum-lists',
      'danger quorum-lists',
    ])
    const expected = { by: expect.stringContaining(`:${process.pid} has a list of`) }
    expect(told[1]!.seen).toEqual(expected.by)
    expect(await one.diagnose?.(QUICK)).toMatchObject([{ code: 'quorum-lists' }])
    await clock.advance(AGAIN_MS)
    for (const each of [one, other]) await use(each)
    expect(told).toHaveLength(2)
    await other.close()
    await clock.advance(4 * AGAIN_MS)
    await use(one)
    expect(await one.diagnose?.(QUICK)).toEqual([])
    await one.close()
  })

  it('are told at the first use where all nodes have their names', async () => {
    const { clock, told, over, use } = world()
    for (const list of [
      [0, 1, 2],
      [2, 3, 4],
    ]) {
      const engine = over(list)
      await use(engine)
      await engine.close()
    }
    await clock.advance(4 * AGAIN_MS)
    told.length = 0
    const [one, other] = [over([0, 1, 2]), over([2, 3, 4])]
    await use(one)
    expect(told).toEqual([])
    await use(other)
    expect(told).toHaveLength(1)
    expect(told[0]!.seen).toContain('without memory 2, memory 3')
    await one.close()
    await other.close()
  })
})

describe('processes whose lists of nodes are the same', () => {
  it('are told nothing where the order differs', async () => {
    const { clock, told, over, use } = world()
    const engines = [over([0, 1, 2]), over([2, 0, 1])]
    for (let round = 0; round < 4; round++) {
      for (const each of engines) await use(each)
      await clock.advance(AGAIN_MS)
    }
    expect(told).toEqual([])
    for (const each of engines) await each.close()
  })

  it('are told nothing where a node loses its data at any moment', {
    timeout: 60_000,
  }, async () => {
    for (let lossMs = 0; lossMs < 2 * AGAIN_MS; lossMs += 2_000) {
      const { clock, stores, told, over, use } = world()
      const swap = (engine: Engine): Engine => {
        const at = engines.push(engine) - 1
        return instead(engine, () => engines[at]!)
      }
      const engines: Engine[] = []
      const [one, other] = [over([0, 1, 2], swap), over([0, 1, 2], swap)]
      let lostMs = 0
      for (let ms = 0; ms <= 6 * AGAIN_MS; ms += 1_000) {
        if (ms >= lossMs && lostMs === 0) {
          lostMs = clock.now()
          stores[1] = new MemoryStore({ clock })
          for (const at of [1, 4]) engines[at] = memory({ clock, store: stores[1] })
        }
        await use(one)
        await use(other)
        const late = over([2, 1, 0])
        await use(late)
        await late.close()
        await clock.advance(1_000)
      }
      expect(told, `lost after ${lossMs} ms`).toEqual([])
      await one.close()
      await other.close()
    }
  })

  it('are told nothing while one of them does not reach a node', async () => {
    const { clock, told, over, use } = world()
    const cut = (engine: Engine): Engine => {
      const nth = seen++
      const enlist = engine.enlist!.bind(engine)
      engine.enlist = async (entry) => {
        if (nth === 2 && away) throw failure
        return await enlist(entry)
      }
      return engine
    }
    let away = true
    let seen = 0
    const failure = new EngineError({
      engine: 'memory',
      operation: 'enlist',
      outcome: 'none',
      transient: true,
      problem: 'away',
    })
    const [one, other] = [over([0, 1, 2], cut), over([0, 1, 2])]
    for (let round = 0; round < 8; round++) {
      away = round < 4
      await use(one)
      await use(other)
      await clock.advance(AGAIN_MS)
    }
    expect(told).toEqual([])
    await one.close()
    await other.close()
  })

  it('ask nothing where the nodes keep no notes', async () => {
    const { told, over, use } = world()
    const without = (engine: Engine) => instead(engine, (key) => (key === 'enlist' ? {} : engine))
    const [one, other] = [over([0, 1, 2], without), over([3, 4, 2], without)]
    await use(one)
    expect(await one.diagnose?.(QUICK)).toEqual([])
    await one.close()
    await other.close()
    expect(told).toEqual([])
  })
})
