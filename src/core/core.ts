import { writeAbout } from './about.ts'
import type { Clock, Random } from './clock.ts'
import type { Context } from './context.ts'
import { Controllers } from './controllers.ts'
import type { Engine, Kind, Place, ReleaseOptions, Shape } from './engine.ts'
import { closedError, type EngineError, UnsupportedError } from './errors.ts'
import { Events } from './events.ts'
import type { Handover } from './handover.ts'
import type { LeaseSettings } from './options.ts'
import { type Hold, Reentry } from './reentry.ts'
import { Renewal } from './renewal.ts'
import { persist, persistAfter } from './retry.ts'
import type { Traces } from './traces.ts'

/** Longest time a silent waiter or an unclaimed grant may cost, whatever the ttl. */
const MOST_WAIT_TTL_MS = 10_000

/** What a Holdfast is made of. */
export interface CoreParts {
  readonly engine: Engine
  readonly clock: Clock
  readonly random: Random
  readonly defaults: LeaseSettings
  /** How long a call keeps trying to reach the engine. */
  readonly requestTimeoutMs: number
  readonly host: string
  readonly pid: number
  /** Carries along which locks the work that runs now stands inside. */
  readonly context: Context<Hold | undefined>
  /** Tells watchers outside what is under way. */
  readonly traces: Traces
}

/** What the locks and leases of one Holdfast share. */
export class Core {
  readonly engine: Engine
  readonly clock: Clock
  readonly random: Random
  readonly defaults: LeaseSettings
  readonly requestTimeoutMs: number
  readonly events: Events = new Events()
  readonly renewal: Renewal
  readonly reentry: Reentry
  readonly traces: Traces
  /** For those who wait for news of the engine. */
  readonly controllers: Controllers = new Controllers()
  /** Where callers of this process pass a mutex among themselves, by what they ask for. */
  readonly handovers: Map<string, Handover> = new Map()
  /** Closing gives nothing back: what is held ends with its ttl. */
  leavesHeld = false
  readonly #host: string
  readonly #pid: number
  readonly #plainAbout: string
  readonly #owed = new Set<Promise<void>>()
  readonly #closing = new AbortController()
  readonly #ending = new AbortController()
  readonly #unheard: (() => void) | undefined

  constructor(parts: CoreParts) {
    this.engine = parts.engine
    this.clock = parts.clock
    this.random = parts.random
    this.defaults = parts.defaults
    this.requestTimeoutMs = parts.requestTimeoutMs
    this.traces = parts.traces
    this.reentry = new Reentry(parts.context)
    this.renewal = new Renewal(parts.engine, this.#clockForAll(parts.clock), parts.traces.renew)
    this.#host = parts.host
    this.#pid = parts.pid
    this.#plainAbout = writeAbout({ host: parts.host, pid: parts.pid })
    this.#unheard = parts.engine.onLoss?.((cause) =>
      this.reentry.outside(() => this.#loseAll(cause)),
    )
  }

  /** The engine lost what it granted. Waiters ask it again by themselves. */
  #loseAll(cause: EngineError): void {
    for (const tended of this.renewal.tended) {
      if (tended.leased) tended.stands({ state: 'absent', cause })
    }
  }

  /**
   * Work that takes a lease may set the timer that all leases share. Whoever that tells must not
   * get the right of that work to enter its locks again.
   */
  #clockForAll(clock: Clock): Clock {
    return {
      now: () => clock.now(),
      setTimer: (action, delayMs) => clock.setTimer(() => this.reentry.outside(action), delayMs),
    }
  }

  /** Whether the Holdfast is being closed or was. */
  get closed(): boolean {
    return this.#closing.signal.aborted
  }

  /** Aborts when the Holdfast is about to be closed. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /** From here on every call is refused. */
  startClosing(): void {
    this.#closing.abort(closedError())
  }

  /** Throws unless the engine serves this kind of lock. */
  assertServes(kind: Kind, lock: string): void {
    const { name, guarantees } = this.engine
    if (guarantees.kinds.includes(kind)) return
    const why = guarantees.withoutKinds
    throw new UnsupportedError(
      `The ${name} engine serves no lock of kind ${kind}, only ${guarantees.kinds.join(', ')}` +
        `${why === undefined ? '' : `: ${why}`}.`,
      lock,
    )
  }

  /** Throws once the Holdfast is closed. */
  assertOpen(lock?: string): void {
    if (this.closed) throw closedError(lock)
  }

  /** A new place for a lock, with a fresh identity unless one is given. */
  place(asked: {
    readonly name: string
    readonly shape: Shape
    readonly permits: number
    readonly settings: LeaseSettings
    readonly note?: string | undefined
    readonly identity?: string | undefined
  }): Place {
    const { name, shape, permits, settings: lease, note, identity } = asked
    const waitTtlMs = Math.min(lease.ttlMs, MOST_WAIT_TTL_MS)
    return {
      name,
      shape,
      permits,
      identity: identity ?? this.random.identity(),
      ttlMs: lease.ttlMs,
      waitTtlMs,
      // A lease that never renews must get its whole life at the grant.
      grantTtlMs: lease.renew ? waitTtlMs : lease.ttlMs,
      minHoldMs: lease.minHoldMs,
      lockDelayMs: lease.lockDelayMs,
      about: this.#about(lease.label, note),
    }
  }

  /** Kept where nobody added anything: it is part of every call that takes a lock. */
  #about(label: string | undefined, note: string | undefined): string {
    if (label === undefined && note === undefined) return this.#plainAbout
    return writeAbout({
      host: this.#host,
      pid: this.#pid,
      ...(label === undefined ? {} : { label }),
      ...(note === undefined ? {} : { note }),
    })
  }

  /**
   * Repeats an engine call for up to `requestTimeoutMs`, or until the earlier moment `by`. Rejects
   * with `HOLDFAST_CLOSED` when the Holdfast ends between two tries. `onFailure` hears of each
   * failure of the engine.
   */
  async reach<T>(
    call: () => Promise<T>,
    by: number = Number.POSITIVE_INFINITY,
    onFailure?: (error: EngineError) => void,
  ): Promise<T> {
    const { clock, random } = this
    const until = Math.min(by, clock.now() + this.requestTimeoutMs)
    try {
      return await call()
    } catch (error) {
      // Most calls are answered at once, and pay for nothing of this.
      const limits = { clock, random, until: () => until, signal: this.#ending.signal }
      return await persistAfter(error, call, limits, onFailure)
    }
  }

  /** Makes `close` wait for work of a caller that was already answered. It must not reject. */
  owe(work: Promise<void>): void {
    const owed = work.finally(() => this.#owed.delete(owed))
    this.#owed.add(owed)
  }

  /**
   * Gives a place back in the background, for callers that were already answered. Repeated until
   * the engine answers or the place has ended by itself.
   */
  abandon(place: Place, options?: ReleaseOptions): void {
    const { clock, random } = this
    const longest = Math.max(place.ttlMs + place.lockDelayMs, place.waitTtlMs)
    const until = clock.now() + longest + this.requestTimeoutMs
    const leaving = persist(() => this.engine.release(place, options), {
      clock,
      random,
      until: () => until,
      signal: this.#ending.signal,
    })
    this.owe(
      leaving.then(
        () => undefined,
        (error: unknown) => {
          if (!this.#ending.signal.aborted) this.events.emit('error', { name: place.name, error })
        },
      ),
    )
  }

  /**
   * Resolves when the engine knows what calls that were given up until now left behind: the answer
   * of a request under way, and then the release of what it took.
   */
  async settled(): Promise<void> {
    await Promise.all(this.#owed)
    await Promise.all(this.#owed)
  }

  /** Resolves when nothing is owed any more. */
  async settleOwed(): Promise<void> {
    while (this.#owed.size > 0) await Promise.all(this.#owed)
  }

  /** Stops every timer and background call. */
  end(): void {
    this.#unheard?.()
    this.renewal.close()
    this.#ending.abort(closedError())
  }
}
