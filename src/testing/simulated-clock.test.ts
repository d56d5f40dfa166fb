import { describe, expect, it } from 'vitest'
import { sleep } from '../core/clock.ts'
import { SimulatedClock, seededRandom } from './simulated-clock.ts'

describe('a simulated clock', () => {
  it('stands still until it is told to go', async () => {
    const clock = new SimulatedClock(500)
    await clock.advance(0)
    expect(clock.now()).toBe(500)
    await clock.advance(1.5)
    expect(clock.now()).toBe(501.5)
  })

  it('fires timers in order, each at its moment', async () => {
    const clock = new SimulatedClock()
    const fired: string[] = []
    const set = (name: string, delayMs: number) =>
      clock.setTimer(() => fired.push(`${name} at ${clock.now()}`), delayMs)
    set('c', 30)
    set('a', 10)
    set('b', 10)
    set('late', 31)
    set('at once', -5)
    set('too', Number.NaN)
    expect([clock.timers, clock.nextMs]).toEqual([6, 0])
    await clock.advance(30)
    expect(fired).toEqual(['at once at 0', 'too at 0', 'a at 10', 'b at 10', 'c at 30'])
    expect([clock.timers, clock.nextMs, clock.now()]).toEqual([1, 31, 30])
    await clock.advance(1)
    expect([clock.timers, clock.nextMs]).toEqual([0, Number.POSITIVE_INFINITY])
  })

  it('lets everything come to rest between two timers', async () => {
    const clock = new SimulatedClock()
    const seen: string[] = []
    const walk = async (name: string, stepMs: number) => {
      for (let step = 0; step < 3; step++) {
        await sleep(clock, stepMs)
        for (let turn = 0; turn < 20; turn++) await Promise.resolve()
        seen.push(`${name}${clock.now()}`)
      }
    }
    const walks = [walk('a', 10), walk('b', 15)]
    await clock.advance(100)
    await Promise.all(walks)
    expect(seen).toEqual(['a10', 'b15', 'a20', 'b30', 'a30', 'b45'])
  })

  it('forgets a timer that is cancelled', async () => {
    const clock = new SimulatedClock()
    const fired: number[] = []
    const timers = [0, 1, 2, 3].map((number) => clock.setTimer(() => fired.push(number), 10))
    timers[1]?.cancel()
    timers[1]?.cancel()
    await clock.advance(10)
    timers[0]?.cancel()
    expect(fired).toEqual([0, 2, 3])
  })

  it('does not hang on timers that set each other', async () => {
    const clock = new SimulatedClock()
    const again = () => void clock.setTimer(again, 0)
    again()
    await expect(clock.advance(1)).rejects.toThrow('without end')
  })
})

describe('seededRandom', () => {
  it('repeats itself for a seed', () => {
    const draw = (seed: number) => {
      const random = seededRandom(seed)
      return [random.identity(), random.fraction(), random.identity()]
    }
    expect(draw(7)).toEqual(draw(7))
    expect(draw(7)).not.toEqual(draw(8))
    expect(draw(7)[0]).toMatch(/^[0-9a-f]{32}$/)
  })

  it('spreads', () => {
    const random = seededRandom(1)
    const fractions = Array.from({ length: 10_000 }, () => random.fraction())
    const mean = fractions.reduce((sum, each) => sum + each) / fractions.length
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.02)
    expect(Math.min(...fractions)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...fractions)).toBeLessThan(1)
    expect(new Set(Array.from({ length: 1_000 }, () => random.identity())).size).toBe(1_000)
  })
})
