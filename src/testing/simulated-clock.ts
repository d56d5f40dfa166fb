import { setImmediate } from 'node:timers/promises'
import type { Clock, Random, Timer } from '../core/clock.ts'

interface Alarm {
  readonly dueMs: number
  /** Alarms of one moment fire in the order in which they were set. */
  readonly serial: number
  readonly action: () => void
}

/** More alarms than this without any time going by is a loop. */
const ALARMS_AT_ONCE = 10_000

/** A clock that stands still until it is told how much time went by. */
export class SimulatedClock implements Clock {
  #nowMs: number
  #serial = 0
  /** By due time, then by serial, the next one last. */
  readonly #alarms: Alarm[] = []

  constructor(startMs = 0) {
    this.#nowMs = startMs
  }

  now(): number {
    return this.#nowMs
  }

  setTimer(action: () => void, delayMs: number): Timer {
    const alarm = {
      dueMs: this.#nowMs + (delayMs > 0 ? delayMs : 0),
      serial: this.#serial++,
      action,
    }
    this.#alarms.splice(this.#countAfter(alarm), 0, alarm)
    return {
      cancel: () => {
        const index = this.#countAfter(alarm)
        if (this.#alarms[index] === alarm) this.#alarms.splice(index, 1)
      },
    }
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#alarms.length
  }

  /** When the next timer fires, `Infinity` when none is set. */
  get nextMs(): number {
    return this.#alarms.at(-1)?.dueMs ?? Number.POSITIVE_INFINITY
  }

  /**
   * Lets time go by: fires the timers that come due, in order and each at its moment, and lets
   * everything that one of them set in motion come to rest before the next.
   */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms
    let atOnce = 0
    await settled()
    for (let next = this.#alarms.at(-1); next !== undefined; next = this.#alarms.at(-1)) {
      if (next.dueMs > untilMs) break
      atOnce = next.dueMs > this.#nowMs ? 0 : atOnce + 1
      if (atOnce > ALARMS_AT_ONCE) throw new Error('Timers set each other without end.')
      this.#alarms.pop()
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      next.action()
      await settled()
    }
    this.#nowMs = untilMs
  }

  /** How many alarms fire after this one: its index, where it is set. */
  #countAfter(alarm: Alarm): number {
    let low = 0
    let high = this.#alarms.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const other = this.#alarms[middle] as Alarm
      const after =
        other.dueMs > alarm.dueMs || (other.dueMs === alarm.dueMs && other.serial > alarm.serial)
      if (after) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Resolves once no promise has anything left to do. */
export function settled(): Promise<void> {
  return setImmediate()
}

/** Chance that repeats itself: the same seed gives the same numbers. Not for real identities. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  /** The next 32 bits of Mulberry32. */
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  const word = () => next().toString(16).padStart(8, '0')
  return {
    identity: () => word() + word() + word() + word(),
    fraction: () => next() / 2 ** 32,
  }
}
