import { describe, expect, it } from 'vitest'
import type { Engine } from '../core/engine.ts'
import { MemoryStore, memory } from '../engines/memory/index.ts'
import { place } from './contract/world.ts'
import { type Fault, faultyEngine } from './faulty-engine.ts'
import { SimulatedClock, seededRandom } from './simulated-clock.ts'

function world(...plan: Fault[]) {
  const clock = new SimulatedClock()
  const store = new MemoryStore({ clock })
  const faulty = faultyEngine(memory({ store }), { clock, random: seededRandom(1), plan })
  return { clock, faulty, sound: memory({ store }) }
}

/** How a call ends, and how long it took in simulated time. */
async function outcome(clock: SimulatedClock, call: Promise<unknown>): Promise<string> {
  let ended: string | undefined
  const startedMs = clock.now()
  const end = (how: string) => {
    ended = `${how} after ${clock.now() - startedMs}`
  }
  call.then(
    () => end('answer'),
    (error: { code?: string; outcome?: string }) => end(`${error.code} ${error.outcome}`),
  )
  for (let round = 0; ended === undefined && round < 1_000; round++) await clock.advance(10)
  return ended ?? 'nothing'
}

const acquire = (engine: Engine, name = 'lock') => engine.acquire({ ...place(name), wait: true })
const LOST = 'HOLDFAST_ENGINE_FAILED unknown after 1000'

describe('a faulty engine', () => {
  it('changes nothing without a plan', async () => {
    const { clock, faulty } = world()
    const holder = place('lock')
    expect(await outcome(clock, acquire(faulty))).toBe('answer after 0')
    expect(await faulty.renew([holder])).toMatchObject([{ state: 'absent' }])
    expect(await faulty.list({ prefix: '', limit: 5 })).toEqual({ names: ['lock'] })
    expect(faulty.guarantees.fifo).toBe(true)
    await faulty.close()
    await expect(faulty.inspect('lock')).rejects.toMatchObject({ code: 'HOLDFAST_CLOSED' })
  })

  it('refuses a call and says so', async () => {
    const { clock, faulty, sound } = world({ refuse: 1 })
    expect(await outcome(clock, acquire(faulty))).toBe('HOLDFAST_ENGINE_FAILED none after 0')
    expect(await sound.inspect('lock')).toBeNull()
  })

  it('loses a call on its way', async () => {
    const { clock, faulty, sound } = world({ loseRequest: 1 })
    expect(await outcome(clock, acquire(faulty))).toBe(LOST)
    expect(await sound.inspect('lock')).toBeNull()
  })

  it('loses an answer', async () => {
    const { clock, faulty, sound } = world({ loseReply: 1, patienceMs: 250 })
    expect(await outcome(clock, acquire(faulty))).toBe('HOLDFAST_ENGINE_FAILED unknown after 250')
    expect((await sound.inspect('lock'))?.holders).toHaveLength(1)
  })

  it('lets a call arrive after its caller has given up', async () => {
    const { clock, faulty, sound } = world({ late: 1, untilMs: 500 })
    expect(await outcome(clock, acquire(faulty))).toBe(LOST)
    expect(await sound.inspect('lock')).toBeNull()
    await clock.advance(1_000)
    expect((await sound.inspect('lock'))?.holders).toHaveLength(1)
  })

  it('runs a call twice', async () => {
    const { faulty } = world({ duplicate: 1, operations: ['release'] })
    const holder = place('lock')
    await faulty.acquire({ ...holder, wait: true })
    expect(await faulty.release(holder)).toBe(false)
  })

  it('says of single places that they are unknown', async () => {
    const { faulty } = world({ unknown: 1 })
    const holder = place('lock')
    await faulty.acquire({ ...holder, wait: true })
    expect(await faulty.renew([holder])).toMatchObject([
      { state: 'unknown', error: { code: 'HOLDFAST_ENGINE_FAILED' } },
    ])
  })

  it('takes its time', async () => {
    const { clock, faulty } = world({ delayMs: 100 })
    const took = Number((await outcome(clock, acquire(faulty))).split(' ').at(-1))
    expect(took).toBeGreaterThan(0)
    expect(took).toBeLessThanOrEqual(200)
  })

  it('loses a push, so that only a look finds the grant', async () => {
    const { clock, faulty, sound } = world({ loseRequest: 1, operations: ['push'] })
    const [holder, waiter] = [place('lock'), place('lock')]
    await sound.acquire({ ...holder, wait: true })
    await faulty.acquire({ ...waiter, wait: true })
    const [enough, over] = [new AbortController(), AbortSignal.abort('over')]
    const news = faulty.wait(waiter, enough.signal)
    await sound.release(holder)
    expect(await outcome(clock, news)).toBe('nothing')
    expect(await faulty.renew([waiter])).toMatchObject([{ state: 'held' }])
    enough.abort('enough')
    await expect(news).rejects.toBe('enough')
    await expect(faulty.wait(waiter, over)).rejects.toBe('over')
  })

  it('strikes at its time and at its operations only', async () => {
    const { clock, faulty } = world({
      fromMs: 100,
      untilMs: 200,
      operations: ['acquire'],
      refuse: 1,
    })
    expect(await outcome(clock, acquire(faulty, 'a'))).toBe('answer after 0')
    await clock.advance(100 - clock.now())
    expect(await outcome(clock, acquire(faulty, 'b'))).toContain('none')
    expect(await outcome(clock, faulty.inspect('b'))).toBe('answer after 0')
    await clock.advance(200 - clock.now())
    expect(await outcome(clock, acquire(faulty, 'c'))).toBe('answer after 0')
  })
})
