import type { Place, Standing, Unknown } from '../../core/engine.ts'
import { EngineError } from '../../core/errors.ts'

type Standings = readonly (Standing | Unknown)[]

/**
 * Renews places that no single script may touch: those of one slot go together, and what fails
 * for one slot is unknown for its places only.
 */
export async function renewApart(
  places: readonly Place[],
  slotOf: (place: Place) => number,
  renew: (places: readonly Place[]) => Promise<Standings>,
): Promise<Standings> {
  const slots = new Map<number, { place: Place; at: number }[]>()
  for (const [at, place] of places.entries()) {
    const slot = slotOf(place)
    const together = slots.get(slot)
    if (together) together.push({ place, at })
    else slots.set(slot, [{ place, at }])
  }
  const standings: (Standing | Unknown)[] = []
  const renewals = [...slots.values()].map(async (together) => {
    const some = await renewOrDoubt(
      together.map(({ place }) => place),
      renew,
    )
    for (const [index, { at }] of together.entries()) {
      const standing = some[index]
      if (standing !== undefined) standings[at] = standing
    }
  })
  await Promise.all(renewals)
  return standings
}

async function renewOrDoubt(
  places: readonly Place[],
  renew: (places: readonly Place[]) => Promise<Standings>,
): Promise<Standings> {
  try {
    return await renew(places)
  } catch (error) {
    if (!(error instanceof EngineError)) throw error
    return places.map(() => ({ state: 'unknown', error }))
  }
}
