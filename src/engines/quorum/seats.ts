import type { Clock } from '../../core/clock.ts'
import type { Claim, Place } from '../../core/engine.ts'
import { Seat } from './seat.ts'

/** How long a lease that nobody ended is remembered after its deadline. */
const KEEP_MS = 60_000

/** The places of this process, by lock and identity. */
export class Seats {
  readonly #seats = new Map<string, Seat>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get(place: Place): Seat | undefined {
    return this.#seats.get(keyOf(place))
  }

  /** The seat of a claim, a new one where there is none. */
  of(claim: Claim): Seat {
    const found = this.get(claim)
    if (found !== undefined) return found
    this.#forgetOld()
    const seat = new Seat(claim)
    this.#seats.set(keyOf(claim), seat)
    return seat
  }

  drop(place: Place): void {
    this.#seats.delete(keyOf(place))
  }

  /** Leases that were neither released nor renewed: two visits for each that is added. */
  #forgetOld(): void {
    for (let visits = 0; visits < 2; visits++) {
      const oldest = this.#seats.entries().next()
      if (oldest.done === true) return
      const [key, seat] = oldest.value
      this.#seats.delete(key)
      const over = seat.state === 'held' && this.#clock.now() > seat.deadline + KEEP_MS
      if (!over) this.#seats.set(key, seat)
    }
  }
}

function keyOf({ identity, name }: Place): string {
  return `${identity} ${name}`
}
