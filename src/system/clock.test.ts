import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createClock, systemClock, systemRandom, wallMicros } from './clock.ts'

const HOUR_MS = 3_600_000

/** A machine whose clocks are moved by hand. */
class Machine {
  monotonicMs = 5_000
  wallMs = 1_800_000_000_000

  run(ms: number): void {
    this.monotonicMs += ms
    this.wallMs += ms
  }

  clock() {
    return createClock({
      monotonic: () => this.monotonicMs,
      wall: () => Math.floor(this.wallMs),
    })
  }
}

describe('now', () => {
  it('follows the monotonic clock', () => {
    const machine = new Machine()
    const clock = machine.clock()
    const start = clock.now()
    for (let round = 0; round < 1000; round++) {
      machine.run(17.3)
      clock.now()
    }
    expect(clock.now() - start).toBeCloseTo(17_300, 3)
  })

  it.each([-51, -60_000, -HOUR_MS])('ignores a wall clock set back by %d ms', (stepMs) => {
    const machine = new Machine()
    const clock = machine.clock()
    const start = clock.now()
    machine.wallMs += stepMs
    machine.run(1_000)
    expect(clock.now() - start).toBe(1_000)
    machine.run(1_000)
    expect(clock.now() - start).toBe(2_000)
  })

  it.each([51, 5_000, 30 * 24 * HOUR_MS])('counts a pause of %d ms', (pausedMs) => {
    const machine = new Machine()
    const clock = machine.clock()
    const start = clock.now()
    machine.run(500)
    machine.wallMs += pausedMs
    expect(clock.now() - start).toBe(500 + pausedMs)
    machine.run(500)
    machine.wallMs += pausedMs
    expect(clock.now() - start).toBe(1_000 + 2 * pausedMs)
  })

  it('counts short pauses as soon as they add up', () => {
    const machine = new Machine()
    const clock = machine.clock()
    const start = clock.now()
    for (let round = 0; round < 100; round++) {
      machine.run(100)
      machine.wallMs += 30
      clock.now()
    }
    expect(Math.abs(clock.now() - start - 13_000)).toBeLessThanOrEqual(50)
  })

  it('never goes back', () => {
    const machine = new Machine()
    const clock = machine.clock()
    let last = clock.now()
    for (let round = 0; round < 2_000; round++) {
      if (round % 3 === 0) machine.wallMs += ((round * 7919) % 400) - 200
      machine.run((round * 31) % 11)
      const next = clock.now()
      expect(next).toBeGreaterThanOrEqual(last)
      last = next
    }
  })
})

describe('setTimer', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const start = (delayMs: number) => {
    const action = vi.fn()
    const clock = createClock({
      monotonic: () => performance.now(),
      wall: () => Date.now(),
    })
    return { action, timer: clock.setTimer(action, delayMs) }
  }

  it.each([
    [0, 0],
    [-5, 0],
    [Number.NaN, 0],
    [10, 10],
    [10.2, 11],
    [2 ** 31 - 1, 2 ** 31 - 1],
    [2 ** 31, 2 ** 31],
    [3 * 2 ** 31 + 5, 3 * 2 ** 31 + 5],
  ])('fires a delay of %d ms after %d ms, once', (delayMs, firesMs) => {
    const { action } = start(delayMs)
    vi.advanceTimersByTime(Math.max(0, firesMs - 1))
    expect(action).toHaveBeenCalledTimes(firesMs === 0 ? 1 : 0)
    vi.advanceTimersByTime(2)
    expect(action).toHaveBeenCalledTimes(1)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('never fires an endless delay', () => {
    const { action, timer } = start(Number.POSITIVE_INFINITY)
    vi.advanceTimersByTime(2 ** 33)
    expect(action).not.toHaveBeenCalled()
    timer.cancel()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('stays silent after cancel, in a later stretch of a long delay too', () => {
    const { action, timer } = start(2 ** 32)
    vi.advanceTimersByTime(2 ** 31 + 5)
    timer.cancel()
    timer.cancel()
    vi.advanceTimersByTime(2 ** 33)
    expect(action).not.toHaveBeenCalled()
  })

  it('is never early by the real clock', async () => {
    vi.useRealTimers()
    const delays = Array.from({ length: 50 }, (_, index) => 1 + index * 0.37)
    const early = await Promise.all(
      delays.map((delayMs) => {
        const startedAt = systemClock.now()
        return new Promise<number>((resolve) => {
          systemClock.setTimer(() => resolve(startedAt + delayMs - systemClock.now()), delayMs)
        })
      }),
    )
    expect(Math.max(...early)).toBeLessThanOrEqual(0)
  })
})

describe('systemRandom', () => {
  it('makes identities of 128 bits, all different', () => {
    const made = Array.from({ length: 5_000 }, () => systemRandom.identity())
    expect(new Set(made).size).toBe(made.length)
    for (const identity of made) expect(identity).toMatch(/^[0-9a-f]{32}$/)
  })

  it('makes fractions from 0 up to 1', () => {
    const made = Array.from({ length: 1_000 }, () => systemRandom.fraction())
    expect(Math.min(...made)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...made)).toBeLessThan(1)
  })
})

describe('wallMicros', () => {
  it('is a whole number of microseconds since 1970', () => {
    const beforeMs = Date.now()
    const micros = wallMicros()
    expect(Number.isSafeInteger(micros)).toBe(true)
    expect(micros).toBeGreaterThanOrEqual(beforeMs * 1000)
    expect(micros).toBeLessThanOrEqual(Date.now() * 1000)
  })
})
