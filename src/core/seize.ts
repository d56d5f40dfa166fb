import { acquire } from './acquire.ts'
import { sleep } from './clock.ts'
import type { Core } from './core.ts'
import type { Place } from './engine.ts'
import { breakOff, inspect } from './inspection.ts'
import type { Lease } from './lease.ts'
import type { Keeping } from './tending.ts'

/** Every ticket that an engine draws is larger. */
const FRONT = 0

/** How soon to look again at a lock whose holders were broken and that was not granted. */
const LOOK_MS = 50

/**
 * Takes a lock away from whoever holds it, in front of everybody who waits: the place joins at the
 * head of the line, so that it is the next once the holders are broken. Waiters stay where they
 * are. A holder is told like after `forceRelease`. Rejects with `EngineError`, `ShapeError` or
 * `HOLDFAST_CLOSED`.
 */
export async function seize(core: Core, place: Place, keeping: Keeping): Promise<Lease> {
  const stop = new AbortController()
  const done = new AbortController()
  let broken: Promise<void> | undefined
  const joined = () => {
    broken = breakHolders(core, place, done.signal).catch((error: unknown) => stop.abort(error))
  }
  const asked = { place, keeping, timeoutMs: Number.POSITIVE_INFINITY, signal: stop.signal }
  try {
    // Whoever waits without a limit gets a lease or an error.
    return (await acquire(core, { ...asked, ticket: FRONT, joined })) as Lease
  } finally {
    done.abort()
    // The grant may be here before the answer that a holder of this Holdfast is told by.
    await broken
  }
}

/**
 * Breaks the holders that are there until the place is granted. Another seizure may have come in
 * between, so that one round is not always enough.
 */
async function breakHolders(core: Core, place: Place, done: AbortSignal): Promise<void> {
  while (!done.aborted) {
    const state = await inspect(core, place.name)
    if (done.aborted) return
    if (state !== null) {
      const others = state.holders.filter(({ identity }) => identity !== place.identity)
      // The news of the own grant may still be on its way.
      if (others.length < state.holders.length) return
      await Promise.all(
        others.map(({ identity, permits }) => breakOff(core, state, identity, permits)),
      )
    }
    await sleep(core.clock, LOOK_MS, done).catch(() => undefined)
  }
}
