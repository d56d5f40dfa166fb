import type { About } from '../../core/about.ts'
import { ALL } from '../../core/engine.ts'
import type { Holdfast } from '../../core/holdfast.ts'
import type { LockReport } from '../../core/inspection.ts'
import { fromLockName } from './names.ts'
import type { LockInfo, LockManagerSnapshot } from './types.ts'

/** How many locks are looked at together. */
const BATCH = 50

/** Who holds and who waits for the locks with this prefix; those granted first come first. */
export async function snapshot(holdfast: Holdfast, prefix: string): Promise<LockManagerSnapshot> {
  const names: string[] = []
  for await (const name of holdfast.names({ prefix })) names.push(name)
  const reports: LockReport[] = []
  for (let from = 0; from < names.length; from += BATCH) {
    const batch = names.slice(from, from + BATCH)
    const found = await Promise.all(batch.map((name) => holdfast.inspect(name)))
    reports.push(...found.filter((report) => report !== null))
  }
  const locks = reports.filter(({ kind }) => kind === 'read-write')
  const held = locks.flatMap((report) =>
    report.holders
      // One without an identity is nobody: what is left of a lease that is over.
      .filter(({ identity }) => identity !== '')
      .map((holder) => ({ ...holder, name: report.name })),
  )
  // Fences are drawn from a clock: the only order in which locks of several names were granted.
  held.sort((one, other) => one.fence - other.fence)
  const pending = locks.flatMap(({ name, waiters }) =>
    waiters.map((waiter) => ({ ...waiter, name })),
  )
  const info = (place: Place): LockInfo => ({
    name: fromLockName(prefix, place.name),
    mode: place.permits === ALL ? 'exclusive' : 'shared',
    clientId: place.about.label ?? place.identity,
  })
  return { held: held.map(info), pending: pending.map(info) }
}

interface Place {
  readonly name: string
  readonly identity: string
  readonly permits: number
  readonly about: About
}
