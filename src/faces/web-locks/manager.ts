import { acquire } from '../../core/acquire.ts'
import { HoldfastError } from '../../core/errors.ts'
import type { Holdfast } from '../../core/holdfast.ts'
import { Lease } from '../../core/lease.ts'
import type { LeaseOptions } from '../../core/options.ts'
import { seize } from '../../core/seize.ts'
import { type LockRequest, readArguments } from './arguments.ts'
import { exception } from './exception.ts'
import { hold } from './hold.ts'
import { toLockName } from './names.ts'
import { snapshot } from './snapshot.ts'
import { Turns } from './turns.ts'
import type { LockGrantedCallback, LockManagerSnapshot, LockOptions } from './types.ts'

/** What a manager is made with. */
interface Settings {
  readonly prefix: string
  readonly clientId: string
  readonly settings: LeaseOptions
}

/** A request with the name of its lock on the engine. */
type NamedRequest = LockRequest & { readonly lock: string }

/** The `LockManager` of the Web Locks API. Made with `webLocks`. */
export class LockManager {
  /** What `query` calls the requests of this manager. */
  readonly clientId: string
  readonly #holdfast: Holdfast
  readonly #prefix: string
  readonly #settings: LeaseOptions
  readonly #turns = new Turns()

  /** @internal */
  constructor(holdfast: Holdfast, { prefix, clientId, settings }: Settings) {
    this.#holdfast = holdfast
    this.#prefix = prefix
    this.clientId = clientId
    this.#settings = settings
  }

  /**
   * Requests a lock, calls `callback` with it, and releases it when the promise that `callback`
   * returned has settled. Resolves and rejects like that promise, after the release. Rejects
   * with TypeError for wrong arguments; with the reason of `signal` when that aborts first; with a
   * DOMException `NotSupportedError` for a name that starts with `-` or is too long and for options
   * that exclude each other, `AbortError` when the lock was stolen or its lease lost while
   * `callback` ran, `InvalidStateError` when the Holdfast is closed; and with `EngineError` when
   * the engine cannot be reached.
   */
  request<T>(name: string, callback: LockGrantedCallback<T>): Promise<Awaited<T>>
  request<T>(
    name: string,
    options: LockOptions,
    callback: LockGrantedCallback<T>,
  ): Promise<Awaited<T>>
  async request(name: unknown, second: unknown, ...rest: readonly unknown[]): Promise<unknown> {
    const asked = readArguments(name, second, rest)
    this.#assertOpen()
    assertSupported(asked)
    asked.signal?.throwIfAborted()
    const request = { ...asked, lock: toLockName(this.#prefix, asked.name) }
    const lease = await this.#turns.take(request.lock, asked.signal, (stands) =>
      this.#grant(request, stands),
    )
    const { callback } = asked
    if (lease === null) return await callback(null)
    return await hold(lease, asked)
  }

  /**
   * Resolves to the locks that are held and the requests that wait, of all managers with this
   * prefix. Names are looked at one after the other, so that they are not of one moment. Of each
   * name it tells the first 100 that wait. Rejects with a DOMException `InvalidStateError` when the
   * Holdfast is closed, and with `EngineError` when the engine cannot be reached.
   */
  async query(): Promise<LockManagerSnapshot> {
    this.#assertOpen()
    await this.#turns.all()
    await this.#holdfast.core.settled()
    return await snapshot(this.#holdfast, this.#prefix)
  }

  /** @internal */
  get [Symbol.toStringTag](): string {
    return 'LockManager'
  }

  /** Resolves to `null` when the lock is not available and nobody would wait. */
  async #grant(request: NamedRequest, stands: () => void): Promise<Lease | null> {
    const { core } = this.#holdfast
    const { read, write } = this.#holdfast.readWriteLock(request.lock, this.#settings)
    const ask = (request.mode === 'shared' ? read : write).ask(core, undefined)
    const keeping = ask.settings
    const { ifAvailable, signal } = request
    // What was given up before this request is out of its way.
    if (ifAvailable) await core.settled()
    const place = core.place(ask)
    try {
      if (request.steal) return await seize(core, place, keeping)
      const timeoutMs = ifAvailable ? 0 : Number.POSITIVE_INFINITY
      const answer = await acquire(core, { place, keeping, timeoutMs, signal, joined: stands })
      return answer instanceof Lease ? answer : null
    } catch (error) {
      if (!isClosed(error)) throw error
      throw exception('AbortError', 'The Holdfast was closed while the request waited.', error)
    }
  }

  #assertOpen(): void {
    if (!this.#holdfast.core.closed) return
    throw exception('InvalidStateError', 'The Holdfast of this LockManager was closed.')
  }
}

function isClosed(error: unknown): boolean {
  return error instanceof HoldfastError && error.code === 'HOLDFAST_CLOSED'
}

/** The conditions of the specification, in its order. */
function assertSupported({ name, mode, ifAvailable, steal, signal }: LockRequest): void {
  const problem = name.startsWith('-')
    ? 'name must not start with "-".'
    : steal && ifAvailable
      ? 'steal and ifAvailable exclude each other.'
      : steal && mode !== 'exclusive'
        ? 'steal takes exclusive locks only.'
        : signal !== undefined && (steal || ifAvailable)
          ? `signal and ${steal ? 'steal' : 'ifAvailable'} exclude each other.`
          : undefined
  if (problem !== undefined) throw exception('NotSupportedError', problem)
}
