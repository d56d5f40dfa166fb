import { type Clock, type Random, sleep } from './clock.ts'
import { EngineError } from './errors.ts'

/** First pause and longest pause between two tries, before jitter. */
const FIRST_PAUSE_MS = 20
const LONGEST_PAUSE_MS = 500

interface Limits {
  readonly clock: Clock
  readonly random: Random
  readonly until: () => number
  readonly signal?: AbortSignal
}

/** The pause before try number `failures + 1`: doubling, capped, between half and all of it. */
export function backoffMs(failures: number, random: Random): number {
  const full = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 10))
  return full * (0.5 + random.fraction() / 2)
}

/**
 * Repeats an engine call, which is harmless by contract, until it is answered, fails for a reason
 * that will not pass, the clock passes `until()`, or `signal` aborts. Rejects with the last error
 * of the call, or with the signal's reason.
 */
export async function persist<T>(
  call: () => Promise<T>,
  limits: Limits,
  onFailure?: (error: EngineError) => void,
): Promise<T> {
  try {
    return await call()
  } catch (error) {
    return await persistAfter(error, call, limits, onFailure)
  }
}

/** Like `persist`, for a call that was tried once and failed with `first`. */
export async function persistAfter<T>(
  first: unknown,
  call: () => Promise<T>,
  limits: Limits,
  onFailure?: (error: EngineError) => void,
): Promise<T> {
  let error = first
  for (let failures = 1; ; failures++) {
    if (!(error instanceof EngineError)) throw error
    onFailure?.(error)
    const pauseMs = backoffMs(failures, limits.random)
    if (!error.transient || limits.clock.now() + pauseMs >= limits.until()) throw error
    await sleep(limits.clock, pauseMs, limits.signal)
    try {
      return await call()
    } catch (failure) {
      error = failure
    }
  }
}
