import type { Clock, Timer } from 'holdfast'
import type { SimulatedClock } from 'holdfast/testing'

/**
 * The clock of one simulated process, which runs a little fast or slow. While the process is paused
 * nothing happens in it: timers and messages that come due wait until it goes on.
 */
export class ProcessClock implements Clock {
  readonly #world: SimulatedClock
  readonly #rate: number
  readonly #startMs: number
  readonly #timers = new Set<Timer>()
  readonly #missed: (() => void)[] = []
  #paused = false
  #dead = false

  constructor(world: SimulatedClock, rate: number) {
    this.#world = world
    this.#rate = rate
    this.#startMs = world.now()
  }

  now(): number {
    return 1e6 + (this.#world.now() - this.#startMs) * this.#rate
  }

  setTimer(action: () => void, delayMs: number): Timer {
    const timer = this.#world.setTimer(() => {
      this.#timers.delete(own)
      let cancelled = false
      own.cancel = () => {
        cancelled = true
      }
      this.enter(() => {
        if (!cancelled) action()
      })
    }, Math.max(0, delayMs) / this.#rate)
    const own = {
      cancel: () => {
        this.#timers.delete(own)
        timer.cancel()
      },
    }
    this.#timers.add(own)
    return own
  }

  /** Lets something happen in the process, as soon as it runs. */
  enter(action: () => void): void {
    if (this.#dead) return
    if (this.#paused) this.#missed.push(action)
    else action()
  }

  get runs(): boolean {
    return !this.#dead && !this.#paused
  }

  /** Timers that are set. */
  get timers(): number {
    return this.#timers.size
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    for (const action of this.#missed.splice(0)) action()
  }

  /** The process is no more. */
  kill(): void {
    this.#dead = true
    for (const timer of this.#timers) timer.cancel()
  }
}
