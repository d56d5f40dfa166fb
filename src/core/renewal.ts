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
}

interface Entry {
  dueAt: number
  /** When something was heard of that makes it due, whatever was planned. */
  hurriedAt: number
  /** How much earlier than due it may travel with others. */
  slackMs: number
  inFlight: boolean
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
  readonly #entries = new Map<Tended, Entry>()
  #timer: Timer | undefined
  #timerAt = Number.POSITIVE_INFINITY

  constructor(engine: Engine, clock: Clock, trace: Trace<RenewTrace>) {
    this.#engine = engine
    this.#clock = clock
    this.#trace = trace
  }

  /** Everybody tended now. */
  get tended(): readonly Tended[] {
    return [...this.#entries.keys()]
  }

  /** Starts to watch the deadline; looks come with `schedule`. */
  tend(tended: Tended): void {
    const never = { dueAt: Number.POSITIVE_INFINITY, hurriedAt: Number.POSITIVE_INFINITY }
    this.#entries.set(tended, { ...never, slackMs: 0, inFlight: false })
    this.#armFor(tended.deadline)
  }

  /**
   * Renews in `inMs` from `now`, or up to `slackMs` earlier when others go then. `Infinity`: not at
   * all.
   */
  schedule(tended: Tended, inMs: number, slackMs = 0, now: number = this.#clock.now()): void {
    const entry = this.#entries.get(tended)
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
    const entry = this.#entries.get(tended)
    if (entry === undefined) return
    entry.hurriedAt = this.#clock.now()
    if (!entry.inFlight) this.#armFor(entry.hurriedAt)
  }

  stop(tended: Tended): void {
    this.#entries.delete(tended)
  }

  /** Renews them in one engine call, and says where each stands. Rejects as the engine does. */
  ask(batch: readonly Tended[]): Promise<readonly (Standing | Unknown)[]> {
    const renewed = () => this.#engine.renew(batch.map(({ place }) => place))
    return this.#trace.watched ? this.#traced(batch, renewed) : renewed()
  }

  /** Ends the timer. Nothing is told any more. */
  close(): void {
    this.#entries.clear()
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
    for (const tended of this.#entries.keys()) {
      if (tended.deadline > now) continue
      this.#entries.delete(tended)
      tended.expire()
    }
    if (this.#anyDue(now)) this.#send(now)
    let next = Number.POSITIVE_INFINITY
    for (const [tended, entry] of this.#entries) {
      next = Math.min(next, tended.deadline, entry.inFlight ? next : plannedAt(entry))
    }
    if (next < Number.POSITIVE_INFINITY) this.#armFor(next)
  }

  #anyDue(now: number): boolean {
    for (const entry of this.#entries.values()) {
      if (!entry.inFlight && plannedAt(entry) <= now) return true
    }
    return false
  }

  #send(now: number): void {
    let batch: Tended[] = []
    for (const [tended, entry] of this.#entries) {
      if (entry.inFlight || plannedAt(entry) - entry.slackMs > now) continue
      entry.inFlight = true
      entry.hurriedAt = Number.POSITIVE_INFINITY
      entry.dueAt = Number.POSITIVE_INFINITY
      batch.push(tended)
      if (batch.length === BATCH) {
        void this.#renew(batch)
        batch = []
      }
    }
    if (batch.length > 0) void this.#renew(batch)
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
      const entry = this.#entries.get(tended)
      const standing = standings[index]
      if (entry === undefined || standing === undefined) return
      entry.inFlight = false
      // A look asked for while this one was under way keeps its time, unless a new one is set.
      if (plannedAt(entry) < Number.POSITIVE_INFINITY) this.#armFor(plannedAt(entry))
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

function plannedAt({ dueAt, hurriedAt }: Entry): number {
  return Math.min(dueAt, hurriedAt)
}
