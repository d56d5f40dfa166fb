import { Acquisition, type Asker } from './acquire.ts'
import type { Caller } from './caller.ts'
import { Chain } from './chain.ts'
import type { Core } from './core.ts'
import type { Absent, Occupant, Place } from './engine.ts'
import { AcquireTimeoutError } from './errors.ts'
import type { Grant, Succession } from './grant.ts'
import { Heir } from './heir.ts'
import type { HandoverLimits } from './options.ts'
import { trustedUntil } from './tending.ts'

/** A lease is passed on only while more than this share of its ttl is certain. */
const LEAST_LEFT = 1 / 2

/** What this process holds of the lock, from the engine's grant to the release to the engine. */
interface Turn {
  place: Place
  until: number
  /** The last fence that was handed out. */
  fence: number
  /** The last fence that may be: no other grant of this lock gets one up to it. */
  top: number
  /** No pass after this moment. */
  readonly endsAt: number
  /** The engine was asked for more fences and has not answered. */
  reserving?: Promise<void> | undefined
  asked: boolean
}

/**
 * Callers of one process that pass a mutex among themselves under one lease of the process. The
 * first of them takes it from the engine; while it works, fences for the others are reserved: the
 * holder raises the lock's fence counter, and each pass hands out one of the numbers in between.
 * After a number of passes or some time the lock goes back to the engine, so that other processes
 * have their turn. The idea is known as lock cohorting (Dice, Marathe, Shavit: "Lock Cohorting",
 * PPoPP 2012).
 */
export class Handover implements Asker, Succession {
  readonly told = undefined
  readonly #core: Core
  readonly #limits: HandoverLimits
  /** Forgets this handover: nobody holds and nobody waits. */
  readonly #over: () => void
  readonly #heirs = new Chain<Heir>()
  /** The place of all heirs in the engine's line. */
  #acquisition: Acquisition | undefined
  #turn: Turn | undefined

  constructor(core: Core, limits: HandoverLimits, over: () => void) {
    this.#core = core
    this.#limits = limits
    this.#over = over
  }

  join(caller: Caller): void {
    const ahead = this.#heirs.size
    const heir = new Heir(this.#core, caller, this)
    this.#heirs.add(heir)
    if (this.#turn === undefined) this.#ask()
    else this.#reserve(this.#turn)
    if (ahead > 0 || this.#turn !== undefined) heir.waits(ahead, this.#occupant)
  }

  left(heir: Heir, reason: Error): void {
    this.#heirs.delete(heir)
    if (this.#heirs.size > 0) return
    this.#acquisition?.giveUp(reason)
  }

  overdue(heir: Heir, timeoutMs: number): Error {
    if (this.#acquisition !== undefined) return this.#acquisition.overdue(timeoutMs)
    const { name } = heir.place
    const ahead = this.#heirs.toArray().indexOf(heir)
    return new AcquireTimeoutError(name, timeoutMs, { occupant: this.#occupant, ahead })
  }

  granted({ place, fence, until }: Grant): void {
    this.#acquisition = undefined
    const endsAt = this.#core.clock.now() + this.#limits.withinMs
    const turn: Turn = { place, until, fence, top: fence, endsAt, asked: false }
    this.#turn = turn
    this.#handOn(turn)
    if (this.#heirs.size > 0) this.#reserve(turn)
  }

  /** Never told: whoever waits here waits at the engine too. */
  absent(_standing: Absent): void {}

  fail(reason: Error): void {
    this.#acquisition = undefined
    const heirs = this.#heirs.toArray()
    for (const heir of heirs) this.#heirs.delete(heir)
    this.#over()
    for (const heir of heirs) heir.fail(reason)
  }

  async pass(until: number): Promise<boolean> {
    // Whoever holds the lock in this process has the turn.
    const turn = this.#turn as Turn
    await turn.reserving
    turn.until = Math.max(turn.until, until)
    const now = this.#core.clock.now()
    const certain = turn.until - now > turn.place.ttlMs * LEAST_LEFT
    const may = certain && turn.fence < turn.top && now < turn.endsAt && !this.#core.closed
    if (!may || this.#heirs.size === 0) return false
    turn.fence += 1
    this.#handOn(turn)
    return true
  }

  ended(): void {
    this.#turn = undefined
    if (this.#heirs.size > 0) this.#ask()
    else this.#over()
  }

  get #occupant(): Occupant | undefined {
    const place = this.#turn?.place
    return place && { identity: place.identity, ours: true, about: place.about }
  }

  /** Asks the engine for the lock, for whoever is first when it comes. Somebody waits. */
  #ask(): void {
    if (this.#acquisition !== undefined) return
    const { request } = (this.#heirs.first as Heir).caller
    const asked = { ...request, timeoutMs: Number.POSITIVE_INFINITY, signal: undefined }
    this.#acquisition = new Acquisition(this.#core, asked, this)
    this.#acquisition.start()
  }

  /** To the first who waits; who waited last gave the acquisition up with its place. */
  #handOn(turn: Turn): void {
    const first = this.#heirs.first as Heir
    this.#heirs.delete(first)
    const { place, fence, until } = turn
    first.granted({ place, fence, until, succession: this })
  }

  /** Once a turn, and only when somebody waits: a lone caller costs no further command. */
  #reserve(turn: Turn): void {
    if (turn.asked || this.#core.clock.now() >= turn.endsAt) return
    turn.asked = true
    const reserving = this.#raise(turn).then(() => {
      turn.reserving = undefined
    })
    turn.reserving = reserving
  }

  /** Never rejects: without fences nothing is passed on. */
  async #raise(turn: Turn): Promise<void> {
    const top = turn.fence + this.#limits.passes
    const place = { ...turn.place, fence: top }
    try {
      const [standing] = await this.#core.engine.renew([place])
      if (standing?.state !== 'held' || standing.fence < top) return
      turn.top = top
      // Renewals of the leases to come keep the counter where it is.
      turn.place = place
      turn.until = Math.max(turn.until, trustedUntil(standing, place.ttlMs))
    } catch (error) {
      this.#core.events.emit('error', { name: place.name, error })
    }
  }
}
