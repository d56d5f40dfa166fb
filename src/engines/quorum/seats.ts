import type { Clock } from '../../core/clock.ts'
import type { Claim, Place } from '../../core/engine.ts'
import { Seat } from './seat.ts'

/** How long a lease that nobody ended is remembered after its deadline, and a late give-back. */
const KEEP_MS = 60_000

/** The places of this process, by lock and identity. */
export class Seats {
  readonly #seats = new Map<string, Seat>()
  /** Seats that were dropped before all their give-backs were answered, and since when. */
  readonly #owing = new Map<string, { readonly seat: Seat; readonly sinceMs: number }>()
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
    // A place that comes back under its old identity must not meet what is still on its way.
    const before = this.#owing.get(keyOf(claim))
    if (before !== undefined) seat.follow(before.seat)
    this.#seats.set(keyOf(claim), seat)
    return seat
  }

  /** Forgets a seat, if it is still the one of its place. */
  drop(place: Place, seat: Seat | undefined): void {
    const key = keyOf(place)
    if (seat === undefined || this.#seats.get(key) !== seat) return
    this.#seats.delete(key)
    seat.retire()
    if (seat.leaving.size > 0) this.#remember(key, seat)
  }

  #remember(key: string, seat: Seat): void {
    const owing = { seat, sinceMs: this.#clock.now() }
    this.#owing.delete(key)
    this.#owing.set(key, owing)
    void Promise.all(seat.leaving.values()).then((clean) => {
      if (clean.every(Boolean) && this.#owing.get(key) === owing) this.#owing.delete(key)
    })
  }

  /** Leases that were neither released nor renewed: two visits for each that is added. */
  #forgetOld(): void {
    for (let visits = 0; visits < 2; visits++) {
      const oldest = this.#seats.entries().next()
      if (oldest.done === true) break
      const [key, seat] = oldest.value
      this.#seats.delete(key)
      const over = seat.state === 'held' && this.#clock.now() > seat.deadline + KEEP_MS
      if (!over) this.#seats.set(key, seat)
    }
    for (const [key, { seat, sinceMs }] of this.#owing) {
      const { ttlMs, lockDelayMs } = seat.place
      if (this.#clock.now() <= sinceMs + ttlMs + lockDelayMs + KEEP_MS) break
      this.#owing.delete(key)
    }
  }
}

function keyOf({ identity, name }: Place): string {
  return `${identity} ${name}`
}
