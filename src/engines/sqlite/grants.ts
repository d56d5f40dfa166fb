import { encode } from './schema.ts'
import type { Surroundings } from './transaction.ts'

/** A lease of this process, as the file says. */
export interface Granted {
  readonly identity: string
  readonly fence: number
  readonly leftUs: number
}

/** What this process holds of one lock. */
export interface Grants {
  /** `Clock.now()` from before the file was asked. */
  readonly sentAt: number
  readonly grants: readonly Granted[]
}

type HeardRow = readonly [number, number, number, number, string, number, number]

/** Reads what this process holds of a lock, outside of a transaction. Throws as SQLite does. */
export function readGrants(around: Surroundings, name: string, sentAt: number): Grants {
  const { sql, process, meta } = around
  const encoded = encode(name)
  const id = around.lockIds.get(name)
  const row =
    (id === undefined ? undefined : sql.heardById.get(id, encoded)) ?? sql.heard.get(encoded)
  if (row === undefined) return { sentAt, grants: [] }
  const [lock, capacity, fence, era, identity, owner, endsUs] = row as HeardRow
  const leftUs = (us: number): number => meta.leftUs(us, era)
  if (capacity === 1) {
    const ours = owner === process && identity !== ''
    return { sentAt, grants: ours ? [{ identity, fence, leftUs: leftUs(endsUs) }] : [] }
  }
  const grants = sql.holders
    .all(lock)
    .filter((each) => each['process'] === process)
    .map((each) => ({
      identity: each['identity'] as string,
      fence: each['fence'] as number,
      leftUs: leftUs(each['ends_us'] as number),
    }))
  return { sentAt, grants }
}
