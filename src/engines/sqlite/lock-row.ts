import type { Kind, Shape } from '../../core/engine.ts'
import type { Tuple } from './binding.ts'
import { type Holder, type Holders, ManyHolders, OneHolder } from './holders.ts'
import { encode, NEVER_US } from './schema.ts'
import type { Transaction } from './transaction.ts'

/** Where in a row the columns of its holder begin. */
const HOLDER = 10

/** One lock inside a transaction: its counters and whoever holds it. */
export class LockRow {
  readonly id: number
  readonly name: string
  kind: Kind
  capacity: number
  fence: number
  ticket: number
  joined: number
  taken: number
  waiting: number
  /** No place or rest ends earlier. */
  quietUs: number
  holders: Holders
  changed: 'nothing' | 'counters' | 'all' = 'nothing'
  readonly #tx: Transaction
  /** The holder of a lock with one permit is saved with the lock; others save themselves. */
  #one: OneHolder | undefined

  static find(tx: Transaction, name: string): LockRow | undefined {
    const encoded = encode(name)
    // By its number a lock is found with half the pages read; the name says whether it still is it.
    const id = tx.lockIds.get(name)
    const known = id === undefined ? undefined : tx.sql.lockById.get(id, encoded)
    const row = known ?? tx.sql.lock.get(encoded)
    if (row === undefined) return undefined
    if (known === undefined) tx.lockIds.set(name, row[0] as number)
    tx.confirm(row[9] as number)
    return new LockRow(tx, name, row)
  }

  static add(tx: Transaction, name: string, { kind, capacity }: Shape): LockRow {
    const added = tx.sql.addLock.get(encode(name), kind, capacity, tx.wallMs)
    const { id, era } = added as { id: number; era: number }
    tx.confirm(era)
    tx.addedLock()
    return new LockRow(tx, name, [id, kind, capacity, 0, 0, 0, 0, 0, NEVER_US, era, ''])
  }

  private constructor(tx: Transaction, name: string, row: Tuple) {
    this.#tx = tx
    this.name = name
    this.id = row[0] as number
    this.kind = row[1] as Kind
    this.capacity = row[2] as number
    this.fence = row[3] as number
    this.ticket = row[4] as number
    this.joined = row[5] as number
    this.taken = row[6] as number
    this.waiting = row[7] as number
    this.quietUs = row[8] as number
    this.#one = this.capacity === 1 ? new OneHolder(tx, row, HOLDER, this.fence) : undefined
    this.holders = this.#one ?? new ManyHolders(tx, this.id)
  }

  /** Whether nobody is here and nothing stays taken. */
  get empty(): boolean {
    return this.taken === 0 && this.waiting === 0
  }

  /** Makes an empty lock one of another shape. */
  reshape({ kind, capacity }: Shape): void {
    this.kind = kind
    this.capacity = capacity
    this.#one = capacity === 1 ? new OneHolder(this.#tx, [''], 0, 0) : undefined
    this.holders = this.#one ?? new ManyHolders(this.#tx, this.id)
    this.changed = 'all'
  }

  /** A ticket behind all others. */
  nextTicket(): number {
    return Math.max(this.ticket + 1, this.#tx.wallMicros)
  }

  /** A fence above all others. */
  draw(): number {
    this.fence = Math.max(this.fence + 1, this.#tx.wallMicros)
    this.changed = 'all'
    return this.fence
  }

  /** Keeps what was changed of a holder. */
  update(holder: Holder): void {
    this.holders.update(holder)
    if (this.#one !== undefined) this.changed = 'all'
  }

  /** A counter was changed, or one of those that live beside the row. */
  count(): void {
    if (this.changed === 'nothing') this.changed = 'counters'
  }

  /** Something was added that ends then. */
  expect(endsUs: number): void {
    this.quietUs = Math.min(this.quietUs, endsUs)
    this.count()
  }

  /** Finds out when the next of all ends. */
  findQuiet(): void {
    const quietUs = (this.#tx.sql.quiet.get(this.id)?.['us'] as number | null) ?? NEVER_US
    this.quietUs = Math.min(quietUs, this.#one?.first()?.endsUs ?? NEVER_US)
    this.changed = 'all'
  }

  save(): void {
    if (this.changed === 'nothing') return
    const { sql, wallMs, calm } = this.#tx
    if (this.empty) calm.set(this.name, this.id)
    const quietUs = this.empty ? NEVER_US : this.quietUs
    if (this.changed === 'counters') {
      sql.saveCounters.get(this.ticket, this.joined, this.waiting, quietUs, wallMs, this.id)
      return
    }
    const holder = this.#one?.first()
    sql.saveLock.get(
      this.kind,
      this.capacity,
      this.fence,
      this.ticket,
      this.joined,
      this.taken,
      this.waiting,
      quietUs,
      wallMs,
      holder?.identity ?? '',
      holder?.process ?? 0,
      holder?.endsUs ?? 0,
      holder?.grantedUs ?? 0,
      holder?.minHoldUs ?? 0,
      holder?.lockDelayUs ?? 0,
      holder?.about ?? '',
      this.id,
    )
  }
}
