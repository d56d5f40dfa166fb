import { describe, expect, it } from 'vitest'
import type { Guarantees, Kind } from '../core/engine.ts'
import { memory } from '../engines/memory/index.ts'
import { place } from './contract/world.ts'
import { engineContract } from './contract.ts'
import { SimulatedClock } from './simulated-clock.ts'

/** Collects the contract's tests instead of running them, and runs those whose title is given. */
function contractOf(guarantees: Partial<Guarantees>) {
  const clock = new SimulatedClock()
  const tests: { title: string; run: () => Promise<string> }[] = []
  let stopped = 0
  engineContract({
    name: 'poor',
    describe: (_, body) => body(),
    it: (title, body) => {
      tests.push({
        title,
        run: async () => {
          let note = 'ran'
          const skip = (reason?: string) => {
            note = reason ?? 'skipped'
          }
          await body({ skip })
          return note
        },
      })
    },
    start: async () => ({
      clock,
      engine: async () => {
        const engine = memory({ clock })
        return Object.assign(Object.create(engine), {
          guarantees: { ...engine.guarantees, ...guarantees },
          acquire: engine.acquire.bind(engine),
          renew: engine.renew.bind(engine),
          release: engine.release.bind(engine),
          inspect: engine.inspect.bind(engine),
        })
      },
      advance: (ms) => clock.advance(ms),
      settle: async () => undefined,
      stop: async () => {
        stopped++
      },
    }),
  })
  return { tests, stopped: () => stopped }
}

describe('the contract', () => {
  it.each([
    [{ kinds: ['mutex'] as Kind[] }, 'counts the permits of each place', 'lacks kind semaphore'],
    [{ fifo: false }, 'grants in the order of arrival', 'lacks fifo'],
    [{ push: false }, 'tells the next that it was granted', 'lacks push'],
    [{ fence: false }, 'stays the same as long as a lease lasts', 'lacks fence'],
    [{}, 'stands in the line once', 'lacks a way to lose replies'],
    [{}, 'grants a free lock at once', 'ran'],
  ])('of an engine with %j: %s: %s', async (guarantees, title, note) => {
    const { tests, stopped } = contractOf(guarantees)
    const found = tests.find((test) => test.title === title)
    expect(await found?.run()).toContain(note)
    expect(stopped()).toBe(1)
  })

  it('catches an engine whose processes do not share anything', async () => {
    const { tests, stopped } = contractOf({})
    const found = tests.find(({ title }) => title === 'keeps everybody else out, in any process')
    await expect(found?.run()).rejects.toMatchObject({ code: 'ERR_ASSERTION' })
    expect(stopped()).toBe(1)
  })
})

describe('place', () => {
  it('has an identity of its own and takes details', () => {
    const [one, other] = [place('lock'), place('lock', { permits: 2, about: 'me' })]
    expect(one.identity).toMatch(/^[0-9a-f]{32}$/)
    expect(one.identity).not.toBe(other.identity)
    expect(other).toMatchObject({ name: 'lock', permits: 2, about: 'me' })
  })
})
