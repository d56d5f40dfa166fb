import { onAbort } from './abort.ts'
import { call, type Request } from './caller.ts'
import type { Core } from './core.ts'
import type { Absent, Claim, Held, Occupant, Place, Standing, Unknown, Waiting } from './engine.ts'
import { AcquireTimeoutError, closedError, EngineError, ReplicaError } from './errors.ts'
import type { Grant } from './grant.ts'
import type { Lease } from './lease.ts'
import type { Entry, Tended } from './renewal.ts'
import { backoffMs } from './retry.ts'
import { trustedUntil } from './tending.ts'
import type { AcquireTrace } from './traces.ts'

/** Why a call stops to listen. Told once and for all: an abort without a reason makes an error. */
const SETTLED: Error = new Error('The call is over')

/** Whoever wants to know what becomes of a request, and is told one end of it. */
export interface Asker {
  /** What watchers outside were told of the call. */
  readonly told: AcquireTrace | undefined
  granted(grant: Grant): void
  absent(standing: Absent): void
  fail(reason: Error): void
}

/**
 * Takes a place and waits for its grant. Resolves to `absent` instead of a lease only when
 * `timeoutMs` is 0 and the lock is taken. Rejects with the signal's reason, `AcquireTimeoutError`,
 * `EngineError`, `ShapeError`, or `HOLDFAST_CLOSED`. Whatever the outcome, no place is left behind.
 */
export function acquire(core: Core, request: Request): Promise<Lease | Absent> {
  return call(core, request, (caller) => {
    new Acquisition(core, request, caller, caller.startedAt).start()
  })
}

/** One request for a place, from its first question to the engine to its only end. */
export class Acquisition implements Tended {
  readonly place: Place
  readonly leased = false
  entry: Entry | undefined
  readonly #core: Core
  readonly #request: Request
  readonly #asker: Asker
  readonly #wait: boolean
  readonly deadline: number
  #settled = false
  /** Stops listening to the caller's signal. */
  #stopListening: (() => void) | undefined
  /** An acquire request is under way; its answer decides what there is to clean up. */
  #joining: Promise<void> | undefined
  /** A request may have run without an answer, so that the engine may know the place. */
  #doubtful = false
  /** Since when answers are grants that were over when they came. */
  #overdueSince: number | undefined
  /** The lease was handed out. */
  #won = false
  #listening: AbortController | undefined
  /** The engine was asked for news and has not answered. */
  #awaiting = false
  #seen: Waiting | undefined
  #occupant: Occupant | undefined
  #answeredAt: number
  #answered = false
  #failures = 0
  #lastError: EngineError | undefined

  constructor(core: Core, request: Request, asker: Asker, startedAt: number = core.clock.now()) {
    this.#core = core
    this.#request = request
    this.place = request.place
    this.#asker = asker
    this.#wait = request.timeoutMs > 0
    this.#answeredAt = startedAt
    this.deadline = this.#wait ? startedAt + request.timeoutMs : Number.POSITIVE_INFINITY
  }

  start(): void {
    const { signal } = this.#request
    this.#core.renewal.tend(this)
    this.#stopListening = signal && onAbort(signal, () => this.#fail(signal.reason as Error))
    this.#join()
  }

  stands(standing: Standing | Unknown): void {
    if (standing.state === 'unknown') return this.#doubt(standing.error)
    this.#answered = true
    const now = this.#core.clock.now()
    this.#answeredAt = now
    this.#failures = 0
    switch (standing.state) {
      case 'held':
        return this.#granted(standing, this.place.ttlMs, now)
      case 'waiting':
        return this.#waits(standing)
      case 'absent':
        this.#occupant = standing.occupant ?? this.#occupant
        // A look at a grant that came too late says nothing about who holds the lock.
        if (!this.#wait && this.#overdueSince === undefined) {
          return this.#settle(() => this.#asker.absent(standing))
        }
        // The line lost the place; the ticket brings it back where it stood.
        return this.#join()
      default:
        standing satisfies never
    }
  }

  /** The time to wait is over. */
  expire(): void {
    this.#fail(this.overdue(this.#request.timeoutMs))
  }

  /** Why whoever waited this long has no lease. */
  overdue(timeoutMs: number): Error {
    if (!this.#answered) {
      return this.#lastError ?? this.#silence(`no answer within timeoutMs (${timeoutMs} ms)`)
    }
    const ahead = this.#seen?.ahead
    return new AcquireTimeoutError(this.place.name, timeoutMs, { occupant: this.#occupant, ahead })
  }

  /** Nobody wants it any more. */
  giveUp(reason: Error): void {
    this.#fail(reason)
  }

  async shutdown(): Promise<void> {
    this.#fail(closedError(this.place.name))
    await this.#joining
  }

  #join(): void {
    this.#joining ??= this.#enter()
  }

  /** Never rejects. */
  async #enter(): Promise<void> {
    const core = this.#core
    const ticket = this.#seen?.ticket ?? this.#request.ticket
    const claim = claimOf(this.place, this.#wait, ticket)
    try {
      const standing = await core.reach(() => this.#ask(claim), this.deadline, this.#failed)
      this.#joining = undefined
      if (!this.#settled) this.stands(standing)
      else if (standing.state !== 'absent') this.#giveBack()
    } catch (error) {
      this.#joining = undefined
      if (this.#settled && this.#doubtful) this.#giveBack()
      this.#fail(this.#inAll(error as Error))
    }
  }

  /**
   * Leaves the place, unless the grant came by another way and a lease stands on it. What nobody
   * was given has no minimum hold.
   */
  #giveBack(): void {
    if (!this.#won) this.#core.abandon(this.place, { force: true })
  }

  /** What is known of all requests: where the last one did not run, one before it may have. */
  #inAll(error: Error): Error {
    if (!this.#doubtful || !(error instanceof EngineError) || error.outcome === 'unknown') {
      return error
    }
    return this.#silence('requests stayed without an answer, and the last one failed')
  }

  #ask(claim: Claim): Promise<Standing> {
    if (this.#settled) throw this.#silence('the call was over before it was sent', 'none')
    return this.#core.engine.acquire(claim)
  }

  readonly #failed = (error: EngineError): void => {
    this.#lastError = error
    this.#doubtful ||= error.outcome === 'unknown'
  }

  #granted(held: Held, lifeMs: number, now: number): void {
    const core = this.#core
    const until = trustedUntil(held, lifeMs)
    if (until <= now) {
      // The answer was slower than the lease is long. A renewal says whether it can still be had.
      this.#overdueSince ??= now
      if (now < this.#overdueSince + core.requestTimeoutMs) return core.renewal.schedule(this, 0)
      return this.#fail(this.#silence('answers take longer than the lease (ttlMs) lasts'))
    }
    this.#won = true
    this.#settle(() => this.#asker.granted({ place: this.place, fence: held.fence, until }))
  }

  #waits(waiting: Waiting): void {
    const { events, renewal, traces } = this.#core
    this.#overdueSince = undefined
    const moved = this.#seen?.ahead !== waiting.ahead
    if (this.#seen === undefined) this.#request.joined?.()
    this.#seen = waiting
    // Whoever was seen before the line moved has left, and not every look says who came.
    this.#occupant = waiting.occupant ?? (moved ? undefined : this.#occupant)
    if (moved) {
      const { told } = this.#asker
      if (told !== undefined) {
        told.joinedAhead ??= waiting.ahead
        told.ahead = waiting.ahead
        traces.waiting(told)
      }
      if (events.heard('waiting')) {
        events.emit('waiting', {
          name: this.place.name,
          identity: this.place.identity,
          kind: this.place.shape.kind,
          permits: this.place.permits,
          ahead: waiting.ahead,
          occupant: this.#occupant,
        })
      }
    }
    const aliveMs = this.place.waitTtlMs / 3
    const soon = waiting.lookMs < aliveMs
    renewal.schedule(this, soon ? waiting.lookMs : aliveMs, soon ? 0 : aliveMs / 2)
    if (this.#listening === undefined) void this.#listen()
  }

  /** Waits for pushes for as long as the call waits. */
  async #listen(): Promise<void> {
    const { clock, controllers, engine, renewal } = this.#core
    const listening = controllers.take()
    this.#listening = listening
    try {
      while (!this.#settled) {
        this.#awaiting = true
        const news = await engine.wait(this.place, listening.signal)
        this.#awaiting = false
        if (this.#settled) break
        if (news.state === 'held') this.#granted(news, this.place.grantTtlMs, clock.now())
        else renewal.hurry(this)
      }
      controllers.giveBack(listening)
    } catch {
      // Without pushes the looks go on; the next one that finds the place waiting listens again.
      this.#awaiting = false
      this.#listening = undefined
    }
  }

  /**
   * The engine did not answer a look. The call gives up some time after the place must have ended.
   */
  #doubt(error: EngineError): void {
    const { clock, random, renewal, requestTimeoutMs } = this.#core
    this.#lastError = error
    // Granted, but not as it was asked for: the lock goes back instead of being kept for a retry.
    if (error instanceof ReplicaError) return this.#fail(error)
    this.#failures++
    const patienceMs = this.place.waitTtlMs + requestTimeoutMs
    if (clock.now() - this.#answeredAt > patienceMs) return this.#fail(error)
    renewal.schedule(this, backoffMs(this.#failures, random))
  }

  #fail(reason: Error): void {
    if (this.#settled) return
    this.#settle(() => this.#asker.fail(reason))
    // A request under way cleans up after itself, once its answer says what there is.
    const mayBeKnown = this.#answered || this.#doubtful
    if (this.#joining !== undefined) this.#core.owe(this.#joining)
    else if (mayBeKnown) this.#giveBack()
  }

  #settle(answer: () => void): void {
    this.#settled = true
    this.#core.renewal.stop(this)
    this.#stopListening?.()
    answer()
    if (this.#awaiting) this.#listening?.abort(SETTLED)
  }

  #silence(problem: string, outcome: 'none' | 'unknown' = 'unknown'): EngineError {
    return new EngineError({
      engine: this.#core.engine.name,
      operation: 'acquire',
      outcome,
      transient: false,
      problem,
      lock: this.place.name,
      cause: this.#lastError,
    })
  }
}

/** Field by field: a copy that then gets one more field is made in twice the time. */
function claimOf(place: Place, wait: boolean, ticket: number | undefined): Claim {
  const { name, shape, permits, identity, ttlMs, waitTtlMs, grantTtlMs } = place
  const { minHoldMs, lockDelayMs, about, fence } = place
  const claim: Claim = {
    name,
    shape,
    permits,
    identity,
    ttlMs,
    waitTtlMs,
    grantTtlMs,
    minHoldMs,
    lockDelayMs,
    about,
    wait,
  }
  if (ticket === undefined && fence === undefined) return claim
  return {
    ...claim,
    ...(fence === undefined ? {} : { fence }),
    ...(ticket === undefined ? {} : { ticket }),
  }
}
