import type { Claim, Place } from '../../core/engine.ts'
import { encode } from './schema.ts'
import type { Spot } from './spot.ts'
import type { Transaction } from './transaction.ts'

/*
 * What the line does with a lock of one permit that nobody else wants, in one statement that is a
 * transaction by itself. Others are kept out for half as long. Where anything else is to be done,
 * the statement changes nothing, and the answer is undefined.
 */

/** Takes a free lock of which this process was the last holder. */
export function quickAcquire(tx: Transaction, claim: Claim): Spot | undefined {
  const { name, shape, identity, ttlMs, ticket } = claim
  const id = tx.calm.get(name)
  if (id === undefined || shape.capacity !== 1 || ticket !== undefined) return undefined
  const { nowUs, wallMicros, wallMs } = tx
  const leftUs = ttlMs * 1000
  const row = tx.sql.quickTake.get(
    wallMicros,
    nowUs + leftUs,
    wallMs,
    identity,
    tx.process,
    nowUs,
    claim.minHoldMs * 1000,
    claim.lockDelayMs * 1000,
    encode(claim.about),
    id,
    encode(name),
    shape.kind,
    tx.era,
  )
  if (row !== undefined) return { state: 'held', fence: row[0] as number, leftUs }
  tx.calm.delete(name)
  return undefined
}

/** Leaves a lock for which nobody waits. */
export function quickRelease(tx: Transaction, place: Place): true | undefined {
  const { name, identity } = place
  const id = tx.calm.get(name)
  if (id === undefined || place.minHoldMs > 0) return undefined
  const row = tx.sql.quickLeave.get(tx.wallMs, id, encode(name), identity, tx.nowUs, tx.era)
  if (row !== undefined) return true
  tx.calm.delete(name)
  return undefined
}
