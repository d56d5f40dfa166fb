import { type Clock, type Random, sleep } from '../../core/clock.ts'
import type { Place, Standing } from '../../core/engine.ts'
import { closedError } from '../../core/errors.ts'
import { persist } from '../../core/retry.ts'
import type { Node } from './node.ts'

/** How much longer than the place itself could last its give-back is tried. */
const GRACE_MS = 5_000

/** Gives back what nodes hold for places that nobody uses, behind the back of their callers. */
export class Cleaner {
  readonly #clock: Clock
  readonly #random: Random
  readonly #ending = new AbortController()
  readonly #owed = new Set<Promise<unknown>>()

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
  }

  /** See `Parts.leave`. */
  leave(node: Node, place: Place, call?: Promise<Standing>): Promise<boolean> {
    const leaving = this.#leave(node, place, call)
    this.#owed.add(leaving)
    const done = () => this.#owed.delete(leaving)
    leaving.then(done, done)
    return leaving
  }

  async #leave(node: Node, place: Place, call: Promise<Standing> | undefined): Promise<boolean> {
    if (call !== undefined) {
      const standing = await call.catch(() => undefined)
      if (standing?.state === 'absent') return true
    }
    const until = this.#clock.now() + place.ttlMs + place.lockDelayMs + GRACE_MS
    let clean = true
    try {
      await persist(
        () => node.call((engine) => engine.release(place)),
        {
          clock: this.#clock,
          random: this.#random,
          until: () => until,
          signal: this.#ending.signal,
        },
        () => {
          clean = false
        },
      )
      return clean
    } catch {
      return false
    }
  }

  /** Waits for what is owed, but not for long, and ends the rest. */
  async end(limitMs: number): Promise<void> {
    if (this.#owed.size > 0) {
      const patience = new AbortController()
      const patient = sleep(this.#clock, limitMs, patience.signal).catch(() => undefined)
      await Promise.race([Promise.all(this.#owed), patient])
      patience.abort()
    }
    this.#ending.abort(closedError())
  }
}
