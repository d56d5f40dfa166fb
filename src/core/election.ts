import type { About } from './about.ts'
import { acquire } from './acquire.ts'
import type { Core } from './core.ts'
import type { Shape } from './engine.ts'
import { AcquireTimeoutError, ShapeError } from './errors.ts'
import { inspect } from './inspection.ts'
import { Leadership } from './leadership.ts'
import { observe } from './observation.ts'
import {
  type AcquireOptions,
  checkObject,
  checkText,
  checkWhole,
  type LeaseSettings,
  leaseSettings,
  MAX_MS,
  waitLimit,
  waitSignal,
} from './options.ts'

const SHAPE: Shape = { kind: 'election', capacity: 1 }

/** How a candidate runs. */
export interface CampaignOptions extends AcquireOptions {
  /** Told to everybody who asks who leads, such as an address: up to 1 KiB of UTF-8. */
  readonly note?: string
}

/** Whoever leads. */
export interface Leader {
  /** The identity of the leadership, fresh for every campaign that was won. */
  readonly identity: string
  /** Larger than that of every earlier leader. */
  readonly fence: number
  /** What the candidate said of itself. */
  readonly note: string | undefined
  readonly about: About
}

/** How a leader is observed. */
export interface ObserveOptions {
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal
  /** Longest time between two looks: 20 to 2147483647, 1000 by default. */
  readonly intervalMs?: number
}

/** One of many leads. When it resigns or vanishes, the candidate that waited longest follows. */
export class Election {
  readonly name: string
  readonly #core: Core
  readonly #settings: LeaseSettings

  /** @internal */
  constructor(core: Core, name: string, settings: LeaseSettings) {
    core.assertServes(SHAPE.kind, name)
    this.name = name
    this.#core = core
    this.#settings = settings
  }

  /**
   * Waits to lead and resolves to the leadership: a lease that renews itself, whose `signal` aborts
   * when it is lost and which ends with `resign`. Rejects like `Lock.acquire`.
   */
  async campaign(options?: CampaignOptions): Promise<Leadership> {
    const timeoutMs = waitLimit(options)
    const settings = leaseSettings(options, this.#settings)
    const signal = waitSignal(options)
    const note = options?.note
    if (note !== undefined) checkText('note', note)
    const core = this.#core
    const place = core.place({ name: this.name, shape: SHAPE, permits: 1, settings, note })
    const answer = await acquire(core, {
      place,
      keeping: settings,
      timeoutMs,
      signal,
      make: Leadership,
    })
    if (answer instanceof Leadership) return answer
    const { occupant } = answer as { occupant?: never }
    throw new AcquireTimeoutError(this.name, timeoutMs, { occupant })
  }

  /**
   * Who leads at this moment, or `null` when nobody does. Rejects with `ShapeError` when the name is
   * a lock of another kind, and with `EngineError` when the engine cannot be reached.
   */
  async leader(): Promise<Leader | null> {
    return (await this.#look()).leader
  }

  /**
   * Who leads, now and after every change; `null` while nobody does. It may skip leaders that came
   * and went between two looks, and always arrives at the one who stays. It looks every
   * `intervalMs`, when the leader's time is over, and at once when a candidate of this Holdfast
   * wins, resigns or loses. An engine that cannot be reached is told as an `error` event and asked
   * again. The iteration ends when `signal` aborts, when the Holdfast is closed and with `break`.
   */
  observe(options: ObserveOptions = {}): AsyncIterableIterator<Leader | null> {
    checkObject('options', options)
    const { intervalMs = 1000 } = options
    const signal = waitSignal(options)
    checkWhole('intervalMs', intervalMs, 20, MAX_MS)
    this.#core.assertOpen(this.name)
    return observe(this.#core, { name: this.name, look: () => this.#look(), intervalMs, signal })
  }

  async #look(): Promise<{ leader: Leader | null; leftMs: number }> {
    const report = await inspect(this.#core, this.name)
    if (report !== null && report.kind !== SHAPE.kind) {
      const { kind, capacity } = report
      throw new ShapeError(this.name, SHAPE, { kind, capacity })
    }
    const holder = report?.holders[0]
    const leftMs = holder?.ttlMs ?? Number.POSITIVE_INFINITY
    // Without an identity nobody leads: a minimum hold or a lock delay keeps the others out.
    if (holder === undefined || holder.identity === '') return { leader: null, leftMs }
    const { identity, fence, about } = holder
    return { leader: { identity, fence, note: about.note, about }, leftMs }
  }
}
