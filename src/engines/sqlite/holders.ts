import type { Row, Tuple } from './binding.ts'
import type { Transaction } from './transaction.ts'

/** Who holds permits of a lock. */
export interface Holder {
  readonly identity: string
  process: number
  readonly permits: number
  endsUs: number
  fence: number
  readonly grantedUs: number
  readonly minHoldUs: number
  readonly lockDelayUs: number
  /** As stored. */
  readonly about: string
}

/** Whoever holds one lock, inside a transaction. */
export interface Holders {
  find(identity: string): Holder | undefined
  /** All of them, the oldest grant first. */
  all(): readonly Holder[]
  /** The one with the oldest grant. */
  first(): Holder | undefined
  add(holder: Holder): void
  /** Writes back what was changed of a holder. */
  update(holder: Holder): void
  /** Removes one. */
  take(identity: string): Holder | undefined
  /** Removes those whose time is over. */
  takeOver(): readonly Holder[]
  /** Lets the leases of a process end now. */
  bury(process: number): void
}

/** When the permits of a holder that is never heard of again are free. */
export function freeUs(holder: Holder): number {
  return Math.max(holder.endsUs + holder.lockDelayUs, holder.grantedUs + holder.minHoldUs)
}

/** The holder of a lock with one permit: a part of the lock's row, which the line saves. */
export class OneHolder implements Holders {
  readonly #tx: Transaction
  #holder: Holder | undefined

  /** `row` has the holder's columns from `at` on; the fence is the lock's. */
  constructor(tx: Transaction, row: Tuple, at: number, fence: number) {
    this.#tx = tx
    if (row[at] === '') return
    this.#holder = {
      identity: row[at] as string,
      process: row[at + 1] as number,
      permits: 1,
      endsUs: row[at + 2] as number,
      fence,
      grantedUs: row[at + 3] as number,
      minHoldUs: row[at + 4] as number,
      lockDelayUs: row[at + 5] as number,
      about: row[at + 6] as string,
    }
  }

  first(): Holder | undefined {
    return this.#holder
  }

  find(identity: string): Holder | undefined {
    return this.#holder?.identity === identity ? this.#holder : undefined
  }

  all(): readonly Holder[] {
    return this.#holder === undefined ? [] : [this.#holder]
  }

  add(holder: Holder): void {
    this.#holder = holder
  }

  update(): void {
    // The holder is the row's own.
  }

  take(identity: string): Holder | undefined {
    const found = this.find(identity)
    if (found !== undefined) this.#holder = undefined
    return found
  }

  takeOver(): readonly Holder[] {
    const found = this.#holder
    if (found === undefined || found.endsUs > this.#tx.nowUs) return []
    this.#holder = undefined
    return [found]
  }

  bury(process: number): void {
    const found = this.#holder
    if (found?.process === process) found.endsUs = Math.min(found.endsUs, this.#tx.nowUs)
  }
}

/** The holders of a lock with more permits: rows of their own. */
export class ManyHolders implements Holders {
  readonly #tx: Transaction
  readonly #lock: number

  constructor(tx: Transaction, lock: number) {
    this.#tx = tx
    this.#lock = lock
  }

  find(identity: string): Holder | undefined {
    return readHolder(this.#tx.sql.holder.get(this.#lock, identity))
  }

  all(): readonly Holder[] {
    return this.#tx.sql.holders.all(this.#lock).map((row) => readHolder(row))
  }

  first(): Holder | undefined {
    return readHolder(this.#tx.sql.firstHolder.get(this.#lock))
  }

  add(holder: Holder): void {
    this.#tx.sql.addHolder.run(
      this.#lock,
      holder.identity,
      holder.process,
      holder.permits,
      holder.endsUs,
      holder.fence,
      holder.grantedUs,
      holder.minHoldUs,
      holder.lockDelayUs,
      holder.about,
    )
  }

  update({ endsUs, process, fence, identity }: Holder): void {
    this.#tx.sql.prolongHolder.run(endsUs, process, fence, this.#lock, identity)
  }

  take(identity: string): Holder | undefined {
    return readHolder(this.#tx.sql.takeHolder.get(this.#lock, identity))
  }

  takeOver(): readonly Holder[] {
    return this.#tx.sql.takeHoldersOver
      .all(this.#lock, this.#tx.nowUs)
      .map((row) => readHolder(row))
  }

  bury(process: number): void {
    this.#tx.sql.bury.run(this.#lock, process, this.#tx.nowUs)
  }
}

function readHolder(row: Row): Holder
function readHolder(row: Row | undefined): Holder | undefined
function readHolder(row: Row | undefined): Holder | undefined {
  if (row === undefined) return undefined
  return {
    identity: row['identity'] as string,
    process: row['process'] as number,
    permits: row['permits'] as number,
    endsUs: row['ends_us'] as number,
    fence: row['fence'] as number,
    grantedUs: row['granted_us'] as number,
    minHoldUs: row['min_hold_us'] as number,
    lockDelayUs: row['lock_delay_us'] as number,
    about: row['about'] as string,
  }
}
