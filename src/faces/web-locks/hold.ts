import { onAbort } from '../../core/abort.ts'
import type { Lease } from '../../core/lease.ts'
import type { LockRequest } from './arguments.ts'
import { exception } from './exception.ts'
import type { Lock, LockMode } from './types.ts'

/**
 * Calls the callback with the lock, and releases it when the callback's promise has settled.
 * Resolves and rejects like that promise, after the release; with an AbortError as soon as the
 * lease is gone before.
 */
export async function hold(lease: Lease, request: LockRequest): Promise<unknown> {
  const { signal, callback } = request
  if (signal?.aborted === true) {
    // Aborted between the grant and the callback, which must not run then.
    await lease.giveBack()
    signal.throwIfAborted()
  }
  let stop = (): void => undefined
  const gone = new Promise<never>((_, reject) => {
    const tell = () => reject(lostError(lease.signal.reason))
    if (lease.signal.aborted) tell()
    else stop = onAbort(lease.signal, tell)
  })
  const lock = new GrantedLock(lease, request)
  const settled = (async () => await callback(lock))()
  try {
    return await Promise.race([gone, released(lease, settled)])
  } finally {
    stop()
  }
}

async function released(lease: Lease, settled: Promise<unknown>): Promise<unknown> {
  await settled.catch(() => undefined)
  const loss = await lease.finish()
  if (loss !== undefined) throw lostError(loss)
  return await settled
}

function lostError(cause: unknown): Error {
  return exception('AbortError', 'The lock was stolen, or its lease was lost.', cause)
}

class GrantedLock implements Lock {
  readonly #lease: Lease
  readonly #name: string
  readonly #mode: LockMode

  constructor(lease: Lease, { name, mode }: LockRequest) {
    this.#lease = lease
    this.#name = name
    this.#mode = mode
  }

  get name(): string {
    return this.#name
  }

  get mode(): LockMode {
    return this.#mode
  }

  get fence(): number {
    return this.#lease.fence
  }

  get signal(): AbortSignal {
    return this.#lease.signal
  }

  get [Symbol.toStringTag](): string {
    return 'Lock'
  }
}
