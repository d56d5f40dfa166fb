import type {
  Claim,
  HolderState,
  Kind,
  LockState,
  Occupant,
  Place,
  Shape,
} from '../../core/engine.ts'
import { ShapeError } from '../../core/errors.ts'
import type { Row, Tuple } from './binding.ts'
import { freeUs, type Holder, type Holders, ManyHolders, OneHolder } from './holders.ts'
import { decode, encode, NEVER_US } from './schema.ts'
import type { Transaction } from './transaction.ts'

/** Where a place stands, in microseconds left: the line knows no clock of any caller. */
export type Spot =
  | { readonly state: 'held'; readonly fence: number; readonly leftUs: number }
  | {
      readonly state: 'waiting'
      readonly ahead: number
      readonly ticket: number
      readonly lookMs: number
      readonly occupant?: Occupant
    }
  | { readonly state: 'absent'; readonly occupant?: Occupant }

/** How often the front of a line looks whether the process of a holder still runs. */
const DEATH_LOOK_MS = 500

/** A holder that was granted this short a while ago is not asked whether it still runs. */
const FRESH_US = 50_000

/** A waiter of the line. */
interface Waiter {
  readonly endsUs: number
  readonly ticket: number
  readonly joined: number
}

/** Who holds permits, or nobody while they stay taken. */
type Resting = Omit<Holder, 'process' | 'minHoldUs' | 'lockDelayUs'>

/** Where in a row of the lock the columns of its holder begin. */
const HOLDER = 10

/**
 * The weighted line of one lock inside a transaction: sweep what is over, let the caller's place
 * join, stay or leave, grant from the front while permits last, and say where the caller stands.
 */
export class Line {
  readonly #tx: Transaction
  readonly #name: string
  readonly #id: number
  #kind: Kind
  #capacity: number
  #fence: number
  #ticket: number
  #joined: number
  #taken: number
  #waiting: number
  #quietUs: number
  /** The holder of a lock with one permit is saved with the lock; others save themselves. */
  #one: OneHolder | undefined
  #holders: Holders
  #changed: 'nothing' | 'counters' | 'all' = 'nothing'

  /** The line of a name; `undefined` when nobody used it for long. */
  static find(tx: Transaction, name: string): Line | undefined {
    const encoded = encode(name)
    // By its number a lock is found with half the pages read; the name says whether it still is it.
    const id = tx.lockIds.get(name)
    const known = id === undefined ? undefined : tx.sql.lockById.get(id, encoded)
    const row = known ?? tx.sql.lock.get(encoded)
    if (row === undefined) return undefined
    if (known === undefined) tx.lockIds.set(name, row[0] as number)
    tx.confirm(row[9] as number)
    return new Line(tx, name, row)
  }

  /** The line of a name as a lock of this shape, or `ShapeError` while it is one of another. */
  static fitting(tx: Transaction, name: string, shape: Shape): Line {
    const found = Line.find(tx, name)
    if (found === undefined) {
      const { kind, capacity } = shape
      const added = tx.sql.addLock.get(encode(name), kind, capacity, tx.wallMs) as Row
      const { id, era } = added as { id: number; era: number }
      tx.confirm(era)
      tx.addedLock()
      return new Line(tx, name, [id, kind, capacity, 0, 0, 0, 0, 0, NEVER_US, era, ''])
    }
    found.#take(shape)
    return found
  }

  private constructor(tx: Transaction, name: string, row: Tuple) {
    this.#tx = tx
    this.#name = name
    this.#id = row[0] as number
    this.#kind = row[1] as Kind
    this.#capacity = row[2] as number
    this.#fence = row[3] as number
    this.#ticket = row[4] as number
    this.#joined = row[5] as number
    this.#taken = row[6] as number
    this.#waiting = row[7] as number
    this.#quietUs = row[8] as number
    this.#one = this.#capacity === 1 ? new OneHolder(tx, row, HOLDER, this.#fence) : undefined
    this.#holders = this.#one ?? new ManyHolders(tx, this.#id)
  }

  /** Whether nobody is here and nothing stays taken, as the last operation left it. */
  get empty(): boolean {
    return this.#taken === 0 && this.#waiting === 0
  }

  /** Whether permits are taken, as the last operation left it. */
  get taken(): boolean {
    return this.#taken > 0
  }

  /** Writes the lock back. The last call of every operation. */
  save(): void {
    if (this.#changed === 'nothing') return
    const { sql, wallMs } = this.#tx
    const quietUs = this.empty ? NEVER_US : this.#quietUs
    if (this.#changed === 'counters') {
      sql.saveCounters.get(this.#ticket, this.#joined, this.#waiting, quietUs, wallMs, this.#id)
      return
    }
    const holder = this.#one?.holder
    sql.saveLock.get(
      this.#kind,
      this.#capacity,
      this.#fence,
      this.#ticket,
      this.#joined,
      this.#taken,
      this.#waiting,
      quietUs,
      wallMs,
      holder?.identity ?? '',
      holder?.process ?? 0,
      holder?.endsUs ?? 0,
      holder?.grantedUs ?? 0,
      holder?.minHoldUs ?? 0,
      holder?.lockDelayUs ?? 0,
      holder?.about ?? '',
      this.#id,
    )
  }

  acquire(claim: Claim): Spot {
    this.#sweep()
    const holder = this.#holder(claim.identity)
    if (holder !== undefined) return this.#stay(holder, claim)
    let waiter = this.#waiter(claim.identity)
    if (waiter === undefined) {
      if (claim.ticket === undefined) {
        // Whoever came before is served first; then the newcomer needs no place in the line.
        this.#admit()
        if (!this.#fits(claim) && this.#bury()) this.#admit()
        if (this.#fits(claim)) return this.#enter(claim)
        if (!claim.wait) return { state: 'absent', ...this.#occupant() }
        this.#join(claim, this.#nextTicket())
        // Every ticket is smaller than the next one, and nobody was granted since.
        return this.#waits(this.#waiting - 1, this.#ticket, claim)
      }
      waiter = this.#join(claim, claim.ticket)
    } else {
      this.#wait(claim, waiter)
    }
    const granted = this.#admit(claim)
    if (granted !== undefined) return this.#held(granted)
    if (claim.wait) return this.#stands(claim, waiter)
    this.#leave(claim.identity)
    this.#admit()
    return { state: 'absent', ...this.#occupant() }
  }

  renew(place: Place): Spot {
    this.#sweep()
    const holder = this.#holder(place.identity)
    if (holder !== undefined) {
      if (place.fence !== undefined && place.fence > holder.fence) {
        holder.fence = place.fence
        this.#fence = Math.max(this.#fence, place.fence)
        this.#changed = 'all'
      }
      return this.#stay(holder, place)
    }
    const waiter = this.#waiter(place.identity)
    if (waiter !== undefined) this.#wait(place, waiter)
    let granted = this.#admit(place)
    if (waiter === undefined) return { state: 'absent', ...this.#occupant() }
    if (granted === undefined && this.#taken > 0 && this.#bury(place)) granted = this.#admit(place)
    return granted === undefined ? this.#stands(place, waiter) : this.#held(granted)
  }

  release(place: Place, force = false): boolean {
    this.#sweep()
    const { identity } = place
    const holder = this.#taken === 0 ? undefined : this.#holders.take(identity)
    let there = true
    if (holder !== undefined) {
      this.#free(holder, force ? 0 : holder.grantedUs + place.minHoldMs * 1000)
    } else if (this.#waiting > 0 && this.#tx.sql.takeWaiter.get(this.#id, identity) !== undefined) {
      this.#left()
      this.#tx.news.push({ name: this.#name, identity, grant: null })
    } else {
      there = false
    }
    const cleared = force && this.#clear(identity)
    this.#admit()
    return there || cleared
  }

  /** Lets time, and the end of processes, take effect. */
  look(): void {
    this.#sweep()
    this.#bury()
    this.#admit()
  }

  inspect(): LockState | null {
    if (this.empty) return null
    const { sql, nowUs } = this.#tx
    const state = (holder: Resting): HolderState => ({
      identity: holder.identity,
      ours: true,
      about: decode(holder.about),
      permits: holder.permits,
      fence: holder.fence,
      ttlMs: (holder.endsUs - nowUs) / 1000,
      heldMs: (nowUs - holder.grantedUs) / 1000,
    })
    return {
      name: this.#name,
      kind: this.#kind,
      capacity: this.#capacity,
      holders: [...this.#holders.all(), ...this.#rests()].map(state),
      waiters: sql.line.all(this.#id).map((row) => ({
        identity: row['identity'] as string,
        permits: row['permits'] as number,
        about: decode(row['about'] as string),
      })),
      waiting: this.#waiting,
    }
  }

  #take(shape: Shape): void {
    if (this.#kind === shape.kind && this.#capacity === shape.capacity) return
    if (!this.empty) this.look()
    if (!this.empty) {
      this.save()
      const found = { kind: this.#kind, capacity: this.#capacity }
      throw new ShapeError(this.#name, shape, found)
    }
    this.#kind = shape.kind
    this.#capacity = shape.capacity
    this.#one = shape.capacity === 1 ? new OneHolder(this.#tx, [''], 0, 0) : undefined
    this.#holders = this.#one ?? new ManyHolders(this.#tx, this.#id)
    this.#changed = 'all'
  }

  #holder(identity: string): Holder | undefined {
    return this.#taken === 0 ? undefined : this.#holders.find(identity)
  }

  #waiter(identity: string): Waiter | undefined {
    if (this.#waiting === 0) return undefined
    const row = this.#tx.sql.waiter.get(this.#id, identity)
    return row && { endsUs: row[0] as number, ticket: row[1] as number, joined: row[2] as number }
  }

  /** Removes every place whose time is over. */
  #sweep(): void {
    const { sql, nowUs, news } = this.#tx
    if (nowUs < this.#quietUs) return
    for (const holder of this.#holders.takeOver()) this.#free(holder, freeUs(holder))
    for (const rest of sql.restsOver.all(this.#id, nowUs)) {
      this.#taken -= rest['permits'] as number
    }
    for (const { identity } of sql.waitersOver.all(this.#id, nowUs)) {
      this.#leave(identity as string)
      news.push({ name: this.#name, identity: identity as string, grant: null })
    }
    const quietUs = (sql.quiet.get(this.#id)?.['us'] as number | null) ?? NEVER_US
    this.#quietUs = Math.min(quietUs, this.#one?.holder?.endsUs ?? NEVER_US)
    this.#changed = 'all'
  }

  /** Ends the leases of processes that provably ended; says whether there were any. */
  #bury(asking?: Place): boolean {
    if (this.#taken === 0 || this.#isFresh() || !this.#tx.mayBury(this.#id)) return false
    if (asking !== undefined && this.#waiting > 1 && !this.#isFront(asking)) return false
    let found = false
    for (const process of new Set(this.#holders.all().map((holder) => holder.process))) {
      if (!this.#tx.hasEnded(process)) continue
      this.#holders.bury(process)
      found = true
    }
    if (found) {
      this.#quietUs = this.#tx.nowUs
      this.#sweep()
    }
    return found
  }

  /** Whether the only holder was granted just now: a busy lock looks for no dead holders. */
  #isFresh(): boolean {
    return this.#capacity === 1 && Math.abs(this.#tx.wallMicros - this.#fence) < FRESH_US
  }

  #isFront(place: Place): boolean {
    return this.#tx.sql.front.get(this.#id)?.[0] === place.identity
  }

  /**
   * Grants from the front while permits last. The first that does not fit blocks the rest. Returns
   * what is granted to the place that asks.
   */
  #admit(asking?: Place): Holder | undefined {
    const { sql, nowUs, news } = this.#tx
    let answer: Holder | undefined
    while (this.#waiting > 0 && this.#taken < this.#capacity) {
      const row = sql.front.get(this.#id)
      if (row === undefined) break
      const permits = row[1] as number
      if (permits > this.#capacity - this.#taken) break
      const identity = row[0] as string
      const process = row[2] as number
      const asks = identity === asking?.identity
      this.#leave(identity)
      if (!asks && !this.#tx.reaches(process)) {
        // A grant that nobody hears would keep the lock for a whole lease. Should the process be
        // alive after all, its ticket brings it back to this place.
        news.push({ name: this.#name, identity, grant: null })
        continue
      }
      const fence = this.#draw()
      const endsUs = nowUs + (asks ? asking.ttlMs * 1000 : (row[3] as number))
      const holder: Holder = {
        identity,
        process,
        permits,
        endsUs,
        fence,
        grantedUs: nowUs,
        minHoldUs: row[4] as number,
        lockDelayUs: row[5] as number,
        about: row[6] as string,
      }
      this.#grant(holder)
      if (asks) answer = holder
      else news.push({ name: this.#name, identity, grant: { fence, endsUs, process } })
    }
    return answer
  }

  #grant(holder: Holder): void {
    this.#holders.add(holder)
    this.#taken += holder.permits
    this.#expect(holder.endsUs)
  }

  #fits(claim: Claim): boolean {
    return this.#waiting === 0 && claim.permits <= this.#capacity - this.#taken
  }

  /** Grants a newcomer for whom there is room. */
  #enter(claim: Claim): Spot {
    const { nowUs, process } = this.#tx
    const fence = this.#draw()
    const leftUs = claim.ttlMs * 1000
    this.#ticket = this.#nextTicket()
    this.#grant({
      identity: claim.identity,
      process,
      permits: claim.permits,
      endsUs: nowUs + leftUs,
      fence,
      grantedUs: nowUs,
      minHoldUs: claim.minHoldMs * 1000,
      lockDelayUs: claim.lockDelayMs * 1000,
      about: encode(claim.about),
    })
    return { state: 'held', fence, leftUs }
  }

  #join(claim: Claim, ticket: number): Waiter {
    this.#ticket = Math.max(this.#ticket, ticket)
    this.#joined += 1
    const endsUs = this.#tx.nowUs + claim.waitTtlMs * 1000
    this.#tx.sql.addWaiter.get(
      this.#id,
      claim.identity,
      this.#tx.process,
      claim.permits,
      endsUs,
      ticket,
      this.#joined,
      claim.grantTtlMs * 1000,
      claim.minHoldMs * 1000,
      claim.lockDelayMs * 1000,
      encode(claim.about),
    )
    this.#waiting += 1
    this.#expect(endsUs)
    return { endsUs, ticket, joined: this.#joined }
  }

  #nextTicket(): number {
    return Math.max(this.#ticket + 1, this.#tx.wallMicros)
  }

  #draw(): number {
    this.#fence = Math.max(this.#fence + 1, this.#tx.wallMicros)
    this.#changed = 'all'
    return this.#fence
  }

  /** A holder is out. Its permits stay taken until `untilUs`, when that is still to come. */
  #free(holder: Holder, untilUs: number): void {
    const { sql, nowUs } = this.#tx
    this.#changed = 'all'
    if (untilUs > nowUs) {
      const { identity, permits, fence, grantedUs, about } = holder
      sql.addRest.run(this.#id, permits, untilUs, fence, grantedUs, about, identity)
      this.#expect(untilUs)
    } else {
      this.#taken -= holder.permits
    }
  }

  /** Ends what stays taken after this identity, or after anybody where it is empty. */
  #clear(identity: string): boolean {
    const rests = this.#taken === 0 ? [] : this.#tx.sql.dropRestsOf.all(this.#id, identity)
    for (const rest of rests) this.#taken -= rest['permits'] as number
    if (rests.length > 0) this.#changed = 'all'
    return rests.length > 0
  }

  #leave(identity: string): void {
    this.#tx.sql.dropWaiter.get(this.#id, identity)
    this.#left()
  }

  #left(): void {
    this.#waiting -= 1
    this.#count()
  }

  /** A holder lives on. A life is never cut short by a call that asks for less. */
  #stay(holder: Holder, place: Place): Spot {
    holder.endsUs = Math.max(holder.endsUs, this.#tx.nowUs + place.ttlMs * 1000)
    holder.process = this.#tx.process
    this.#holders.update(holder)
    if (this.#one !== undefined) this.#changed = 'all'
    this.#admit()
    return this.#held(holder)
  }

  /** A waiter lives on. */
  #wait(place: Place, { endsUs }: Waiter): void {
    const untilUs = Math.max(endsUs, this.#tx.nowUs + place.waitTtlMs * 1000)
    this.#tx.sql.prolongWaiter.run(untilUs, this.#tx.process, this.#id, place.identity)
  }

  #held({ fence, endsUs }: Holder): Spot {
    return { state: 'held', fence, leftUs: endsUs - this.#tx.nowUs }
  }

  #stands(place: Place, { ticket, joined }: Waiter): Spot {
    const counted = this.#waiting > 1 ? this.#tx.sql.ahead.get(this.#id, ticket, joined) : undefined
    return this.#waits((counted?.['n'] as number | undefined) ?? 0, ticket, place)
  }

  #waits(ahead: number, ticket: number, place: Place): Spot {
    // The front looks when the first lease can be over, and now and then for a holder that died.
    // Behind the front nothing is due before the next renewal, which looks as well.
    const leftMs = Math.ceil((this.#quietUs - this.#tx.nowUs) / 1000)
    const lookMs = ahead === 0 ? Math.min(DEATH_LOOK_MS, Math.max(0, leftMs)) : place.waitTtlMs
    return { state: 'waiting', ahead, ticket, lookMs, ...this.#occupant() }
  }

  #occupant(): { occupant?: Occupant } {
    if (this.#taken === 0) return {}
    const holder = this.#holders.all()[0] ?? this.#rests()[0]
    if (holder === undefined) return {}
    const { identity, about } = holder
    return { occupant: { identity, ours: true, about: decode(about) } }
  }

  /** Permits that nobody holds and that stay taken. */
  #rests(): Resting[] {
    return this.#tx.sql.rests.all(this.#id).map((row) => ({
      identity: '',
      about: row['about'] as string,
      permits: row['permits'] as number,
      fence: row['fence'] as number,
      endsUs: row['ends_us'] as number,
      grantedUs: row['granted_us'] as number,
    }))
  }

  #expect(endsUs: number): void {
    this.#quietUs = Math.min(this.#quietUs, endsUs)
    this.#count()
  }

  #count(): void {
    if (this.#changed === 'nothing') this.#changed = 'counters'
  }
}
