/// <reference lib="esnext.disposable" preserve="true" />
import { AllLocks, type AllMember } from './all.ts'
import { sleep } from './clock.ts'
import { Core, type CoreParts } from './core.ts'
import { diagnose } from './diagnosis.ts'
import { Election } from './election.ts'
import type { Engine, LockPage } from './engine.ts'
import type { HoldfastEvents, Listener } from './events.ts'
import type { Finding } from './finding.ts'
import {
  type BreakReport,
  forceRelease,
  inspect,
  type ListOptions,
  type LockReport,
  list,
  type NamesOptions,
  names,
} from './inspection.ts'
import { Mutex } from './mutex.ts'
import {
  checkFunction,
  checkName,
  checkObject,
  handoverLimits,
  type LeaseOptions,
  type LeaseSettings,
  leaseSettings,
  type MutexOptions,
  show,
} from './options.ts'
import { ReadWriteLock } from './read-write-lock.ts'
import { Semaphore, type SemaphoreOptions } from './semaphore.ts'

const EVENTS = ['waiting', 'granted', 'jeopardy', 'secured', 'lost', 'released', 'error'] as const

/** Locks on one engine. Make one per process with `connect` or `createHoldfast`, and close it. */
export class Holdfast implements AsyncDisposable {
  readonly #core: Core
  #closing: Promise<void> | undefined

  /** @internal */
  constructor(parts: CoreParts) {
    this.#core = new Core(parts)
  }

  /** @internal What its locks share, for the faces that stand on them. */
  get core(): Core {
    return this.#core
  }

  /** The engine that the locks stand on. */
  get engine(): Engine {
    return this.#core.engine
  }

  /**
   * The exclusive lock of this name: 1 byte to 1 KiB of UTF-8, any characters. Costs nothing and
   * changes nothing; `options` are defaults for its leases.
   */
  mutex(name: string, options?: MutexOptions): Mutex {
    checkName(name)
    return new Mutex(this.#core, name, this.#settings(options), handoverLimits(options))
  }

  /**
   * The lock of this name that leases share, up to `capacity` permits together. Everybody must give
   * it the same capacity: another one is refused with `ShapeError` while the lock is in use. Throws
   * `UnsupportedError` where the engine has no semaphores.
   */
  semaphore(name: string, options: SemaphoreOptions): Semaphore {
    checkName(name)
    checkObject('options', options)
    return new Semaphore(this.#core, name, options.capacity, this.#settings(options))
  }

  /**
   * The lock of this name that many readers or one writer hold. Throws `UnsupportedError` where the
   * engine has none.
   */
  readWriteLock(name: string, options?: LeaseOptions): ReadWriteLock {
    checkName(name)
    return new ReadWriteLock(this.#core, name, this.#settings(options))
  }

  /**
   * Several locks of this Holdfast as one, all or nothing, without deadlock: mutexes, semaphores
   * (`{ lock, permits }` for more than one permit), read and write locks, and others made with
   * `all`, in any order. `options` go before those of the locks. Throws RangeError when one lock is
   * named twice.
   */
  all(locks: readonly AllMember[], options?: LeaseOptions): AllLocks {
    return new AllLocks(this.#core, locks, options)
  }

  /**
   * The election of this name, in which one of many candidates leads. Throws `UnsupportedError`
   * where the engine has none.
   */
  election(name: string, options?: LeaseOptions): Election {
    checkName(name)
    return new Election(this.#core, name, this.#settings(options))
  }

  /** Who holds the lock and who waits for it, without touching it; `null` when nobody does. */
  async inspect(name: string): Promise<LockReport | null> {
    checkName(name)
    return await inspect(this.#core, name)
  }

  /**
   * A page of the names of held locks. Locks that come and go meanwhile may be missed, and one name
   * may stand on two pages.
   */
  async list(options: ListOptions = {}): Promise<LockPage> {
    return await list(this.#core, options)
  }

  /** The names of held locks, page after page, each once. Rejects like `list`. */
  names(options: NamesOptions = {}): AsyncIterableIterator<string> {
    return names(this.#core, options)
  }

  /**
   * Breaks the leases that are there, and ends a minimum hold or a lock delay. The next waiters are
   * granted at once, with larger fences. A holder that was broken is told by a `LeaseLostError` with
   * the reason `refused`, at once when it is one of this Holdfast, else at its next renewal: until
   * then it may go on writing, so let the resource refuse smaller fences. Resolves to who was
   * broken; nobody when the lock was free. Rejects with `EngineError` when the engine cannot be
   * reached.
   */
  async forceRelease(name: string): Promise<BreakReport> {
    checkName(name)
    return await forceRelease(this.#core, name)
  }

  /**
   * What endangers the promises here, the worst first; empty when nothing was found. Looks at the
   * engine and at what is around it, takes a lock of its own and gives it back. It needs no further
   * rights: what it may not ask is a finding too. An engine that does not answer is a finding.
   */
  async diagnose(): Promise<readonly Finding[]> {
    this.#core.assertOpen()
    return await diagnose(this.#core)
  }

  /**
   * Calls `listener` at each `event` until the returned function is called. A listener that throws
   * is reported as an `error` event.
   */
  on<K extends keyof HoldfastEvents>(event: K, listener: Listener<K>): () => void {
    if (!EVENTS.includes(event)) {
      throw new RangeError(`event must be one of ${EVENTS.join(', ')}, got ${show(event)}.`)
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

  /** @internal Closes without giving back what is held, which ends with its ttl. */
  leave(): Promise<void> {
    this.#core.leavesHeld = true
    return this.close()
  }

  /** Same as `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #settings(options: LeaseOptions | undefined): LeaseSettings {
    return leaseSettings(options, this.#core.defaults)
  }

  async #close(): Promise<void> {
    const core = this.#core
    core.startClosing()
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
