import type { Core } from './core.ts'
import type { Held, Place, ReleaseOptions, Standing, Unknown } from './engine.ts'
import {
  closedError,
  type EngineError,
  type HoldfastError,
  LeaseLostError,
  type LossReason,
} from './errors.ts'
import type { Grant, Succession } from './grant.ts'
import type { Lease, LeaseState } from './lease.ts'
import type { Entry, Tended } from './renewal.ts'
import { backoffMs } from './retry.ts'
import type { AcquireTrace, HoldTrace } from './traces.ts'

/** Share of the ttl by which two clocks may drift apart during one lease, plus rounding. */
const DRIFT = 0.01
const ROUNDING_MS = 2

/** A renewal is due when less than this share of the ttl is left. */
const RENEW_BELOW = 2 / 3

/** Share of the ttl by which a renewal may travel early, with others. */
const SLACK = 1 / 6

/** How long a lease is kept. */
export interface Keeping {
  readonly renew: boolean
  readonly maxHoldMs: number
}

/**
 * The latest moment up to which a holder may trust a lease that the engine granted or confirmed for
 * `lifeMs`.
 */
export function trustedUntil(held: Held, lifeMs: number): number {
  return held.deadline - (lifeMs * DRIFT + ROUNDING_MS)
}

/** Keeps one lease alive. Apart from `Lease`, so that users see the lease and nothing else. */
export class LeaseTending implements Tended {
  readonly place: Place
  readonly leased = true
  entry: Entry | undefined
  readonly #core: Core
  readonly #lease: Lease
  readonly #succession: Succession | undefined
  #renews: boolean
  readonly #grantedAt: number
  readonly #overdueAt: number
  #until: number
  #state: LeaseState = 'held'
  #failures = 0
  #lastFailure: EngineError | undefined
  #loss: LeaseLostError | undefined
  /** Why the signal is aborted, where it is. */
  #ended: HoldfastError | undefined
  /** Made on first use: most leases end before anybody asks for their signal. */
  #controller: AbortController | undefined
  #releasing: Promise<boolean> | undefined
  /** What watchers were told at the grant, until they are told of the end. */
  #told: HoldTrace | undefined

  constructor(core: Core, { place, until, succession }: Grant, keeping: Keeping, lease: Lease) {
    this.#core = core
    this.place = place
    this.#lease = lease
    this.#succession = succession
    this.#renews = keeping.renew
    const now = core.clock.now()
    this.#grantedAt = now
    this.#overdueAt = this.#grantedAt + keeping.maxHoldMs
    this.#until = until
    core.renewal.tend(this)
    this.#scheduleNext(now)
  }

  begin(acquire: AcquireTrace | undefined): void {
    const { engine, traces } = this.#core
    if (!traces.hold.watched) return
    this.#told = { engine: engine.name, lease: this.#lease, acquire }
    traces.hold.begin(this.#told, () => undefined)
  }

  get deadline(): number {
    return Math.min(this.#until, this.#overdueAt)
  }

  get state(): LeaseState {
    this.#noticeDeadline()
    return this.#state
  }

  get remainingMs(): number {
    const now = this.#core.clock.now()
    this.#noticeDeadline(now)
    const alive = this.#state === 'held' || this.#state === 'jeopardy'
    return alive ? this.deadline - now : 0
  }

  get signal(): AbortSignal {
    this.#noticeDeadline()
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#ended !== undefined) this.#controller.abort(this.#ended)
    }
    return this.#controller.signal
  }

  assertHeld(minMs: number): void {
    const left = this.remainingMs
    if (left > 0 && left >= minMs) return
    const ended = this.#state === 'released' ? 'released' : 'expired'
    throw this.#loss ?? this.#lossError(left > 0 ? 'short' : ended)
  }

  stands(standing: Standing | Unknown): void {
    if (this.#state === 'released' || this.#state === 'lost') return
    switch (standing.state) {
      case 'held':
        return this.#confirm(standing)
      case 'unknown':
        return this.#doubt(standing.error)
      case 'waiting':
        return this.#lose('refused')
      case 'absent':
        return this.#lose('refused', standing.cause)
      default:
        standing satisfies never
    }
  }

  expire(): void {
    const overdue = this.#overdueAt < this.#until
    this.#lose(overdue ? 'overdue' : 'expired')
    // The engine would keep it until its ttl is over. Whoever held it has been told.
    if (overdue) this.#core.abandon(this.place)
  }

  async shutdown(): Promise<void> {
    if (this.#core.leavesHeld) {
      this.detach()
      return this.#end(closedError(this.place.name))
    }
    const released = this.dispose()
    // Work that still runs must hear that its lock is being given back.
    this.#end(closedError(this.place.name))
    await released
  }

  async renew(): Promise<void> {
    const { place } = this
    const core = this.#core
    core.assertOpen(place.name)
    this.assertHeld(0)
    const [standing] = await core.reach(async () => {
      const standings = await core.renewal.ask([this])
      if (standings[0]?.state === 'unknown') throw standings[0].error
      return standings
    }, this.#until)
    if (standing !== undefined) this.stands(standing)
    this.assertHeld(0)
  }

  lapse(): void {
    this.#renews = false
    this.#core.renewal.schedule(this, Number.POSITIVE_INFINITY)
  }

  detach(): void {
    this.#state = 'released'
    this.#core.renewal.stop(this)
  }

  release(options?: ReleaseOptions): Promise<boolean> {
    this.#releasing ??= this.#release(options)
    return this.#releasing
  }

  async dispose(options?: ReleaseOptions): Promise<LeaseLostError | undefined> {
    this.#noticeDeadline()
    try {
      const released = await this.release(options)
      return released ? undefined : (this.#loss ?? this.#lossError('refused'))
    } catch (error) {
      this.#core.events.emit('error', { name: this.place.name, error })
      return undefined
    }
  }

  async #release(options: ReleaseOptions | undefined): Promise<boolean> {
    const { place } = this
    const core = this.#core
    if (!this.#lease.held) {
      // Unconfirmed is not gone: an unanswered renewal may have kept the lock on the engine.
      if (this.#loss?.reason === 'expired') core.abandon(place, options)
      return false
    }
    this.#state = 'released'
    core.renewal.stop(this)
    const succession = options?.force === true ? undefined : this.#succession
    if (succession !== undefined && (await succession.pass(this.#until))) return this.#gone()
    let doubtful = false
    const leave = (): Promise<boolean> => core.engine.release(place, options)
    const onFailure = (error: EngineError): void => {
      doubtful ||= error.outcome !== 'none'
    }
    try {
      const leaving = core.reach(leave, this.#until, onFailure)
      // Whoever comes next asks the engine after this.
      this.#succession?.ended()
      // After a lost reply the repeated call finds nothing: the first one had done it.
      if ((await leaving) || doubtful) return this.#gone()
      this.#over(this.#lossError('refused'))
      return false
    } catch (error) {
      core.abandon(place, options)
      this.#over(error)
      throw error
    }
  }

  /** It was given back, or passed on. */
  #gone(): true {
    const { clock, events } = this.#core
    if (events.heard('released')) {
      events.emit('released', { lease: this.#lease, heldMs: clock.now() - this.#grantedAt })
    }
    this.#over()
    return true
  }

  #confirm(held: Held): void {
    // Replies may come out of order; each is true of its own moment, so the latest moment counts.
    this.#until = Math.max(this.#until, trustedUntil(held, this.place.ttlMs))
    const now = this.#core.clock.now()
    if (this.#until <= now) return this.#lose('expired')
    this.#failures = 0
    this.#lastFailure = undefined
    if (this.#state === 'jeopardy') {
      this.#state = 'held'
      this.#core.events.emit('secured', { lease: this.#lease })
    }
    this.#scheduleNext(now)
  }

  #doubt(error: EngineError): void {
    this.#lastFailure = error
    this.#failures++
    const { clock, events, random, renewal } = this.#core
    const remainingMs = this.remainingMs
    if (remainingMs === 0) return
    if (this.#state === 'held') {
      this.#state = 'jeopardy'
      events.emit('jeopardy', { lease: this.#lease, remainingMs, error })
    }
    if (!this.#renews) return
    const pauseMs = Math.min(backoffMs(this.#failures, random), this.place.ttlMs / 10)
    renewal.schedule(this, Math.min(pauseMs, this.#until - clock.now()))
  }

  #scheduleNext(now: number): void {
    if (!this.#renews) return
    const { ttlMs } = this.place
    const leftMs = this.#until - now
    const inMs = Math.max(0, leftMs - ttlMs * RENEW_BELOW)
    this.#core.renewal.schedule(this, inMs, Math.min(inMs, ttlMs * SLACK), now)
  }

  /** A blocked event loop or a suspended machine may ask before the timer could fire. */
  #noticeDeadline(now: number = this.#core.clock.now()): void {
    const open = this.#state === 'held' || this.#state === 'jeopardy'
    if (open && now >= this.deadline) this.expire()
  }

  #lose(reason: LossReason, cause?: EngineError): void {
    this.#state = 'lost'
    this.#core.renewal.stop(this)
    this.#loss = this.#lossError(reason, cause)
    this.#end(this.#loss)
    this.#over(this.#loss)
    this.#core.events.emit('lost', { lease: this.#lease, error: this.#loss })
    this.#succession?.ended()
  }

  /** Tells the work that its right is gone, now or when it asks for the signal. */
  #end(reason: HoldfastError): void {
    this.#ended ??= reason
    this.#controller?.abort(this.#ended)
  }

  /** Tells watchers outside that nothing is held any more, and why that is an error. */
  #over(error?: unknown): void {
    const told = this.#told
    if (told === undefined) return
    this.#told = undefined
    told.heldMs = this.#core.clock.now() - this.#grantedAt
    if (error !== undefined) told.error = error
    this.#core.traces.hold.end(told)
  }

  #lossError(reason: LossReason, cause?: EngineError): LeaseLostError {
    // An earlier failure explains a lease that ran out, and not one that was refused.
    const known = cause ?? (reason === 'refused' ? undefined : this.#lastFailure)
    return new LeaseLostError(this.place.name, this.#lease.fence, reason, known)
  }
}
