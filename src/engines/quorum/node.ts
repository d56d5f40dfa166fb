import type { Clock } from '../../core/clock.ts'
import type { Engine } from '../../core/engine.ts'
import { EngineError } from '../../core/errors.ts'

/** One of the engines that a quorum is made of. */
export class Node {
  readonly index: number
  readonly name: string
  readonly engine: Engine
  readonly #clock: Clock
  /** When the oldest call was sent that came after the last answer. */
  #unansweredSince: number | undefined

  constructor(index: number, name: string, engine: Engine, clock: Clock) {
    this.index = index
    this.name = name
    this.engine = engine
    this.#clock = clock
  }

  /** Makes a call and notes whether an answer comes. Never throws at once. */
  async call<T>(send: (engine: Engine) => Promise<T>): Promise<T> {
    this.#unansweredSince ??= this.#clock.now()
    try {
      const answer = await send(this.engine)
      this.#unansweredSince = undefined
      return answer
    } catch (error) {
      if (!(error instanceof EngineError)) this.#unansweredSince = undefined
      throw error
    }
  }

  /** Whether it has left calls without an answer for this long. */
  isSilent(forMs: number): boolean {
    return this.#unansweredSince !== undefined && this.#clock.now() - this.#unansweredSince >= forMs
  }
}
