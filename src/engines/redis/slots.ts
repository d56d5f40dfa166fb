import type { Place, Standing, Unknown } from '../../core/engine.ts'
import { EngineError } from '../../core/errors.ts'

/**
 * Renews the places of each slot of a Cluster by a request of their own. A slot that does not
 * answer leaves the places of the others alone.
 */
export async function renewBySlot(
  places: readonly Place[],
  slotOf: (place: Place) => number,
  renew: (places: readonly Place[]) => Promise<readonly (Standing | Unknown)[]>,
): Promise<readonly (Standing | Unknown)[]> {
  const bySlot = new Map<number, Place[]>()
  for (const place of places) {
    const slot = slotOf(place)
    const together = bySlot.get(slot)
    if (together === undefined) bySlot.set(slot, [place])
    else together.push(place)
  }
  const standings = new Map<Place, Standing | Unknown>()
  await Promise.all(
    [...bySlot.values()].map(async (some) => {
      const answers = await renew(some).catch((error: unknown) => {
        if (!(error instanceof EngineError)) throw error
        return some.map(() => ({ state: 'unknown', error }) as const)
      })
      some.forEach((place, at) => {
        const answer = answers[at]
        if (answer !== undefined) standings.set(place, answer)
      })
    }),
  )
  return places.map((place) => standings.get(place) ?? { state: 'absent' })
}
