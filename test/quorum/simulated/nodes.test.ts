import { connect, createHoldfast, type Engine } from 'holdfast'
import { MemoryStore, memory } from 'holdfast/memory'
import { quorum } from 'holdfast/quorum'
import { place, SimulatedClock, seededRandom, settled } from 'holdfast/testing'
import { describe, expect, it } from 'vitest'
import { type Fault, faultyEngine } from '../../../src/testing/faulty-engine.ts'
import { watch } from '../../support/rig.ts'

/** Three stores, and quorums over them whose nodes fail as told. */
function world(nodes = 3) {
  const clock = new SimulatedClock(1_000)
  const random = seededRandom(7)
  const stores = Array.from({ length: nodes }, (_, at) => {
    const nowMicros = () => 1.7e15 + at * 7_000 + Math.floor(clock.now() * 1000)
    return new MemoryStore({ clock, nowMicros })
  })
  const engines = (plans: readonly (readonly Fault[])[] = []): Engine[] =>
    stores.map((store, at) => {
      const engine = memory({ clock, store })
      const plan = plans[at]
      return plan === undefined ? engine : faultyEngine(engine, { clock, random, plan })
    })
  const process = (plans?: readonly (readonly Fault[])[]) =>
    quorum(engines(plans), { clock, random, nodeTimeoutMs: 200 })
  return { clock, random, stores, engines, process }
}

const DEAF: readonly Fault[] = [{ loseRequest: 1, patienceMs: 60_000 }]
const MUTE: readonly Fault[] = [{ loseReply: 1, patienceMs: 60_000 }]
const now = (asked: ReturnType<typeof place>) => ({ ...asked, wait: false })
const held = (engine: Engine, name: string) =>
  engine.inspect(name).then((state) => state?.holders[0]?.identity)

/** Closing waits a little for nodes that do not answer. */
async function end(engine: Engine, clock: SimulatedClock): Promise<void> {
  const closing = engine.close()
  await clock.advance(500)
  await closing
}

describe('what a quorum is made of', () => {
  it('is 3, 5, 7 or 9 different engines', () => {
    const { engines } = world(9)
    const all = engines()
    for (const count of [3, 5, 7, 9]) expect(() => quorum(all.slice(0, count))).not.toThrow()
    for (const count of [0, 1, 2, 4, 6]) {
      expect(() => quorum(all.slice(0, count))).toThrow(RangeError)
    }
    expect(() => quorum([all[0]!, all[1]!, all[0]!])).toThrow(/same twice/)
    expect(() => quorum('redis://a' as never)).toThrow(TypeError)
    expect(() => quorum([all[0]!, all[1]!, {} as never])).toThrow(TypeError)
    expect(() => quorum(all.slice(0, 3), { nodeTimeoutMs: 0 })).toThrow(RangeError)
  })

  it('counts no store twice', async () => {
    const { stores } = world(2)
    const [one, other] = stores
    const twice = quorum([one, other, one].map((store) => memory({ store: store! })))
    await expect(twice.acquire(now(place('lock')))).rejects.toMatchObject({
      code: 'HOLDFAST_UNSUPPORTED',
    })
  })

  it('is named in a URL', async () => {
    await expect(connect('quorum:redis://a,redis://b')).rejects.toThrow(RangeError)
    await expect(connect('quorum:redis://a,redis://b,redis://a')).rejects.toThrow(/twice/)
    await expect(connect('quorum:redis://u:se,cret@a,redis://b')).rejects.toThrow(/got 2/)
    const wrong: unknown = await connect('quorum:redis://u:s%zz@a,redis://b,redis://c').catch(
      (error: unknown) => error,
    )
    expect(wrong).toBeInstanceOf(TypeError)
    expect(String(wrong)).not.toContain('zz')
  })

  it('serves locks of one holder, and says why no others', async () => {
    const engine = world().process()
    expect(engine.guarantees).toMatchObject({ fifo: false, kinds: ['mutex', 'election'] })
    const shape = { kind: 'semaphore', capacity: 2 } as const
    await expect(engine.acquire(now(place('lock', { shape })))).rejects.toMatchObject({
      code: 'HOLDFAST_UNSUPPORTED',
      message: expect.stringMatching(/serves no semaphore.*majority/),
    })
  })
})

describe('a node that gives no answer', () => {
  it.each([
    ['deaf', DEAF],
    ['mute', MUTE],
  ] as const)('delays nobody: %s', async (_, plan) => {
    const { clock, process } = world()
    const engine = process([[], plan, []])
    const before = clock.now()
    const asked = place('lock')
    expect(await engine.acquire(now(asked))).toMatchObject({ state: 'held' })
    expect(await engine.renew([asked])).toMatchObject([{ state: 'held' }])
    expect(await engine.release(asked)).toBe(true)
    expect(clock.now()).toBe(before)
    await end(engine, clock)
  })

  it('keeps nothing that it took unheard', async () => {
    const { clock, stores, process, engines } = world()
    const engine = process([[], [], MUTE])
    const others = place('lock')
    for (const at of [0, 1]) await engines()[at]!.acquire(now(others))
    const beaten = watch(engine.acquire(now(place('lock'))))
    await clock.advance(3_000)
    expect(beaten.value).toMatchObject({ state: 'absent', occupant: { identity: others.identity } })
    await clock.advance(61_000)
    expect(stores[2]!.inspect('lock')).toBeNull()
    await end(engine, clock)
  })

  it('is counted, so that two of three are no quorum', async () => {
    const { clock, process } = world()
    const engine = process([[], DEAF, [{ refuse: 1 }]])
    const outcome = watch(engine.acquire(now(place('lock'))))
    await clock.advance(250)
    expect(outcome.error).toMatchObject({
      code: 'HOLDFAST_NO_QUORUM',
      outcome: 'unknown',
      votes: [
        { node: 'faulty memory 1', vote: 'granted' },
        { node: 'faulty memory 2', vote: 'late' },
        { node: 'faulty memory 3', vote: 'failed', error: expect.stringContaining('refused') },
      ],
    })
    await end(engine, clock)
  })
})

describe('what a minority keeps', () => {
  it('keeps nobody out', async () => {
    const { process, engines } = world()
    const leftover = place('lock')
    await engines()[0]!.acquire(now(leftover))
    const engine = process()
    const asked = place('lock')
    expect(await engine.acquire({ ...asked, wait: true })).toMatchObject({ state: 'held' })
    expect(await held(engine, 'lock')).toBe(asked.identity)
    expect(await engine.renew([asked])).toMatchObject([{ state: 'held' }])
  })

  it('is given back at once by whoever was beaten', async () => {
    const { process, engines, stores } = world()
    const others = place('lock', { minHoldMs: 5_000, lockDelayMs: 5_000 })
    for (const at of [1, 2]) await engines()[at]!.acquire(now(others))
    const rival = place('lock', { minHoldMs: 5_000, lockDelayMs: 5_000 })
    expect(await process().acquire(now(rival))).toMatchObject({ state: 'absent' })
    await settled()
    expect(stores[0]!.inspect('lock')).toBeNull()
  })

  it('is not taken again for a lease that is lost', async () => {
    const { process, stores, engines } = world()
    const engine = process()
    const asked = place('lock')
    await engine.acquire(now(asked))
    for (const each of engines()) await each.release(asked)
    expect(await engine.renew([asked])).toEqual([{ state: 'absent' }])
    await settled()
    expect(await engine.release(asked)).toBe(false)
    expect(stores.map((store) => store.inspect('lock'))).toEqual([null, null, null])
  })

  it('is given up by a holder that lost the rest', async () => {
    const { process, stores, engines } = world()
    const engine = process()
    const asked = place('lock')
    await engine.acquire(now(asked))
    for (const at of [0, 1]) await engines()[at]!.release(asked)
    expect(await engine.renew([asked])).toEqual([{ state: 'absent' }])
    await settled()
    expect(stores[2]!.inspect('lock')).toBeNull()
  })
})

describe('a place that is left while nodes are asked', () => {
  it('leaves nothing on a node that grants it later', async () => {
    const { clock, process, stores } = world()
    const engine = process([[], [], [{ operations: ['acquire'], delayMs: 100 }]])
    const asked = place('lock')
    expect(await engine.acquire(now(asked))).toMatchObject({ state: 'held' })
    expect(await engine.release(asked)).toBe(true)
    await clock.advance(1_000)
    expect(stores.map((store) => store.inspect('lock'))).toEqual([null, null, null])
    await end(engine, clock)
  })

  it('leaves nothing in a split vote', async () => {
    const { clock, process, engines, stores } = world()
    const [, second, third] = engines()
    const others = [place('lock'), place('lock')]
    await second!.acquire(now(others[0]!))
    await third!.acquire(now(others[1]!))
    const engine = process()
    const asked = place('lock')
    const outcome = watch(engine.acquire({ ...asked, wait: true }))
    await settled()
    expect(stores[0]!.inspect('lock')?.holders[0]?.identity).toBe(asked.identity)
    await engine.release(asked)
    await second!.release(others[0]!)
    await third!.release(others[1]!)
    await clock.advance(1_000)
    expect(outcome.value).toEqual({ state: 'absent' })
    expect(stores.map((store) => store.inspect('lock'))).toEqual([null, null, null])
    await engine.close()
  })
})

describe('a lease', () => {
  it('is unknown while too few answer, and told lost at its deadline', async () => {
    const { clock, random, engines } = world()
    const away = { fromMs: 2_000, loseRequest: 1, patienceMs: 100 }
    const engine = quorum(engines([[away], [away], []]), { clock, random, nodeTimeoutMs: 200 })
    const holdfast = createHoldfast({ engine, clock, random })
    const lease = await holdfast.mutex('lock').acquire({ ttlMs: 3_000 })
    const told: string[] = []
    holdfast.on('jeopardy', ({ error }) => told.push(error.code))
    holdfast.on('lost', ({ error }) => told.push(error.reason))
    await clock.advance(2_500)
    expect(lease.held).toBe(true)
    expect(told).toEqual(['HOLDFAST_NO_QUORUM'])
    await clock.advance(2_500)
    expect(lease.held).toBe(false)
    expect(told).toEqual(['HOLDFAST_NO_QUORUM', 'expired'])
    const closing = holdfast.close()
    await clock.advance(10_000)
    await closing
  })

  it('comes back to a node that forgot it, under the same fence', async () => {
    const { process, stores, engines } = world()
    const engine = process()
    const asked = place('lock')
    const first = await engine.acquire(now(asked))
    await engines()[1]!.release(asked)
    const again = await engine.renew([asked])
    await settled()
    expect(stores[1]!.inspect('lock')?.holders[0]?.identity).toBe(asked.identity)
    expect(again).toMatchObject([{ state: 'held', fence: (first as { fence: number }).fence }])
    expect(await engine.renew([asked])).toMatchObject(again)
    expect(await engine.release(asked)).toBe(true)
    await settled()
    expect(stores.map((store) => store.inspect('lock'))).toEqual([null, null, null])
  })
})

describe('a fence', () => {
  /** The quorum cannot propose: every node draws by its own calendar. */
  const withoutProposal = (engines: Engine[]): Engine[] =>
    engines.map((engine) =>
      faultyEngine(engine, { clock: CLOCK, random: seededRandom(1), plan: [] }),
    )
  const CLOCK = new SimulatedClock()

  it('is written to a majority before it is reported', async () => {
    const { clock, random, engines, stores } = world()
    const engine = quorum(withoutProposal(engines()), { clock, random })
    const asked = place('lock')
    const standing = await engine.acquire(now(asked))
    expect(standing).toMatchObject({ state: 'held' })
    const { fence } = standing as { fence: number }
    const stored = stores.map((store) => store.inspect('lock')?.holders[0]?.fence)
    expect(stored.filter((each) => each === fence).length).toBeGreaterThanOrEqual(2)
    await engine.release(asked)
    // Without the node whose calendar is ahead, later fences are larger all the same.
    const later = quorum(withoutProposal(engines([[], [], [{ refuse: 1 }]])), { clock, random })
    const next = await later.acquire(now(place('lock')))
    expect((next as { fence: number }).fence).toBeGreaterThan(fence)
  })

  it('is the same on all nodes from the start where their clocks are known', async () => {
    const { process, stores } = world()
    const standing = await process().acquire(now(place('lock')))
    const { fence } = standing as { fence: number }
    const stored = stores.map((store) => store.inspect('lock')?.holders[0]?.fence)
    expect(stored).toEqual([fence, fence, fence])
  })
})
