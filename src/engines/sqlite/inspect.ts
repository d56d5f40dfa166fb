import type { HolderState, LockState, Occupant } from '../../core/engine.ts'
import type { Holder } from './holders.ts'
import type { LockRow } from './lock-row.ts'
import { decode } from './schema.ts'
import type { Transaction } from './transaction.ts'

/** Who holds permits, or nobody while they stay taken. */
type Taker = Pick<Holder, 'identity' | 'about' | 'permits' | 'fence' | 'endsUs' | 'grantedUs'>

/** What a lock with places looks like. */
export function inspect(tx: Transaction, lock: LockRow): LockState {
  return {
    name: lock.name,
    kind: lock.kind,
    capacity: lock.capacity,
    holders: [...lock.holders.all(), ...rests(tx, lock)].map((taker) => stateOf(tx, taker)),
    waiters: tx.sql.line.all(lock.id).map((row) => ({
      identity: row['identity'] as string,
      permits: row['permits'] as number,
      about: decode(row['about'] as string),
    })),
    waiting: lock.waiting,
  }
}

/** Who has been in the way for longest. */
export function occupantOf(tx: Transaction, lock: LockRow): { occupant?: Occupant } {
  const taker: Taker | undefined = lock.holders.first() ?? rests(tx, lock)[0]
  if (taker === undefined) return {}
  const { identity, about } = taker
  return { occupant: { identity, ours: true, about: decode(about) } }
}

function stateOf(tx: Transaction, taker: Taker): HolderState {
  return {
    identity: taker.identity,
    ours: true,
    about: decode(taker.about),
    permits: taker.permits,
    fence: taker.fence,
    ttlMs: (taker.endsUs - tx.nowUs) / 1000,
    heldMs: (tx.nowUs - taker.grantedUs) / 1000,
  }
}

/** Permits that nobody holds and that stay taken. */
function rests(tx: Transaction, lock: LockRow): Taker[] {
  return tx.sql.rests.all(lock.id).map((row) => ({
    identity: '',
    about: row['about'] as string,
    permits: row['permits'] as number,
    fence: row['fence'] as number,
    endsUs: row['ends_us'] as number,
    grantedUs: row['granted_us'] as number,
  }))
}
