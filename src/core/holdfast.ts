/// <reference lib="esnext.disposable" preserve="true" />
import { type About, readAbout } from './about.ts'
import { sleep } from './clock.ts'
import { Core, type CoreParts } from './core.ts'
import type { Engine, HolderState, LockPage, LockState, WaiterState } from './engine.ts'
import type { HoldfastEvents, Listener } from './events.ts'
import { Mutex } from './mutex.ts'
import {
  checkFunction,
  checkName,
  checkObject,
  checkText,
  checkWhole,
  type LeaseOptions,
  leaseSettings,
} from './options.ts'

const EVENTS = ['waiting', 'granted', 'jeopardy', 'secured', 'lost', 'released', 'error'] as const

/** Which locks `list` returns. */
export interface ListOptions {
  /** Only names that start with this; all by default. */
  readonly prefix?: string
  /** Where the page before ended. */
  readonly cursor?: string
  /** About how many names a page holds: 1 to 10000, 100 by default. */
  readonly limit?: number
}

/** A holder, with what its process told of itself. */
export interface HolderReport extends Omit<HolderState, 'about'> {
  readonly about: About
}

/** A waiter, with what its process told of itself. */
export interface WaiterReport extends Omit<WaiterState, 'about'> {
  readonly about: About
}

/** A lock at one moment. */
export interface LockReport extends Omit<LockState, 'holders' | 'waiters'> {
  readonly holders: readonly HolderReport[]
  /** The first 100 in line order. */
  readonly waiters: readonly WaiterReport[]
}

/** Locks on one engine. Make one per process with `connect` or `createHoldfast`, and close it. */
export class Holdfast implements AsyncDisposable {
  readonly #core: Core
  #closing: Promise<void> | undefined

  /** @internal */
  constructor(parts: CoreParts) {
    this.#core = new Core(parts)
  }

  /** The engine that the locks stand on. */
  get engine(): Engine {
    return this.#core.engine
  }

  /**
   * The exclusive lock of this name: 1 byte to 1 KiB of UTF-8, any characters. Costs nothing and
   * changes nothing; `options` are defaults for its leases.
   */
  mutex(name: string, options?: LeaseOptions): Mutex {
    checkName(name)
    return new Mutex(this.#core, name, leaseSettings(options, this.#core.defaults))
  }

  /** Who holds the lock and who waits for it, without touching it; `null` when nobody does. */
  async inspect(name: string): Promise<LockReport | null> {
    checkName(name)
    this.#core.assertOpen(name)
    const state = await this.#core.reach(() => this.engine.inspect(name))
    if (state === null) return null
    const told = <T extends { about: string }>(place: T) => ({
      ...place,
      about: readAbout(place.about),
    })
    return { ...state, holders: state.holders.map(told), waiters: state.waiters.map(told) }
  }

  /**
   * A page of the names of held locks. Locks that come and go meanwhile may be missed, and one name
   * may stand on two pages.
   */
  async list(options: ListOptions = {}): Promise<LockPage> {
    checkObject('options', options)
    const { prefix = '', cursor, limit = 100 } = options
    checkText('prefix', prefix)
    if (cursor !== undefined) checkText('cursor', cursor)
    checkWhole('limit', limit, 1, 10_000)
    this.#core.assertOpen()
    const query = { prefix, limit, ...(cursor === undefined ? {} : { cursor }) }
    return await this.#core.reach(() => this.engine.list(query))
  }

  /**
   * Calls `listener` at each `event` until the returned function is called. A listener that throws
   * is reported as an `error` event.
   */
  on<K extends keyof HoldfastEvents>(event: K, listener: Listener<K>): () => void {
    if (!EVENTS.includes(event)) {
      throw new RangeError(`event must be one of ${EVENTS.join(', ')}, got ${String(event)}.`)
    }
    checkFunction('listener', listener)
    return this.#core.events.on(event, listener)
  }

  /**
   * Releases every lease (its signal aborts), settles every waiting call with `HOLDFAST_CLOSED`,
   * and closes the connections that Holdfast made, so that the process can exit. Never rejects, and
   * takes at most `requestTimeoutMs` when the engine does not answer. Calling it again is harmless.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Same as `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const core = this.#core
    core.closed = true
    const left = Promise.all(core.renewal.tended.map((tended) => tended.shutdown())).then(() =>
      core.settleOwed(),
    )
    const patience = new AbortController()
    const patient = sleep(core.clock, core.requestTimeoutMs, patience.signal)
    await Promise.race([left, patient.catch(() => undefined)])
    patience.abort()
    core.end()
    try {
      await core.engine.close()
    } catch (error) {
      core.events.emit('error', { name: undefined, error })
    }
  }
}
