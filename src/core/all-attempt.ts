import { onAbort } from './abort.ts'
import { acquire } from './acquire.ts'
import { AllLease } from './all-lease.ts'
import type { Core } from './core.ts'
import type { Absent, Occupant } from './engine.ts'
import { AcquireTimeoutError, EngineError } from './errors.ts'
import { Lease } from './lease.ts'
import type { Ask } from './lock.ts'

/** A lock that was not to be had in the time there was. */
export interface Taken {
  readonly name: string
  readonly occupant: Occupant | undefined
}

interface Limits {
  readonly timeoutMs: number
  /** When the time to wait is over. */
  readonly until: number
  readonly signal: AbortSignal | undefined
}

/**
 * Takes one lock after the other. Resolves to `again` when one was lost before all were had and
 * there is time left.
 * Whatever the outcome but a lease, what was taken is given back.
 */
export async function attempt(
  core: Core,
  asks: readonly Ask[],
  limits: Limits,
): Promise<AllLease | Taken | 'again'> {
  const taken: Lease[] = []
  const stop = new AbortController()
  const listening: (() => void)[] = []
  const stopWith = (signal: AbortSignal) => {
    if (signal.aborted) stop.abort(signal.reason)
    else listening.push(onAbort(signal, () => stop.abort(signal.reason)))
  }
  let whole = false
  try {
    if (limits.signal !== undefined) stopWith(limits.signal)
    for (const ask of asks) {
      const answer = await takeOne(core, ask, limits, { stop: stop.signal, first: !taken.length })
      if (!(answer instanceof Lease)) return { name: ask.name, occupant: answer.occupant }
      taken.push(answer)
      stopWith(answer.signal)
    }
    await settle(taken, asks)
    for (const lease of taken) lease.assertHeld()
    stop.signal.throwIfAborted()
    whole = true
    return new AllLease(taken)
  } catch (error) {
    const lost = taken.find(({ signal }) => signal.aborted && signal.reason === error)
    if (lost === undefined || core.closed) throw error
    return core.clock.now() < limits.until ? 'again' : { name: lost.name, occupant: undefined }
  } finally {
    for (const end of listening) end()
    // In the background: who waits for the answer shall have it in time.
    if (!whole) for (const lease of taken) core.owe(lease.giveBack())
  }
}

async function takeOne(
  core: Core,
  { settings, ...ask }: Ask,
  { timeoutMs, until }: Limits,
  { stop, first }: { stop: AbortSignal; first: boolean },
): Promise<Lease | Absent> {
  // Kept alive until all are had, also where the lease is not to renew itself afterwards.
  const keeping = { ...settings, renew: true }
  const place = core.place({ ...ask, settings: keeping })
  const { name } = place
  const leftMs = Math.max(0, until - core.clock.now())
  try {
    return await acquire(core, { place, keeping, timeoutMs: leftMs, signal: stop })
  } catch (error) {
    if (error instanceof AcquireTimeoutError) {
      throw new AcquireTimeoutError(name, timeoutMs, error)
    }
    // The time was over before the engine could answer, and earlier locks had used it up.
    const late = !first && error instanceof EngineError && error.cause === undefined
    if (late && core.clock.now() >= until) throw new AcquireTimeoutError(name, timeoutMs, {})
    throw error
  }
}

/** Those that are not to renew themselves get one whole life from here on. */
async function settle(taken: readonly Lease[], asks: readonly Ask[]): Promise<void> {
  const renewed = taken.filter((_, index) => asks[index]?.settings.renew === false)
  await Promise.all(
    renewed.map(async (lease) => {
      try {
        await lease.renew()
      } catch (error) {
        // Unconfirmed is not lost: what is left of the lease stands.
        if (!(error instanceof EngineError)) throw error
      }
      lease.lapse()
    }),
  )
}
