import type { Claim, HolderState, LockState, Occupant, Place, Shape } from '../../core/engine.ts'

/** What the store can tell at one look. */
export interface Moment {
  /** The store's clock. */
  readonly nowMs: number
  /** Microseconds of a calendar clock: fences and tickets are drawn from it. */
  readonly nowMicros: number
  /** Whether a grant that is pushed now would reach this waiter's process. */
  readonly reaches: (identity: string) => boolean
}

/** Where a place stands, in durations: the line knows no clock of any caller. */
export type Spot =
  | { readonly state: 'held'; readonly fence: number; readonly ttlMs: number }
  | {
      readonly state: 'waiting'
      readonly ahead: number
      readonly ticket: number
      readonly lookMs: number
      readonly occupant?: Occupant
    }
  | { readonly state: 'absent'; readonly occupant?: Occupant }

/**
 * What a waiter learns without asking: that it was granted, or (`grant` is null) that a look is due.
 */
export interface News {
  readonly place: Place
  readonly grant: { readonly fence: number; readonly ttlMs: number } | null
  /** Whether it still stands in the line. */
  readonly stays: boolean
}

interface Holder {
  readonly place: Place
  fence: number
  readonly grantedMs: number
  /** The lease is over from this moment on. */
  endsMs: number
}

/** Permits that stay taken by nobody, after a short hold or after a holder that vanished. */
interface Rest {
  readonly holder: Holder
  readonly endsMs: number
}

interface Waiter {
  readonly place: Place
  readonly ticket: number
  endsMs: number
}

const WAITERS_SHOWN = 100

/**
 * One weighted line of places: the definition that every engine is compared with.
 *
 * Each operation does the same four steps: places whose time is over go, the caller's place joins,
 * stays or leaves, the front of the line is granted while permits last, and the caller is told
 * where it stands. Nothing happens between operations, however much time goes by.
 */
export class Line {
  readonly shape: Shape
  /** Fence of the latest grant, 0 before the first. */
  fence: number
  #ticket = 0
  #taken = 0
  /** No place ends before this moment, so that a look at a long line need not search it. */
  #quietUntilMs = Number.POSITIVE_INFINITY
  readonly #holders = new Map<string, Holder>()
  #rests: Rest[] = []
  readonly #waiters = new Map<string, Waiter>()
  /** The same waiters by ticket; the first is the front. */
  #order: Waiter[] = []
  #news: News[] = []

  /** An empty line whose first fence will be larger than `fence`. */
  constructor(shape: Shape, fence = 0) {
    this.shape = shape
    this.fence = fence
  }

  /** Whether nobody is here and nothing stays taken, as the last operation left it. */
  get empty(): boolean {
    return this.#taken === 0 && this.#order.length === 0
  }

  /** Whether permits are taken, as the last operation left it. */
  get taken(): boolean {
    return this.#taken > 0
  }

  /** Whether it is the line of a lock of that shape. A place of another one counts for nothing. */
  has({ kind, capacity }: Shape): boolean {
    return this.shape.kind === kind && this.shape.capacity === capacity
  }

  /**
   * The identity gets the place it has, or joins; with `wait: false` it joins only to be granted.
   */
  acquire(claim: Claim, moment: Moment): Spot {
    this.#sweep(moment.nowMs)
    if (!this.#keepAlive(claim, moment.nowMs)) this.#join(claim, moment)
    this.#admit(moment, claim.identity)
    const waiter = this.#waiters.get(claim.identity)
    if (waiter !== undefined && !claim.wait) {
      this.#leave(waiter)
      this.#admit(moment)
    }
    return this.#spot(claim, moment.nowMs)
  }

  /** The place lives on, if it is here. */
  renew(place: Place, moment: Moment): Spot {
    if (!this.has(place.shape)) return { state: 'absent' }
    this.#sweep(moment.nowMs)
    this.#keepAlive(place, moment.nowMs)
    if (place.fence !== undefined) this.#raise(place.identity, place.fence)
    this.#admit(moment, place.identity)
    return this.#spot(place, moment.nowMs)
  }

  /** The place leaves; says whether it was here. With `force` nothing of it stays taken. */
  release(place: Place, moment: Moment, force = false): boolean {
    if (!this.has(place.shape)) return false
    this.#sweep(moment.nowMs)
    const holder = this.#holders.get(place.identity)
    const waiter = this.#waiters.get(place.identity)
    const untilMs = holder && !force ? holder.grantedMs + place.minHoldMs : moment.nowMs
    // What the front of the line planned its next look by: when the holder is over, or who it is.
    const planned = untilMs > moment.nowMs || waiter === this.#order[0]
    if (holder !== undefined) this.#vacate(holder, untilMs, moment.nowMs)
    if (waiter !== undefined) this.#leave(waiter)
    const cleared = force && this.#clear(place.identity)
    this.#admit(moment)
    if (planned) this.#tellFront()
    return holder !== undefined || waiter !== undefined || cleared
  }

  /** Lets time take effect. */
  look(moment: Moment): void {
    this.#sweep(moment.nowMs)
    this.#admit(moment)
  }

  /** What the line looks like, as the last operation left it; `null` when it is empty. */
  inspect(name: string, nowMs: number): LockState | null {
    if (this.empty) return null
    const state = (holder: Holder, identity: string, endsMs: number): HolderState => ({
      identity,
      ours: true,
      about: holder.place.about,
      permits: holder.place.permits,
      fence: holder.fence,
      ttlMs: endsMs - nowMs,
      heldMs: nowMs - holder.grantedMs,
    })
    return {
      name,
      kind: this.shape.kind,
      capacity: this.shape.capacity,
      holders: [
        ...[...this.#holders.values()].map((each) => state(each, each.place.identity, each.endsMs)),
        ...this.#rests.map((rest) => state(rest.holder, '', rest.endsMs)),
      ],
      waiters: this.#order.slice(0, WAITERS_SHOWN).map(({ place }) => ({
        identity: place.identity,
        permits: place.permits,
        about: place.about,
      })),
      waiting: this.#order.length,
    }
  }

  /** Whether a look at this moment would leave the line empty and grant nobody. */
  isOver(nowMs: number): boolean {
    if (nowMs < this.#quietUntilMs) return this.empty
    return (
      [...this.#holders.values()].every((holder) => freeMs(holder) <= nowMs) &&
      [...this.#rests, ...this.#order].every((each) => each.endsMs <= nowMs)
    )
  }

  /** Hands over the news since the last call, oldest first. */
  takeNews(): readonly News[] {
    if (this.#news.length === 0) return NO_NEWS
    const news = this.#news
    this.#news = []
    return news
  }

  /** Otherwise it would look when the lease could be over, or not before its next renewal. */
  #tellFront(): void {
    const front = this.#order[0]
    if (front !== undefined) this.#news.push({ place: front.place, grant: null, stays: true })
  }

  /** Removes every place whose time is over. */
  #sweep(nowMs: number): void {
    if (nowMs < this.#quietUntilMs) return
    for (const holder of this.#holders.values()) {
      if (holder.endsMs <= nowMs) this.#vacate(holder, freeMs(holder), nowMs)
    }
    this.#keepRests((rest) => rest.endsMs > nowMs)
    this.#order = this.#order.filter((waiter) => {
      if (waiter.endsMs > nowMs) return true
      this.#waiters.delete(waiter.place.identity)
      this.#news.push({ place: waiter.place, grant: null, stays: false })
      return false
    })
    this.#quietUntilMs = Number.POSITIVE_INFINITY
    for (const holder of this.#holders.values()) this.#expect(holder.endsMs)
    for (const each of [...this.#rests, ...this.#order]) this.#expect(each.endsMs)
  }

  /** Grants from the front while permits last. The first that does not fit blocks the rest. */
  #admit(moment: Moment, asking?: string): void {
    for (
      let front = this.#order[0];
      front !== undefined && front.place.permits <= this.shape.capacity - this.#taken;
      front = this.#order[0]
    ) {
      this.#leave(front)
      const { place } = front
      if (place.identity === asking) {
        this.#grant(place, place.ttlMs, moment)
      } else if (moment.reaches(place.identity)) {
        const fence = this.#grant(place, place.grantTtlMs, moment)
        this.#news.push({ place, grant: { fence, ttlMs: place.grantTtlMs }, stays: false })
      } else {
        // A grant that nobody hears would keep the lock for a whole lease. Should the process be
        // alive after all, its ticket brings it back to this place.
        this.#news.push({ place, grant: null, stays: false })
      }
    }
  }

  #grant(place: Place, ttlMs: number, moment: Moment): number {
    this.fence = Math.max(this.fence + 1, moment.nowMicros, place.fence ?? 0)
    const endsMs = moment.nowMs + ttlMs
    const holder = { place, fence: this.fence, grantedMs: moment.nowMs, endsMs }
    this.#holders.set(place.identity, holder)
    this.#taken += place.permits
    this.#expect(endsMs)
    return this.fence
  }

  /** Takes the holder out. Its permits stay taken until `untilMs`, when that is still to come. */
  #vacate(holder: Holder, untilMs: number, nowMs: number): void {
    this.#holders.delete(holder.place.identity)
    if (untilMs > nowMs) {
      this.#rests.push({ holder, endsMs: untilMs })
      this.#expect(untilMs)
    } else {
      this.#taken -= holder.place.permits
    }
  }

  /** Ends what stays taken after this identity, or after anybody where it is empty. */
  #clear(identity: string): boolean {
    const before = this.#rests.length
    this.#keepRests(({ holder }) => identity !== '' && holder.place.identity !== identity)
    return this.#rests.length < before
  }

  #keepRests(stays: (rest: Rest) => boolean): void {
    this.#rests = this.#rests.filter((rest) => {
      if (stays(rest)) return true
      this.#taken -= rest.holder.place.permits
      return false
    })
  }

  #raise(identity: string, fence: number): void {
    const holder = this.#holders.get(identity)
    if (holder === undefined) return
    holder.fence = Math.max(holder.fence, fence)
    this.fence = Math.max(this.fence, holder.fence)
  }

  /** A place that is here lives on. A life is never cut short by a call that asks for less. */
  #keepAlive(place: Place, nowMs: number): boolean {
    const holder = this.#holders.get(place.identity)
    const waiter = this.#waiters.get(place.identity)
    if (holder !== undefined) holder.endsMs = Math.max(holder.endsMs, nowMs + place.ttlMs)
    if (waiter !== undefined) waiter.endsMs = Math.max(waiter.endsMs, nowMs + place.waitTtlMs)
    return holder !== undefined || waiter !== undefined
  }

  #join(claim: Claim, moment: Moment): void {
    const ticket = claim.ticket ?? Math.max(this.#ticket + 1, moment.nowMicros)
    this.#ticket = Math.max(this.#ticket, ticket)
    const waiter = { place: claim, ticket, endsMs: moment.nowMs + claim.waitTtlMs }
    this.#waiters.set(claim.identity, waiter)
    this.#order.splice(this.#countUpTo(ticket), 0, waiter)
    this.#expect(waiter.endsMs)
  }

  #leave(waiter: Waiter): void {
    this.#waiters.delete(waiter.place.identity)
    this.#order.splice(this.#position(waiter), 1)
  }

  #spot(place: Place, nowMs: number): Spot {
    const holder = this.#holders.get(place.identity)
    if (holder !== undefined) {
      return { state: 'held', fence: holder.fence, ttlMs: holder.endsMs - nowMs }
    }
    const occupant = this.#occupant()
    const waiter = this.#waiters.get(place.identity)
    if (waiter === undefined) return { state: 'absent', ...occupant }
    const ahead = this.#position(waiter)
    // Behind the front nothing is due before the next renewal, which looks as well.
    const lookMs = ahead === 0 ? this.#fitsMs(waiter.place.permits) - nowMs : place.waitTtlMs
    return { state: 'waiting', ahead, ticket: waiter.ticket, lookMs, ...occupant }
  }

  #occupant(): { occupant?: Occupant } {
    for (const { place } of this.#holders.values()) {
      return { occupant: { identity: place.identity, ours: true, about: place.about } }
    }
    const rest = this.#rests[0]
    if (rest === undefined) return {}
    return { occupant: { identity: '', ours: true, about: rest.holder.place.about } }
  }

  /** When so many permits are free at the earliest, if nobody renews and nobody releases. */
  #fitsMs(permits: number): number {
    const ends = [...this.#holders.values()]
      .map((holder) => ({ atMs: freeMs(holder), permits: holder.place.permits }))
      .concat(
        this.#rests.map((rest) => ({ atMs: rest.endsMs, permits: rest.holder.place.permits })),
      )
      .sort((a, b) => a.atMs - b.atMs)
    let free = this.shape.capacity - this.#taken
    for (const end of ends) {
      free += end.permits
      if (free >= permits) return end.atMs
    }
    return Number.POSITIVE_INFINITY
  }

  #expect(endsMs: number): void {
    this.#quietUntilMs = Math.min(this.#quietUntilMs, endsMs)
  }

  #position(waiter: Waiter): number {
    let position = this.#countUpTo(waiter.ticket) - 1
    // Only tickets that were brought back after a loss of data can be equal.
    while (this.#order[position] !== waiter) position--
    return position
  }

  /** How many waiters have a ticket up to this one. */
  #countUpTo(ticket: number): number {
    let low = 0
    let high = this.#order.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#order[middle] as Waiter).ticket <= ticket) low = middle + 1
      else high = middle
    }
    return low
  }
}

const NO_NEWS: readonly News[] = []

/** When the permits of a holder that is never heard of again are free. */
function freeMs(holder: Holder): number {
  const { lockDelayMs, minHoldMs } = holder.place
  return Math.max(holder.endsMs + lockDelayMs, holder.grantedMs + minHoldMs)
}
