import type { LockState, Place, Shape } from '../../src/core/engine.ts'
import { Line, type Moment, type Spot } from '../../src/engines/memory/line.ts'

/** One acquisition of a history, in the reference and in the engine. */
export interface Actor {
  readonly number: number
  /** Which of the processes it lives in. */
  readonly process: number
  readonly lock: number
  /** The place as the reference knows it; the engine's has the same identity and a longer name. */
  readonly place: Place
  /** The last ticket that each side gave. */
  tickets: { reference: number; real: number } | undefined
  /** The fence of a grant that was pushed and not heard of yet. */
  pushed: number | undefined
  /** Whether it was released: such an identity is not used again. */
  left: boolean
}

/** What must be equal of a lock as both sides inspect it. */
export interface Picture {
  readonly shape: Shape
  readonly holders: readonly string[]
  readonly waiters: readonly string[]
  readonly waiting: number
}

/** Names of locks are numbers here: each history has names of its own. */
export class Reference {
  readonly actors: Actor[] = []
  readonly #lines = new Map<number, Line>()
  readonly #fences = new Map<number, number>()
  #nowMs = 0
  #micros = 0

  acquire(actor: Actor, wait: boolean, ticket: number | undefined): Spot | Shape {
    const { shape } = actor.place
    let line = this.#lines.get(actor.lock)
    if (line !== undefined && !line.has(shape)) {
      this.#operate(actor.lock, (found, moment) => found.look(moment))
      if (!line.empty) return line.shape
      line = undefined
    }
    if (line === undefined)
      this.#lines.set(actor.lock, new Line(shape, this.#fences.get(actor.lock)))
    const claim = { ...actor.place, wait, ...(ticket === undefined ? {} : { ticket }) }
    const spot = this.#operate(actor.lock, (found, moment) => found.acquire(claim, moment))
    return this.#noted(actor, spot ?? { state: 'absent' })
  }

  renew(actor: Actor): Spot {
    const spot = this.#operate(actor.lock, (line, moment) => line.renew(actor.place, moment))
    return this.#noted(actor, spot ?? { state: 'absent' })
  }

  release(actor: Actor, force: boolean): boolean {
    actor.pushed = undefined
    actor.left = true
    const released = this.#operate(actor.lock, (line, moment) =>
      line.release(actor.place, moment, force),
    )
    return released ?? false
  }

  inspect(lock: number): Picture | null {
    const state = this.#operate(lock, (line, moment) => {
      line.look(moment)
      return line.inspect('', moment.nowMs)
    })
    return state ? picture(state) : null
  }

  /**
   * Lets time go by without looking at anything. News that nobody heard in time count for nothing.
   */
  advance(ms: number): void {
    this.#nowMs += ms
    for (const actor of this.actors) actor.pushed = undefined
  }

  /** A standing overtakes the news: whoever knows it waits for nothing else. */
  #noted(actor: Actor, spot: Spot): Spot {
    actor.pushed = undefined
    return spot
  }

  #operate<T>(lock: number, operation: (line: Line, moment: Moment) => T): T | undefined {
    const line = this.#lines.get(lock)
    if (line === undefined) return undefined
    const moment = { nowMs: this.#nowMs, nowMicros: ++this.#micros, reaches: () => true }
    const result = operation(line, moment)
    for (const { place, grant } of line.takeNews()) {
      const actor = this.actors.find((each) => each.place.identity === place.identity)
      if (actor !== undefined) actor.pushed = grant?.fence
    }
    this.#fences.set(lock, line.fence)
    if (line.empty) this.#lines.delete(lock)
    return result
  }
}

export function picture(state: LockState): Picture {
  return {
    shape: { kind: state.kind, capacity: state.capacity },
    // What stays taken by nobody has no identity and may be shown or not.
    holders: state.holders
      .filter(({ identity }) => identity !== '')
      .map(({ identity, permits }) => `${identity} ${permits}`)
      .sort(),
    waiters: state.waiters.map(({ identity, permits }) => `${identity} ${permits}`),
    waiting: state.waiting,
  }
}
