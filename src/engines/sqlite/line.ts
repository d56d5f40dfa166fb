import type { Claim, LockState, Occupant, Place, Shape } from '../../core/engine.ts'
import { ShapeError } from '../../core/errors.ts'
import { freeUs, type Holder } from './holders.ts'
import { inspect, occupantOf } from './inspect.ts'
import { LockRow } from './lock-row.ts'
import { encode } from './schema.ts'
import type { Spot } from './spot.ts'
import type { Transaction } from './transaction.ts'

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

/**
 * The weighted line of one lock inside a transaction: sweep what is over, let the caller's place
 * join, stay or leave, grant from the front while permits last, and say where the caller stands.
 */
export class Line {
  readonly #tx: Transaction
  readonly #lock: LockRow

  /** The line of a name; `undefined` when nobody used it for long. */
  static find(tx: Transaction, name: string): Line | undefined {
    const lock = LockRow.find(tx, name)
    return lock && new Line(tx, lock)
  }

  /** The line of a name as a lock of this shape, or `ShapeError` while it is one of another. */
  static fitting(tx: Transaction, name: string, shape: Shape): Line {
    const lock = LockRow.find(tx, name)
    if (lock === undefined) return new Line(tx, LockRow.add(tx, name, shape))
    const found = new Line(tx, lock)
    if (!found.#has(shape)) found.#reshape(shape)
    return found
  }

  private constructor(tx: Transaction, lock: LockRow) {
    this.#tx = tx
    this.#lock = lock
  }

  /** Whether permits are taken, as the last operation left it. */
  get taken(): boolean {
    return this.#lock.taken > 0
  }

  /** Writes the lock back. The last call of every operation. */
  save(): void {
    this.#lock.save()
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
        this.#join(claim, this.#lock.nextTicket())
        // Every ticket is smaller than the next one, and nobody was granted since.
        return this.#waits(this.#lock.waiting - 1, this.#lock.ticket, claim)
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
    if (!this.#has(place.shape)) return { state: 'absent' }
    this.#sweep()
    const holder = this.#holder(place.identity)
    if (holder !== undefined) {
      if (place.fence !== undefined && place.fence > holder.fence) {
        holder.fence = place.fence
        this.#lock.fence = Math.max(this.#lock.fence, place.fence)
        this.#lock.changed = 'all'
      }
      return this.#stay(holder, place)
    }
    const waiter = this.#waiter(place.identity)
    if (waiter !== undefined) this.#wait(place, waiter)
    let granted = this.#admit(place)
    if (waiter === undefined) return { state: 'absent', ...this.#occupant() }
    if (granted === undefined && this.#bury(place)) granted = this.#admit(place)
    return granted === undefined ? this.#stands(place, waiter) : this.#held(granted)
  }

  release(place: Place, force = false): boolean {
    if (!this.#has(place.shape)) return false
    this.#sweep()
    const { identity } = place
    const holder = this.#lock.taken === 0 ? undefined : this.#lock.holders.take(identity)
    let there = true
    if (holder !== undefined) {
      this.#free(holder, force ? 0 : holder.grantedUs + place.minHoldMs * 1000)
    } else if (
      this.#lock.waiting > 0 &&
      this.#tx.sql.takeWaiter.get(this.#lock.id, identity) !== undefined
    ) {
      this.#left()
      this.#tx.news.push({ name: this.#lock.name, identity, grant: null })
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
    return this.#lock.empty ? null : inspect(this.#tx, this.#lock)
  }

  /** Whether the lock has that shape. A place of another one counts for nothing. */
  #has({ kind, capacity }: Shape): boolean {
    return this.#lock.kind === kind && this.#lock.capacity === capacity
  }

  #reshape(shape: Shape): void {
    const lock = this.#lock
    if (!lock.empty) this.look()
    if (!lock.empty) {
      lock.save()
      throw new ShapeError(lock.name, shape, { kind: lock.kind, capacity: lock.capacity })
    }
    lock.reshape(shape)
  }

  #holder(identity: string): Holder | undefined {
    return this.#lock.taken === 0 ? undefined : this.#lock.holders.find(identity)
  }

  #waiter(identity: string): Waiter | undefined {
    if (this.#lock.waiting === 0) return undefined
    const row = this.#tx.sql.waiter.get(this.#lock.id, identity)
    return row && { endsUs: row[0] as number, ticket: row[1] as number, joined: row[2] as number }
  }

  /** Removes every place whose time is over. */
  #sweep(): void {
    const { sql, nowUs, news } = this.#tx
    if (nowUs < this.#lock.quietUs) return
    for (const holder of this.#lock.holders.takeOver()) this.#free(holder, freeUs(holder))
    for (const rest of sql.restsOver.all(this.#lock.id, nowUs)) {
      this.#lock.taken -= rest['permits'] as number
    }
    for (const { identity } of sql.waitersOver.all(this.#lock.id, nowUs)) {
      this.#leave(identity as string)
      news.push({ name: this.#lock.name, identity: identity as string, grant: null })
    }
    this.#lock.findQuiet()
  }

  /** Ends the leases of processes that provably ended; says whether there were any. */
  #bury(asking?: Place): boolean {
    if (this.#lock.taken === 0 || this.#isFresh() || !this.#tx.mayBury(this.#lock.id)) return false
    if (asking !== undefined && this.#lock.waiting > 1 && !this.#isFront(asking)) return false
    let found = false
    for (const process of new Set(this.#lock.holders.all().map((holder) => holder.process))) {
      if (!this.#tx.hasEnded(process)) continue
      this.#lock.holders.bury(process)
      found = true
    }
    if (found) {
      this.#lock.quietUs = this.#tx.nowUs
      this.#sweep()
    }
    return found
  }

  /** Whether the only holder was granted just now: a busy lock looks for no dead holders. */
  #isFresh(): boolean {
    return this.#lock.capacity === 1 && Math.abs(this.#tx.wallMicros - this.#lock.fence) < FRESH_US
  }

  #isFront(place: Place): boolean {
    return this.#tx.sql.front.get(this.#lock.id)?.[0] === place.identity
  }

  /**
   * Grants from the front while permits last. The first that does not fit blocks the rest. Returns
   * what is granted to the place that asks.
   */
  #admit(asking?: Place): Holder | undefined {
    const { sql, nowUs, news } = this.#tx
    let answer: Holder | undefined
    while (this.#lock.waiting > 0 && this.#lock.taken < this.#lock.capacity) {
      const row = sql.front.get(this.#lock.id)
      if (row === undefined) break
      const permits = row[1] as number
      if (permits > this.#lock.capacity - this.#lock.taken) break
      const identity = row[0] as string
      const process = row[2] as number
      const asks = identity === asking?.identity
      this.#leave(identity)
      if (!asks && !this.#tx.reaches(process)) {
        // A grant that nobody hears would keep the lock for a whole lease. Should the process be
        // alive after all, its ticket brings it back to this place.
        news.push({ name: this.#lock.name, identity, grant: null })
        continue
      }
      const fence = this.#lock.draw()
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
      else news.push({ name: this.#lock.name, identity, grant: { fence, endsUs, process } })
    }
    return answer
  }

  #grant(holder: Holder): void {
    this.#lock.holders.add(holder)
    this.#lock.taken += holder.permits
    this.#lock.expect(holder.endsUs)
  }

  #fits(claim: Claim): boolean {
    return this.#lock.waiting === 0 && claim.permits <= this.#lock.capacity - this.#lock.taken
  }

  /** Grants a newcomer for whom there is room. */
  #enter(claim: Claim): Spot {
    const { nowUs, process } = this.#tx
    const fence = this.#lock.draw()
    const leftUs = claim.ttlMs * 1000
    this.#lock.ticket = this.#lock.nextTicket()
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
    this.#lock.ticket = Math.max(this.#lock.ticket, ticket)
    this.#lock.joined += 1
    const endsUs = this.#tx.nowUs + claim.waitTtlMs * 1000
    this.#tx.sql.addWaiter.get(
      this.#lock.id,
      claim.identity,
      this.#tx.process,
      claim.permits,
      endsUs,
      ticket,
      this.#lock.joined,
      claim.grantTtlMs * 1000,
      claim.minHoldMs * 1000,
      claim.lockDelayMs * 1000,
      encode(claim.about),
    )
    this.#lock.waiting += 1
    this.#lock.expect(endsUs)
    return { endsUs, ticket, joined: this.#lock.joined }
  }

  /** A holder is out. Its permits stay taken until `untilUs`, when that is still to come. */
  #free(holder: Holder, untilUs: number): void {
    const { sql, nowUs } = this.#tx
    this.#lock.changed = 'all'
    if (untilUs > nowUs) {
      const { identity, permits, fence, grantedUs, about } = holder
      sql.addRest.run(this.#lock.id, permits, untilUs, fence, grantedUs, about, identity)
      this.#lock.expect(untilUs)
    } else {
      this.#lock.taken -= holder.permits
    }
  }

  /** Ends what stays taken after this identity, or after anybody where it is empty. */
  #clear(identity: string): boolean {
    const rests =
      this.#lock.taken === 0 ? [] : this.#tx.sql.dropRestsOf.all(this.#lock.id, identity)
    for (const rest of rests) this.#lock.taken -= rest['permits'] as number
    if (rests.length > 0) this.#lock.changed = 'all'
    return rests.length > 0
  }

  #leave(identity: string): void {
    this.#tx.sql.dropWaiter.get(this.#lock.id, identity)
    this.#left()
  }

  #left(): void {
    this.#lock.waiting -= 1
    this.#lock.count()
  }

  /** A holder lives on. A life is never cut short by a call that asks for less. */
  #stay(holder: Holder, place: Place): Spot {
    holder.endsUs = Math.max(holder.endsUs, this.#tx.nowUs + place.ttlMs * 1000)
    holder.process = this.#tx.process
    this.#lock.update(holder)
    this.#admit()
    return this.#held(holder)
  }

  /** A waiter lives on. */
  #wait(place: Place, { endsUs }: Waiter): void {
    const untilUs = Math.max(endsUs, this.#tx.nowUs + place.waitTtlMs * 1000)
    this.#tx.sql.prolongWaiter.run(untilUs, this.#tx.process, this.#lock.id, place.identity)
  }

  #held({ fence, endsUs }: Holder): Spot {
    return { state: 'held', fence, leftUs: endsUs - this.#tx.nowUs }
  }

  #stands(place: Place, { ticket, joined }: Waiter): Spot {
    const counted =
      this.#lock.waiting > 1 ? this.#tx.sql.ahead.get(this.#lock.id, ticket, joined) : undefined
    return this.#waits((counted?.['n'] as number | undefined) ?? 0, ticket, place)
  }

  #waits(ahead: number, ticket: number, place: Place): Spot {
    // The front looks when the first lease can be over, and now and then for a holder that died.
    // Behind the front nothing is due before the next renewal, which looks as well.
    const leftMs = Math.ceil((this.#lock.quietUs - this.#tx.nowUs) / 1000)
    const lookMs = ahead === 0 ? Math.min(DEATH_LOOK_MS, Math.max(0, leftMs)) : place.waitTtlMs
    return { state: 'waiting', ahead, ticket, lookMs, ...this.#occupant() }
  }

  #occupant(): { occupant?: Occupant } {
    return this.#lock.taken === 0 ? {} : occupantOf(this.#tx, this.#lock)
  }
}
