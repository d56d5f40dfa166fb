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
import { freeUs, type Leaving, readPlace, type Stand } from './place-row.ts'
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
  #changed = false

  /** The line of a name; `undefined` when nobody used it for long. */
  static find(tx: Transaction, name: string): Line | undefined {
    const encoded = encode(name)
    // By its number a lock is found with half the pages read; the name says whether it still is it.
    const id = tx.lockIds.get(name)
    const known = id === undefined ? undefined : tx.sql.lockById.get(id, encoded)
    const row = known ?? tx.sql.lock.get(encoded)
    if (row === undefined) return undefined
    if (known === undefined) tx.lockIds.set(name, row[0] as number)
    return new Line(tx, name, row)
  }

  /** The line of a name as a lock of this shape, or `ShapeError` while it is one of another. */
  static fitting(tx: Transaction, name: string, shape: Shape): Line {
    const found = Line.find(tx, name)
    if (found === undefined) {
      const { kind, capacity } = shape
      const added = tx.sql.addLock.get(encode(name), kind, capacity, tx.wallMs) as Row
      tx.addedLock()
      return new Line(tx, name, [added['id'] as number, kind, capacity, 0, 0, 0, 0, 0, NEVER_US])
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
  }

  /** Whether nobody is here and nothing stays taken, as the last operation left it. */
  get empty(): boolean {
    return this.#taken === 0 && this.#waiting === 0
  }

  /** Whether permits are taken, as the last operation left it. */
  get taken(): boolean {
    return this.#taken > 0
  }

  /** Writes the counters back. The last call of every operation. */
  save(): void {
    if (!this.#changed) return
    this.#tx.sql.saveLock.get(
      this.#kind,
      this.#capacity,
      this.#fence,
      this.#ticket,
      this.#joined,
      this.#taken,
      this.#waiting,
      this.empty ? NEVER_US : this.#quietUs,
      this.#tx.wallMs,
      this.#id,
    )
  }

  acquire(claim: Claim): Spot {
    this.#sweep()
    let found = this.empty ? undefined : this.#find(claim.identity)
    if (found === undefined) {
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
      this.#join(claim, claim.ticket)
    } else {
      this.#keepAlive(found, claim)
    }
    this.#admit(claim)
    found = this.#find(claim.identity)
    if (found?.held === false && !claim.wait) {
      this.#leave(claim.identity)
      this.#admit()
      found = undefined
    }
    return this.#spot(claim, found)
  }

  renew(place: Place): Spot {
    this.#sweep()
    let found = this.empty ? undefined : this.#find(place.identity)
    if (found !== undefined) this.#keepAlive(found, place)
    if (found?.held === true && place.fence !== undefined) this.#raise(found, place, place.fence)
    this.#admit(place)
    if (found?.held !== true) {
      if (found !== undefined && this.#taken > 0 && this.#bury(place)) this.#admit(place)
      found = found === undefined ? undefined : this.#find(place.identity)
    }
    return this.#spot(place, found)
  }

  release(place: Place, force = false): boolean {
    this.#sweep()
    const { identity } = place
    const row = this.empty ? undefined : this.#tx.sql.takePlace.get(this.#id, identity)
    if (row?.[0] === 1) {
      const [, permits, fence, grantedUs, about] = row as [1, number, number, number, string]
      const untilUs = force ? 0 : grantedUs + place.minHoldMs * 1000
      this.#free({ identity, permits, fence, grantedUs, about }, untilUs)
    } else if (row !== undefined) {
      this.#left()
      this.#tx.news.push({ name: this.#name, identity, grant: null })
    }
    const cleared = force && this.#clear(identity)
    this.#admit()
    return row !== undefined || cleared
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
    const state = (row: Row, identity: string): HolderState => ({
      identity,
      ours: true,
      about: decode(row['about'] as string),
      permits: row['permits'] as number,
      fence: row['fence'] as number,
      ttlMs: ((row['ends_us'] as number) - nowUs) / 1000,
      heldMs: (nowUs - (row['granted_us'] as number)) / 1000,
    })
    return {
      name: this.#name,
      kind: this.#kind,
      capacity: this.#capacity,
      holders: [
        ...sql.holders.all(this.#id).map((row) => state(row, row['identity'] as string)),
        ...sql.rests.all(this.#id).map((row) => state(row, '')),
      ],
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
    this.#changed = true
  }

  #find(identity: string): Stand | undefined {
    const row = this.#tx.sql.place.get(this.#id, identity)
    if (row === undefined) return undefined
    return {
      held: row[0] === 1,
      endsUs: row[1] as number,
      ticket: row[2] as number,
      joined: row[3] as number,
      fence: row[4] as number,
    }
  }

  /** Removes every place whose time is over. */
  #sweep(): void {
    const { sql, nowUs, news } = this.#tx
    if (nowUs < this.#quietUs) return
    for (const row of sql.holdersOver.all(this.#id, nowUs)) {
      const holder = readPlace(row)
      sql.dropPlace.run(this.#id, holder.identity)
      this.#free(holder, freeUs(holder))
    }
    for (const rest of sql.restsOver.all(this.#id, nowUs)) {
      this.#taken -= rest['permits'] as number
    }
    for (const { identity } of sql.waitersOver.all(this.#id, nowUs)) {
      this.#leave(identity as string)
      news.push({ name: this.#name, identity: identity as string, grant: null })
    }
    this.#quietUs = (sql.quiet.get(this.#id)?.['us'] as number | null) ?? NEVER_US
    this.#changed = true
  }

  /** Ends the leases of processes that provably ended; says whether there were any. */
  #bury(asking?: Place): boolean {
    const { sql, nowUs } = this.#tx
    if (this.#taken === 0 || this.#isFresh() || !this.#tx.mayBury(this.#id)) return false
    if (asking !== undefined && this.#waiting > 1 && !this.#isFront(asking)) return false
    let found = false
    for (const { process } of sql.holderProcesses.all(this.#id)) {
      if (!this.#tx.hasEnded(process as number)) continue
      sql.bury.run(this.#id, process as number, nowUs)
      found = true
    }
    if (found) {
      this.#quietUs = nowUs
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

  /** Grants from the front while permits last. The first that does not fit blocks the rest. */
  #admit(asking?: Place): void {
    const { sql, nowUs, news } = this.#tx
    while (this.#waiting > 0 && this.#taken < this.#capacity) {
      const row = sql.front.get(this.#id)
      if (row === undefined) return
      const permits = row[1] as number
      if (permits > this.#capacity - this.#taken) return
      const identity = row[0] as string
      const process = row[2] as number
      const asks = identity === asking?.identity
      if (!asks && !this.#tx.reaches(process)) {
        // A grant that nobody hears would keep the lock for a whole lease. Should the process be
        // alive after all, its ticket brings it back to this place.
        this.#leave(identity)
        news.push({ name: this.#name, identity, grant: null })
        continue
      }
      const fence = this.#draw()
      const endsUs = nowUs + (asks ? asking.ttlMs * 1000 : (row[3] as number))
      sql.grant.get(endsUs, fence, nowUs, this.#id, identity)
      this.#waiting -= 1
      this.#taken += permits
      this.#expect(endsUs)
      if (asks) continue
      news.push({ name: this.#name, identity, grant: { fence, endsUs, process } })
    }
  }

  #fits(claim: Claim): boolean {
    return this.#waiting === 0 && claim.permits <= this.#capacity - this.#taken
  }

  /** Grants a newcomer for whom there is room. */
  #enter(claim: Claim): Spot {
    const { nowUs } = this.#tx
    const fence = this.#draw()
    const leftUs = claim.ttlMs * 1000
    this.#ticket = this.#nextTicket()
    this.#add(claim, { held: 1, endsUs: nowUs + leftUs, fence, grantedUs: nowUs })
    this.#taken += claim.permits
    return { state: 'held', fence, leftUs }
  }

  #join(claim: Claim, ticket: number): void {
    this.#ticket = Math.max(this.#ticket, ticket)
    const endsUs = this.#tx.nowUs + claim.waitTtlMs * 1000
    this.#add(claim, { held: 0, endsUs, fence: 0, grantedUs: 0 }, ticket)
    this.#waiting += 1
  }

  #add(
    claim: Claim,
    stand: { held: 0 | 1; endsUs: number; fence: number; grantedUs: number },
    ticket: number = this.#ticket,
  ): void {
    this.#joined += 1
    this.#tx.sql.addPlace.get(
      this.#id,
      claim.identity,
      stand.held,
      this.#tx.process,
      claim.permits,
      stand.endsUs,
      ticket,
      this.#joined,
      stand.fence,
      stand.grantedUs,
      claim.grantTtlMs * 1000,
      claim.minHoldMs * 1000,
      claim.lockDelayMs * 1000,
      encode(claim.about),
    )
    this.#expect(stand.endsUs)
  }

  #nextTicket(): number {
    return Math.max(this.#ticket + 1, this.#tx.wallMicros)
  }

  #draw(): number {
    this.#fence = Math.max(this.#fence + 1, this.#tx.wallMicros)
    this.#changed = true
    return this.#fence
  }

  /** A holder is out. Its permits stay taken until `untilUs`, when that is still to come. */
  #free(holder: Leaving, untilUs: number): void {
    const { sql, nowUs } = this.#tx
    this.#changed = true
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
    this.#changed ||= rests.length > 0
    return rests.length > 0
  }

  #raise(found: Stand, place: Place, fence: number): void {
    if (fence <= found.fence) return
    found.fence = fence
    this.#tx.sql.raise.run(fence, this.#id, place.identity)
    this.#fence = Math.max(this.#fence, fence)
    this.#changed = true
  }

  #leave(identity: string): void {
    this.#tx.sql.dropPlace.run(this.#id, identity)
    this.#left()
  }

  #left(): void {
    this.#waiting -= 1
    this.#changed = true
  }

  /** A place that is here lives on. A life is never cut short by a call that asks for less. */
  #keepAlive(found: Stand, place: Place): void {
    const ttlMs = found.held ? place.ttlMs : place.waitTtlMs
    found.endsUs = Math.max(found.endsUs, this.#tx.nowUs + ttlMs * 1000)
    this.#tx.sql.prolong.run(found.endsUs, this.#tx.process, this.#id, place.identity)
  }

  #spot(place: Place, found: Stand | undefined): Spot {
    if (found?.held === true) {
      return { state: 'held', fence: found.fence, leftUs: found.endsUs - this.#tx.nowUs }
    }
    if (found === undefined) return { state: 'absent', ...this.#occupant() }
    const { ticket, joined } = found
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
    const { sql } = this.#tx
    const holder = sql.firstHolder.get(this.#id)
    const about = holder?.[1] ?? sql.rests.get(this.#id)?.['about']
    if (about === undefined) return {}
    const identity = (holder?.[0] as string | undefined) ?? ''
    return { occupant: { identity, ours: true, about: decode(about as string) } }
  }

  #expect(endsUs: number): void {
    this.#quietUs = Math.min(this.#quietUs, endsUs)
    this.#changed = true
  }
}
