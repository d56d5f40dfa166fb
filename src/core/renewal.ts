import { Chain, type Chained } from './chain.ts'
import type { Clock, Timer } from './clock.ts'
import type { Engine, Place, Standing, Unknown } from './engine.ts'
import { EngineError } from './errors.ts'
import type { RenewTrace, Trace } from './traces.ts'

/** Most places in one renewal: bounds how long one call keeps a server busy. */
const BATCH = 250

/** Somebody whose place is kept alive: a lease, or a call that waits for one. */
export interface Tended {
  readonly place: Place
  /** Whether it is a lease; if not, it waits. */
  readonly leased: boolean
  /** When `expire` is due on the clock; `Infinity` for never. Read anew at every round. */
  readonly deadline: number
  /** Told where the place stands. Schedules the next look, or none. */
  stands(standing: Standing | Unknown): void
  /** The deadline is over. The place is no longer tended. */
  expire(): void
  /** The Holdfast closes. Leaves, and settles whoever waits. Never rejects. */
  shutdown(): Promise<void>
  /** Kept here by the renewal, which alone reads and writes it. */
  entry?: Entry | undefined
}

/** What is planned for somebody. */
export class Entry implements Chained<Entry> {
  readonly tended: Tended
  dueAt: number = Number.POSITIVE_INFINITY
  /** When something was heard of that makes it due, whatever was planned. */
  hurriedAt: number = Number.POSITIVE_INFINITY
  /** How much earlier than due it may travel with others. */
  slackMs = 0
  inFlight = false
  chain: object | undefined
  previous: Entry | undefined
  next: Entry | undefined

  constructor(tended: Tended) {
    this.tended = tended
  }

  get plannedAt(): number {
    return Math.min(this.dueAt, this.hurriedAt)
  }
}

/**
 * Keeps every place of this process alive with one timer and as few calls as possible: whatever is
 * due travels together with what is nearly due, so that leases taken at different times fall into
 * step. The same timer tells deadlines, so that no lease needs one of its own.
 */
export class Renewal {
  readonly #engine: Engine
  readonly #clock: Clock
  readonly #trace: Trace<RenewTrace>
  readonly #entries = new Chain<Entry>()
  #timer: Timer | undefined
  #timerAt = Number.POSITIVE_INFINITY

  constructor(engine: Engine, clock: Clock, trace: Trace<RenewTrace>) {
    this.#engine = engine
    this.#clock = clock
    this.#trace = trace
  }

  /** Everybody tended now. */
  get tended(): readonly Tended[] {
    return this.#entries.toArray().map(({ tended }) => tended)
  }

  /** Starts to watch the deadline; looks come with `schedule`. */
  tend(tended: Tended): void {
    const entry = new Entry(tended)
    tended.entry = entry
    this.#entries.add(entry)
    this.#armFor(tended.deadline)
  }

  /**
   * Renews in `inMs` from `now`, or up to `slackMs` earlier when others go then. `Infinity`: not at
   * all.
   */
  schedule(tended: Tended, inMs: number, slackMs = 0, now: number = this.#clock.now()): void {
    const { entry } = tended
    if (entry === undefined) return
    entry.dueAt = now + inMs
    entry.slackMs = slackMs
    this.#armFor(Math.min(entry.dueAt, tended.deadline))
  }

  /**
   * Renews at once; where a renewal is under way, once more behind it, since that one may have been
   * answered before the change. No plan of `schedule` puts it off.
   */
  hurry(tended: Tended): void {
    const { entry } = tended
    if (entry === undefined) return
    entry.hurriedAt = this.#clock.now()
    if (!entry.inFlight) this.#armFor(entry.hurriedAt)
  }

  stop(tended: Tended): void {
    const { entry } = tended
    if (entry === undefined) return
    tended.entry = undefined
    this.#entries.delete(entry)
  }

  /** Renews them in one engine call, and says where each stands. Rejects as the engine does. */
  ask(batch: readonly Tended[]): Promise<readonly (Standing | Unknown)[]> {
    const renewed = () => this.#engine.renew(batch.map(({ place }) => place))
    return this.#trace.watched ? this.#traced(batch, renewed) : renewed()
  }

  /** Ends the timer. Nothing is told any more. */
  close(): void {
    for (const tended of this.tended) this.stop(tended)
    this.#timer?.cancel()
    this.#timer = undefined
    this.#timerAt = Number.POSITIVE_INFINITY
  }

  #armFor(moment: number): void {
    if (moment >= this.#timerAt) return
    this.#timer?.cancel()
    this.#timerAt = moment
    this.#timer = this.#clock.setTimer(() => this.#round(), moment - this.#clock.now())
  }

  #round(): void {
    this.#timer = undefined
    this.#timerAt = Number.POSITIVE_INFINITY
    const now = this.#clock.now()
    // Deadlines first: after a blocked event loop nothing else may happen before they are told.
    for (const { tended } of this.#entries.toArray()) {
      if (tended.entry === undefined || tended.deadline > now) continue
      this.stop(tended)
      tended.expire()
    }
    this.#send(now)
    let next = Number.POSITIVE_INFINITY
    for (let entry = this.#entries.first; entry !== undefined; entry = entry.next) {
      next = Math.min(next, entry.tended.deadline, entry.inFlight ? next : entry.plannedAt)
    }
    if (next < Number.POSITIVE_INFINITY) this.#armFor(next)
  }

  /** Sends nothing unless something is due; then also what is nearly due. */
  #send(now: number): void {
    const still = this.#entries.toArray().filter(({ inFlight }) => !inFlight)
    if (!still.some(({ plannedAt }) => plannedAt <= now)) return
    const batch: Tended[] = []
    for (const entry of still) {
      if (entry.plannedAt - entry.slackMs > now) continue
      entry.inFlight = true
      entry.hurriedAt = Number.POSITIVE_INFINITY
      entry.dueAt = Number.POSITIVE_INFINITY
      batch.push(entry.tended)
    }
    for (let at = 0; at < batch.length; at += BATCH) void this.#renew(batch.slice(at, at + BATCH))
  }

  /** Never rejects: an error becomes the unknown standing of everybody in the batch. */
  async #renew(batch: readonly Tended[]): Promise<void> {
    let standings: readonly (Standing | Unknown)[]
    try {
      standings = await this.ask(batch)
    } catch (cause) {
      const unknown: Unknown = { state: 'unknown', error: this.#failure(cause) }
      standings = batch.map(() => unknown)
    }
    batch.forEach((tended, index) => {
      const { entry } = tended
      const standing = standings[index]
      if (entry === undefined || standing === undefined) return
      entry.inFlight = false
      // A look asked for while this one was under way keeps its time, unless a new one is set.
      if (entry.plannedAt < Number.POSITIVE_INFINITY) this.#armFor(entry.plannedAt)
      tended.stands(standing)
    })
  }

  async #traced(
    batch: readonly Tended[],
    renewed: () => Promise<readonly (Standing | Unknown)[]>,
  ): Promise<readonly (Standing | Unknown)[]> {
    const places = batch.map(({ place, leased }) => ({ place, leased }))
    const told: RenewTrace = { engine: this.#engine.name, places }
    const startedAt = this.#clock.now()
    try {
      const standings = await this.#trace.begin(told, renewed)
      places.forEach((place, index) => Object.assign(place, { standing: standings[index] }))
      return standings
    } catch (error) {
      told.error = error
      throw error
    } finally {
      told.tookMs = this.#clock.now() - startedAt
      this.#trace.end(told)
    }
  }

  #failure(cause: unknown): EngineError {
    if (cause instanceof EngineError) return cause
    return new EngineError({
      engine: this.#engine.name,
      operation: 'renew',
      outcome: 'unknown',
      transient: true,
      problem: cause instanceof Error ? cause.message : String(cause),
      cause,
    })
  }
}
