import type { Place, Standing, Unknown } from '../../core/engine.ts'
import { EngineError } from '../../core/errors.ts'

type Answers = readonly (Standing | Unknown)[]

/** Most places in one request: a script keeps the server from all others while it runs. */
const MOST = 500

/**
 * Renews the places of each group by requests of their own. One that is not answered leaves the
 * places of the others alone.
 */
export async function renewInGroups<G>(
  places: readonly Place[],
  groupOf: (place: Place) => G,
  renew: (places: readonly Place[], group: G) => Promise<Answers>,
): Promise<Answers> {
  const requests = requestsFor(places, groupOf)
  const [only, ...more] = requests
  if (only !== undefined && more.length === 0) return await renew(only.places, only.group)
  const standings = new Map<Place, Standing | Unknown>()
  await Promise.all(
    requests.map(async ({ group, places: some }) => {
      const answers = await renew(some, group).catch((error: unknown) => {
        if (!(error instanceof EngineError)) throw error
        return some.map(() => ({ state: 'unknown', error }) as const)
      })
      for (const [at, answer] of answers.entries()) standings.set(some[at] as Place, answer)
    }),
  )
  return places.map((place) => standings.get(place) ?? { state: 'absent' })
}

/** The same places in the same order, by group and in handy numbers. */
function requestsFor<G>(
  places: readonly Place[],
  groupOf: (place: Place) => G,
): { group: G; places: Place[] }[] {
  const requests: { group: G; places: Place[] }[] = []
  const open = new Map<G, Place[]>()
  for (const place of places) {
    const group = groupOf(place)
    let some = open.get(group)
    if (some === undefined || some.length === MOST) {
      some = []
      open.set(group, some)
      requests.push({ group, places: some })
    }
    some.push(place)
  }
  return requests
}
