import { describe, expect, it } from 'vitest'
import { traces } from '../system/traces.ts'
import { SimulatedClock } from '../testing/simulated-clock.ts'
import type { Engine, Place, Standing, Unknown } from './engine.ts'
import { EngineError } from './errors.ts'
import { Renewal, type Tended } from './renewal.ts'

const HELD: Standing = { state: 'held', fence: 1, deadline: 0 }

function world(renew: (places: readonly Place[]) => Promise<readonly (Standing | Unknown)[]>) {
  const clock = new SimulatedClock()
  const calls: { at: number; names: string[] }[] = []
  const engine = {
    name: 'fake',
    renew: async (places: readonly Place[]) => {
      calls.push({ at: clock.now(), names: places.map(({ name }) => name) })
      return await renew(places)
    },
  } as unknown as Engine
  const renewal = new Renewal(engine, clock, traces.renew)
  const log: string[] = []
  const tended = (
    name: string,
    deadline = Number.POSITIVE_INFINITY,
    stands: (standing: Standing | Unknown) => void = () => {},
  ): Tended => {
    const made: Tended = {
      place: { name } as Place,
      leased: false,
      deadline,
      stands: (standing) => {
        log.push(`${name} ${standing.state} at ${clock.now()}`)
        stands(standing)
      },
      expire: () => log.push(`${name} expired at ${clock.now()}`),
      shutdown: async () => {},
    }
    renewal.tend(made)
    return made
  }
  return { clock, calls, renewal, log, tended }
}

const allHeld = async (places: readonly Place[]) => places.map(() => HELD)

describe('renewals', () => {
  it('go out when due, and take along what is nearly due', async () => {
    const { clock, calls, renewal, tended } = world(allHeld)
    renewal.schedule(tended('a'), 100)
    renewal.schedule(tended('b'), 150, 60)
    renewal.schedule(tended('c'), 150, 40)
    await clock.advance(200)
    expect(calls).toEqual([
      { at: 100, names: ['a', 'b'] },
      { at: 150, names: ['c'] },
    ])
  })

  it('travel in bounded batches', async () => {
    const { clock, calls, renewal, tended } = world(allHeld)
    for (let at = 0; at < 501; at++) renewal.schedule(tended(`${at}`), 10)
    await clock.advance(20)
    expect(calls.map(({ names }) => names.length)).toEqual([250, 250, 1])
    const { clock: next, calls: full, renewal: other, tended: more } = world(allHeld)
    for (let at = 0; at < 250; at++) other.schedule(more(`${at}`), 10)
    await next.advance(20)
    expect(full.map(({ names }) => names.length)).toEqual([250])
  })

  it('wait for the answer before they are sent again', async () => {
    let answer: (() => void) | undefined
    const { clock, calls, renewal, tended } = world(async (places) => {
      await new Promise<void>((resolve) => {
        answer = resolve
      })
      return await allHeld(places)
    })
    const a = tended('a')
    renewal.schedule(a, 10)
    await clock.advance(10)
    renewal.schedule(a, 10)
    await clock.advance(100)
    expect(calls.length).toBe(1)
    answer?.()
    await clock.advance(0)
    expect(calls.length).toBe(2)
  })

  it('that something hurries go out at once, behind the one under way', async () => {
    const answers: (() => void)[] = []
    const { clock, calls, renewal, tended } = world(async (places) => {
      await new Promise<void>((resolve) => answers.push(resolve))
      return await allHeld(places)
    })
    // Each answer plans the next look as it would without the news.
    const a: Tended = tended('a', undefined, () => renewal.schedule(a, 1000, 500))
    renewal.schedule(a, 10)
    await clock.advance(10)
    renewal.hurry(a)
    await clock.advance(20)
    expect(calls.length).toBe(1)
    answers.shift()?.()
    await clock.advance(0)
    expect(calls.map(({ at }) => at)).toEqual([10, 30])
    answers.shift()?.()
    await clock.advance(100)
    // What is planned between the news and the look does not put it off either.
    renewal.hurry(a)
    renewal.schedule(a, 1000)
    await clock.advance(5)
    expect(calls.map(({ at }) => at)).toEqual([10, 30, 130])
    answers.shift()?.()
    await clock.advance(900)
    expect(calls.length).toBe(3)
    renewal.stop(a)
    renewal.hurry(a)
    await clock.advance(2000)
    expect(calls.length).toBe(3)
  })

  it('that nobody waits for any more are told to nobody', async () => {
    const { clock, calls, log, renewal, tended } = world(allHeld)
    const a = tended('a')
    renewal.schedule(a, 10)
    renewal.stop(a)
    renewal.schedule(a, 10)
    await clock.advance(20)
    expect(calls).toEqual([])
    const b = tended('b')
    renewal.schedule(b, 10)
    const under = clock.advance(10)
    await under
    renewal.stop(b)
    expect(log).toEqual(['b held at 30'])
  })

  it('that fail leave everybody unknown, with the error', async () => {
    const seen: Unknown[] = []
    const fail = (error: unknown) => {
      const { clock, renewal, tended } = world(async () => {
        throw error as Error
      })
      const keep = (standing: Standing | Unknown) => seen.push(standing as Unknown)
      for (const name of ['a', 'b']) renewal.schedule(tended(name, undefined, keep), 1)
      return clock.advance(2)
    }
    const known = new EngineError({
      engine: 'fake',
      operation: 'renew',
      outcome: 'none',
      transient: true,
      problem: 'refused',
    })
    await fail(known)
    await fail(new TypeError('a bug'))
    await fail('text')
    expect(seen.map(({ state }) => state)).toEqual(Array(6).fill('unknown'))
    expect(seen[0]?.error).toBe(known)
    expect(seen[2]?.error).toMatchObject({ operation: 'renew', outcome: 'unknown', engine: 'fake' })
    expect(seen[2]?.error.message).toContain('a bug')
    expect(seen[4]?.error.message).toContain('text')
  })

  it('with fewer answers than places leave the rest as it was', async () => {
    const { clock, log, renewal, tended } = world(async () => [HELD])
    for (const name of ['a', 'b']) renewal.schedule(tended(name), 1)
    await clock.advance(5)
    expect(log).toEqual(['a held at 1'])
  })
})

describe('deadlines', () => {
  it('are told at their moment, before anything is sent', async () => {
    const { clock, calls, log, renewal, tended } = world(allHeld)
    renewal.schedule(tended('a', 50), 50)
    tended('b', 70)
    await clock.advance(100)
    expect(log).toEqual(['a expired at 50', 'b expired at 70'])
    expect(calls).toEqual([])
    expect(renewal.tended).toEqual([])
  })

  it('move with the one who has them', async () => {
    const { clock, log, renewal, tended } = world(allHeld)
    const made = tended('a', 50)
    Object.assign(made, { deadline: 90 })
    await clock.advance(80)
    expect(log).toEqual([])
    await clock.advance(20)
    expect(log).toEqual(['a expired at 90'])
    expect(renewal.tended).toEqual([])
  })

  it('are told to nobody once closed', async () => {
    const { clock, log, renewal, tended } = world(allHeld)
    tended('a', 50)
    renewal.close()
    renewal.close()
    await clock.advance(100)
    expect(log).toEqual([])
    expect(clock.timers).toBe(0)
  })

  it('share one timer', async () => {
    const { clock, renewal, tended } = world(allHeld)
    for (let at = 0; at < 100; at++) renewal.schedule(tended(`${at}`, 1000 - at), 500 - at)
    expect(clock.timers).toBe(1)
    await clock.advance(450)
    expect(clock.timers).toBe(1)
  })
})
