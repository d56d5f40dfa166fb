import type { Core } from './core.ts'
import type { Place, Standing } from './engine.ts'
import { Lease } from './lease.ts'
import { type Keeping, trustedUntil } from './tending.ts'

/**
 * Takes over a lease that was taken under the identity of this place by another process, by another
 * program, or in another life of this one, and renews it for the place's ttl. Resolves to `null`
 * when that identity does not hold the lock. Rejects with `EngineError` when there is no answer.
 */
export async function adopt(core: Core, place: Place, keeping: Keeping): Promise<Lease | null> {
  core.assertOpen(place.name)
  const standing = await core.reach(async (): Promise<Standing> => {
    const [told] = await core.engine.renew([place])
    if (told?.state === 'unknown') throw told.error
    return told ?? { state: 'absent' }
  })
  if (standing.state !== 'held') return null
  const until = trustedUntil(standing, place.ttlMs)
  if (until <= core.clock.now()) return null
  return new Lease(core, { place, fence: standing.fence, until }, keeping)
}
