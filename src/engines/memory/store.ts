import type { Clock } from '../../core/clock.ts'
import type { Claim, ListQuery, LockPage, LockState, Place, Shape } from '../../core/engine.ts'
import { ShapeError } from '../../core/errors.ts'
import { systemClock, wallMicros } from '../../system/clock.ts'
import { Line, type Moment, type News, type Spot } from './line.ts'
import { NodeLists } from './node-lists.ts'

/** What a store is made of. */
export interface MemoryStoreOptions {
  /** Clock by which leases end. Default: the system's. */
  readonly clock?: Clock
  /** Microseconds of a calendar clock, from which fences are drawn. Default: the system's. */
  readonly nowMicros?: () => number
  /** How long the last fence of a lock that nobody uses is kept. Default: one day. */
  readonly keepFenceMs?: number
}

/** A process as the store sees it: where it sends its news. */
export interface Listener {
  readonly closed: boolean
  tell(news: News): void
}

interface Entry {
  readonly line: Line
  /** Processes of the waiters, by identity. */
  readonly listeners: Map<string, Listener>
  /** Order of birth, which is also the order in the map. */
  readonly birth: number
}

interface LastFence {
  readonly fence: number
  readonly retiredMs: number
}

const DAY_MS = 86_400_000

let stores = 0

/**
 * The locks themselves. Engines that share a store behave like processes that share a server.
 *
 * The store runs no timers: a lease ends when a call finds its time over.
 */
export class MemoryStore {
  readonly clock: Clock
  /** Tells stores apart. */
  readonly origin: string = `memory ${++stores}`
  readonly nodeLists: NodeLists
  readonly #nowMicros: () => number
  readonly #keepFenceMs: number
  readonly #entries = new Map<string, Entry>()
  /** Oldest first. */
  readonly #fences = new Map<string, LastFence>()
  #births = 0
  #patrol: Iterator<[string, Entry]> = this.#entries.entries()

  constructor(options: MemoryStoreOptions = {}) {
    this.clock = options.clock ?? systemClock
    this.nodeLists = new NodeLists(this.clock)
    this.#nowMicros = options.nowMicros ?? wallMicros
    this.#keepFenceMs = options.keepFenceMs ?? DAY_MS
  }

  /** What the next fence is drawn from. */
  nowMicros(): number {
    return this.#nowMicros()
  }

  /** How much the store remembers: locks in use, and last fences of locks that are not. */
  get size(): { readonly locks: number; readonly fences: number } {
    return { locks: this.#entries.size, fences: this.#fences.size }
  }

  /** See `Engine.acquire`; news of a place that waits go to `listener`. */
  acquire(claim: Claim, listener: Listener): Spot {
    const entry = this.#fitting(claim.name, claim.shape)
    const spot = this.#at(claim.name, entry, (moment) => entry.line.acquire(claim, moment))
    this.#listen(entry, claim, spot, listener)
    return spot
  }

  /** See `Engine.renew`; news of a place that waits go to `listener`. */
  renew(place: Place, listener: Listener): Spot {
    const entry = this.#entries.get(place.name)
    if (entry === undefined) return { state: 'absent' }
    const spot = this.#at(place.name, entry, (moment) => entry.line.renew(place, moment))
    this.#listen(entry, place, spot, listener)
    return spot
  }

  /** See `Engine.release`. A waiter that somebody else took out is told. */
  release(place: Place, force?: boolean): boolean {
    const entry = this.#entries.get(place.name)
    if (entry === undefined) return false
    const released = this.#at(place.name, entry, (moment) =>
      entry.line.release(place, moment, force),
    )
    this.#tell(entry, { place, grant: null, stays: false })
    return released
  }

  /** See `Engine.inspect`. */
  inspect(name: string): LockState | null {
    const entry = this.#entries.get(name)
    if (entry === undefined) return null
    return this.#at(name, entry, (moment) => {
      entry.line.look(moment)
      return entry.line.inspect(name, moment.nowMs)
    })
  }

  /** See `Engine.list`. */
  list(query: ListQuery): LockPage {
    const after = query.cursor === undefined ? 0 : Number(query.cursor)
    const names: string[] = []
    for (const [name, entry] of this.#entries) {
      if (entry.birth <= after || !name.startsWith(query.prefix)) continue
      this.#at(name, entry, (moment) => entry.line.look(moment))
      if (entry.line.taken) names.push(name)
      if (names.length >= query.limit) return { names, cursor: String(entry.birth) }
    }
    return { names }
  }

  /** The entry of a name, made anew where nobody is. */
  #fitting(name: string, shape: Shape): Entry {
    const found = this.#entries.get(name)
    if (found !== undefined) {
      if (found.line.has(shape)) return found
      this.#at(name, found, (moment) => found.line.look(moment))
      if (!found.line.empty) throw new ShapeError(name, shape, found.line.shape)
    }
    const line = new Line(shape, this.#fences.get(name)?.fence)
    const entry = { line, listeners: new Map<string, Listener>(), birth: ++this.#births }
    this.#cleanUp()
    this.#entries.set(name, entry)
    return entry
  }

  /** Runs one operation on a line, delivers its news, and forgets the line when it is empty. */
  #at<T>(name: string, entry: Entry, operation: (moment: Moment) => T): T {
    const result = operation({
      nowMs: this.clock.now(),
      nowMicros: this.#nowMicros(),
      reaches: (identity) => entry.listeners.get(identity)?.closed === false,
    })
    for (const news of entry.line.takeNews()) this.#tell(entry, news)
    if (entry.line.empty) this.#retire(name, entry)
    return result
  }

  #listen(entry: Entry, place: Place, spot: Spot, listener: Listener): void {
    if (spot.state === 'waiting') entry.listeners.set(place.identity, listener)
    else entry.listeners.delete(place.identity)
  }

  #tell(entry: Entry, news: News): void {
    const listener = entry.listeners.get(news.place.identity)
    if (!news.stays) entry.listeners.delete(news.place.identity)
    listener?.tell(news)
  }

  #retire(name: string, { line }: Entry): void {
    this.#entries.delete(name)
    // Taken out first, so that the map stays in the order of retirement.
    this.#fences.delete(name)
    this.#fences.set(name, { fence: line.fence, retiredMs: this.clock.now() })
  }

  /**
   * Forgets up to two old fences and visits two lines whose places may all be over. Two for each
   * line that is added: the store shrinks to what is in use without ever searching everything.
   */
  #cleanUp(): void {
    const nowMs = this.clock.now()
    for (let round = 0; round < 2; round++) {
      const oldest = this.#fences.entries().next()
      if (oldest.done !== true && nowMs - oldest.value[1].retiredMs > this.#keepFenceMs) {
        this.#fences.delete(oldest.value[0])
      }
      const visited = this.#patrol.next()
      if (visited.done === true) {
        this.#patrol = this.#entries.entries()
      } else if (visited.value[1].line.isOver(nowMs)) {
        const [name, entry] = visited.value
        this.#at(name, entry, (moment) => entry.line.look(moment))
      }
    }
  }
}
