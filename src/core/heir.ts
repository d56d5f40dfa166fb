import { onAbort } from './abort.ts'
import type { Caller } from './caller.ts'
import type { Chained } from './chain.ts'
import type { Core } from './core.ts'
import type { Occupant, Place } from './engine.ts'
import { closedError } from './errors.ts'
import type { Grant } from './grant.ts'
import type { Entry, Tended } from './renewal.ts'

/** What an heir needs of the handover that it waits at. */
interface Handing {
  /** The heir wants the lock no more. */
  left(heir: Heir, reason: Error): void
  /** Why an heir that waited this long has no lease. */
  overdue(heir: Heir, timeoutMs: number): Error
}

/** A call that waits for its turn inside this process. It has no place in the engine's line. */
export class Heir implements Tended, Chained<Heir> {
  readonly caller: Caller
  readonly leased = false
  entry: Entry | undefined
  chain: object | undefined
  previous: Heir | undefined
  next: Heir | undefined
  readonly #core: Core
  readonly #handing: Handing
  /** Stops listening to the caller's signal. */
  readonly #stopListening: (() => void) | undefined

  constructor(core: Core, caller: Caller, handing: Handing) {
    const { signal } = caller.request
    this.#core = core
    this.caller = caller
    this.#handing = handing
    this.#stopListening = signal && onAbort(signal, () => this.#leave(signal.reason as Error))
    core.renewal.tend(this)
  }

  get place(): Place {
    return this.caller.request.place
  }

  get deadline(): number {
    return this.caller.deadline
  }

  /** Tells listeners how many callers of this process stand in front. */
  waits(ahead: number, occupant: Occupant | undefined): void {
    const { name, identity, shape, permits } = this.place
    const { told } = this.caller
    if (told !== undefined) {
      told.joinedAhead = ahead
      told.ahead = ahead
      this.#core.traces.waiting(told)
    }
    const { kind } = shape
    this.#core.events.emit('waiting', { name, identity, kind, permits, ahead, occupant })
  }

  granted(grant: Grant): void {
    this.#stop()
    this.caller.granted(grant)
  }

  fail(reason: Error): void {
    this.#stop()
    this.caller.fail(reason)
  }

  /** Never told: the engine does not know the place. */
  stands(): void {}

  expire(): void {
    this.#leave(this.#handing.overdue(this, this.caller.request.timeoutMs))
  }

  async shutdown(): Promise<void> {
    this.#leave(closedError(this.place.name))
  }

  #leave(reason: Error): void {
    this.fail(reason)
    this.#handing.left(this, reason)
  }

  #stop(): void {
    this.#core.renewal.stop(this)
    this.#stopListening?.()
  }
}
