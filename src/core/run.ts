import type { Core } from './core.ts'
import { closedError, type LeaseLostError } from './errors.ts'
import type { Lease } from './lease.ts'

/** What `run` needs of a lease. */
interface Finishing {
  /** Releases after the work; resolves to the loss, if there was one. Never rejects. */
  finish(): Promise<LeaseLostError | undefined>
}

/** What a `run` holds: the lease that its work gets, and the leases of single locks in it. */
interface Holding<L extends Finishing> {
  readonly lease: L
  readonly leases: readonly Lease[]
}

/** Runs `work` with a lease, and releases. See `Lock.run`. */
export async function runWith<L extends Finishing, T>(
  core: Core,
  { lease, leases }: Holding<L>,
  work: (lease: L) => T | PromiseLike<T>,
): Promise<T> {
  let result: T
  try {
    result = await core.reentry.within(leases, () => work(lease))
  } catch (error) {
    await lease.finish()
    throw error
  }
  const closedMeanwhile = core.closed
  const loss = await lease.finish()
  if (loss !== undefined) throw loss
  // close() gave the lock back while the work still ran.
  if (closedMeanwhile) throw closedError(leases[0]?.name)
  return result
}

/** Runs `work` inside the lease that the work around holds. Its end is not the lease's. */
export async function runInside<T>(
  core: Core,
  lease: Lease,
  work: (lease: Lease) => T | PromiseLike<T>,
): Promise<T> {
  core.assertOpen(lease.name)
  lease.assertHeld()
  const result = await work(lease)
  if (core.closed) throw closedError(lease.name)
  lease.assertHeld()
  return result
}
