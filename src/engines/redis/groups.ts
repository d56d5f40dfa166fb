import type { Place, Standing, Unknown } from '../../core/engine.ts'
import { EngineError } from '../../core/errors.ts'

type Answers = readonly (Standing | Unknown)[]

/** Most places in one request: a script keeps the server from all others while it runs. */
const MOST = 500

/** Less than this says nothing about a server. */
const LEAST_PATIENCE_MS = 25

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

/** How long a renewal may go unanswered and leave time for another before the first lease ends. */
export function patience(places: readonly Place[]): number {
  let shortestMs = Number.POSITIVE_INFINITY
  for (const { ttlMs, waitTtlMs } of places) shortestMs = Math.min(shortestMs, ttlMs, waitTtlMs)
  return Math.max(LEAST_PATIENCE_MS, shortestMs / 3)
}
