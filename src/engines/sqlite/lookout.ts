import type { Clock } from '../../core/clock.ts'

/** How often to look where the system tells of no changes, or not of this one. */
const LOOK_MS = 1_000

/** Changes may come in thousands, when the log is tidied up: one look serves all of such a time. */
const PAUSE_MS = 20

/**
 * Has somebody look whether the files in use are still there: soon after a hint, and now and then
 * as long as anybody relies on them.
 */
export class Lookout {
  readonly #clock: Clock
  readonly #look: () => void
  #until = Number.NEGATIVE_INFINITY
  #rounds: NodeJS.Timeout | undefined
  #pause: NodeJS.Timeout | undefined
  #again = false

  constructor(clock: Clock, look: () => void) {
    this.#clock = clock
    this.#look = look
  }

  /** Something is held in the files until this moment. */
  relied(until: number): void {
    if (until > this.#until) this.#until = until
    this.#rounds ??= setInterval(() => this.#round(), LOOK_MS).unref()
  }

  /** Something may have changed. */
  hint(): void {
    if (this.#pause !== undefined) {
      this.#again = true
      return
    }
    this.#pause = setTimeout(() => {
      this.#pause = undefined
      if (!this.#again) return
      this.#again = false
      this.hint()
    }, PAUSE_MS).unref()
    this.#look()
  }

  close(): void {
    clearInterval(this.#rounds)
    clearTimeout(this.#pause)
    this.#rounds = undefined
    this.#pause = undefined
  }

  #round(): void {
    if (this.#clock.now() < this.#until) return this.#look()
    clearInterval(this.#rounds)
    this.#rounds = undefined
  }
}
