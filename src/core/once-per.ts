import { AcquireTimeoutError } from './errors.ts'
import type { Lease } from './lease.ts'
import type { Mutex } from './mutex.ts'
import { checkFunction, checkObject, checkWhole, type LeaseOptions, MAX_MS } from './options.ts'

/** What came of one tick on one machine. */
export type OncePerOutcome<T> =
  | { readonly ran: true; readonly value: T }
  /** Another machine has it this time, or is still at it from a time before. */
  | { readonly ran: false }

/**
 * Runs `job` once per period on one of many machines: each calls this at every tick of its own
 * timer or cron, all with the same period, and one of them runs the job. `periodMs` is the time
 * between two ticks, 2 to 2147483647.
 *
 * Whoever comes first holds the mutex at least half a period (`minHoldMs`, which `options` may set
 * otherwise), also when the job ends sooner. So the machines' ticks may lie up to half a period
 * apart. A job that takes longer keeps the mutex: ticks that come meanwhile run nothing. Rejects
 * with what `job` threw and like `Lock.run`; a job that failed is not run again in its period.
 */
export async function oncePer<T>(
  mutex: Mutex,
  periodMs: number,
  job: (lease: Lease) => T | PromiseLike<T>,
  options: LeaseOptions = {},
): Promise<OncePerOutcome<T>> {
  checkWhole('periodMs', periodMs, 2, MAX_MS)
  checkFunction('job', job)
  checkObject('options', options)
  let started = false
  const work = (lease: Lease) => {
    started = true
    return job(lease)
  }
  try {
    const minHoldMs = options.minHoldMs ?? Math.floor(periodMs / 2)
    const value = await mutex.run(work, { ...options, minHoldMs, timeoutMs: 0 })
    return { ran: true, value }
  } catch (error) {
    if (!started && error instanceof AcquireTimeoutError) return { ran: false }
    throw error
  }
}
