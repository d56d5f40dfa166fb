import type { Clock } from '../../core/clock.ts'
import type {
  Claim,
  Engine,
  Guarantees,
  Held,
  ListQuery,
  LockPage,
  LockState,
  Place,
  ReleaseOptions,
  Standing,
  Unknown,
} from '../../core/engine.ts'
import { closedError, EngineError } from '../../core/errors.ts'
import type { Finding } from '../../core/finding.ts'
import type { Binding } from './binding.ts'
import { Database } from './database.ts'
import { fileFindings, observe } from './diagnosis.ts'
import { engineError } from './failure.ts'
import { Line } from './line.ts'
import type { MachineClock } from './machine-clock.ts'
import { News } from './news.ts'
import { quickAcquire, quickRelease } from './quick.ts'
import { decode, encode } from './schema.ts'
import type { Spot } from './spot.ts'
import type { News as LineNews, Transaction } from './transaction.ts'

/** How the engine is set up, every gap filled. */
export interface SqliteSettings {
  readonly binding: Binding
  readonly path: string
  readonly clock: Clock
  readonly machine: MachineClock
  readonly wallMicros: () => number
  readonly random: () => number
  /** How long one call goes on trying while other processes are in the file. */
  readonly commandTimeoutMs: number
  /** How long the last fence of a lock is kept after its last use. */
  readonly fenceTtlMs: number
  /** For tests: other versions of the file. */
  readonly migrations?: readonly string[]
}

const GUARANTEES: Guarantees = {
  fence: true,
  fifo: true,
  push: true,
  shared: true,
  kinds: ['mutex', 'semaphore', 'read-write', 'election'],
}

/** How often waiters look for a ring that got lost; and where nobody tells of rings at all. */
const NET_MS = 250
const NET_UNWATCHED_MS = 20

/** Most names that one page takes the trouble to look at. */
const PAGE_MAX = 500

/** Locks in a file, for all processes of one machine. Every call is part of one transaction. */
export class SqliteEngine implements Engine {
  readonly name = 'sqlite'
  readonly guarantees: Guarantees = GUARANTEES
  readonly #database: Database
  readonly #settings: SqliteSettings
  readonly #news = new News(() => this.#attend())
  readonly #listeners = new Set<(cause: EngineError) => void>()
  #net: NodeJS.Timeout | undefined
  #closed = false

  constructor(settings: SqliteSettings) {
    this.#settings = settings
    this.#database = new Database({
      ...settings,
      onNews: (news, transaction) => this.#receive(news, transaction),
      onRing: () => this.#rung(),
      onReopened: () => this.#news.lookAll(),
      onLoss: (cause) => this.#lost(cause),
    })
  }

  /** Opens the file; rejects with `EngineError` when it cannot be used. */
  async open(): Promise<void> {
    const nothing = () => undefined
    await this.#database.run('connect', undefined, nothing, nothing)
  }

  async diagnose(): Promise<readonly Finding[]> {
    await this.open()
    const { binding, path } = this.#settings
    try {
      return fileFindings(observe(binding, path, this.#database.watched))
    } catch (error) {
      throw engineError({ operation: 'diagnose', lock: undefined }, path, error, 'none')
    }
  }

  acquire(claim: Claim): Promise<Standing> {
    const acquire = (transaction: Transaction): Spot => {
      const line = Line.fitting(transaction, claim.name, claim.shape)
      const spot = line.acquire(claim)
      line.save()
      return spot
    }
    return this.#at('acquire', claim, acquire, (transaction) => quickAcquire(transaction, claim))
  }

  wait(place: Place, signal: AbortSignal): Promise<Standing> {
    const news = this.#news.next(place, signal)
    this.#attend()
    return news
  }

  async renew(places: readonly Place[]): Promise<readonly (Standing | Unknown)[]> {
    this.#assertOpen()
    return await Promise.all(places.map((place) => this.#renew(place)))
  }

  async #renew(place: Place): Promise<Standing | Unknown> {
    try {
      return await this.#at('renew', place, (transaction) => {
        const line = Line.find(transaction, place.name)
        const spot: Spot = line?.renew(place) ?? { state: 'absent' }
        line?.save()
        return spot
      })
    } catch (error) {
      if (error instanceof EngineError) return { state: 'unknown', error }
      throw error
    }
  }

  release(place: Place, options: ReleaseOptions = {}): Promise<boolean> {
    return this.#database.run(
      'release',
      place.name,
      (transaction) => {
        const line = Line.find(transaction, place.name)
        const released = line?.release(place, options.force) ?? false
        line?.save()
        return released
      },
      (released) => {
        this.#news.left(place)
        return released
      },
      options.force === true ? undefined : (transaction) => quickRelease(transaction, place),
    )
  }

  inspect(name: string): Promise<LockState | null> {
    return this.#database.run(
      'inspect',
      name,
      (transaction) => {
        const line = Line.find(transaction, name)
        if (line === undefined) return null
        line.look()
        line.save()
        return line.inspect()
      },
      (state) => state,
    )
  }

  list(query: ListQuery): Promise<LockPage> {
    return this.#database.run(
      'list',
      undefined,
      (transaction) => listLocks(transaction, query),
      (page) => page,
    )
  }

  onLoss(listener: (cause: EngineError) => void): () => void {
    const entry = (cause: EngineError): void => listener(cause)
    this.#listeners.add(entry)
    return () => {
      this.#listeners.delete(entry)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#net)
    this.#news.close()
    this.#database.close()
  }

  #assertOpen(lock?: string): void {
    if (this.#closed) throw closedError(lock)
  }

  #at(
    operation: string,
    place: Place,
    work: (transaction: Transaction) => Spot,
    quick?: (transaction: Transaction) => Spot | undefined,
  ): Promise<Standing> {
    const after = (spot: Spot, { sentAt }: Transaction): Standing => {
      if (spot.state === 'waiting') {
        this.#news.waiting(place)
        this.#attend()
        return spot
      }
      const standing = spot.state === 'held' ? this.#held(spot, sentAt) : spot
      this.#news.settled(place, standing.state === 'held' ? standing : undefined)
      return standing
    }
    return this.#database.run(operation, place.name, work, after, quick)
  }

  #receive({ name, identity, grant }: LineNews, { sentAt, nowUs }: Transaction): void {
    if (grant === null) return this.#news.look({ name, identity })
    const { fence, endsUs } = grant
    this.#news.granted({ name, identity }, this.#held({ fence, leftUs: endsUs - nowUs }, sentAt))
  }

  /** Whoever rings without a grant wants this process to look at its file. */
  #rung(): void {
    if (!this.#hear()) this.#database.check()
  }

  /** Finds out what was granted to this process by others; whether there was anything. */
  #hear(): boolean {
    if (this.#closed || this.#news.expected === 0) return false
    let any = false
    for (const name of this.#news.awaited()) {
      const found = this.#database.granted(name)
      if (found === undefined) return any
      for (const grant of found.grants) {
        const place = { name, identity: grant.identity }
        if (!this.#news.awaits(place)) continue
        any = true
        if (grant.leftUs > 0) this.#news.granted(place, this.#held(grant, found.sentAt))
        else this.#news.look(place)
      }
    }
    return any
  }

  #held(grant: { fence: number; leftUs: number }, sentAt: number): Held {
    const deadline = sentAt + grant.leftUs / 1000
    this.#database.relied(deadline)
    return { state: 'held', fence: grant.fence, deadline }
  }

  #lost(cause: EngineError): void {
    this.#news.lookAll()
    for (const listener of this.#listeners) listener(cause)
  }

  /** Keeps looking as long as a place waits, and the process alive as long as a call does. */
  #attend(): void {
    if (this.#closed) return
    if (this.#net === undefined) {
      if (this.#news.expected + this.#news.waits === 0) return
      const everyMs = this.#database.watched ? NET_MS : NET_UNWATCHED_MS
      this.#net = setInterval(() => this.#catch(), everyMs)
    }
    if (this.#news.waits > 0) this.#net.ref()
    else this.#net.unref()
  }

  #catch(): void {
    if (this.#news.expected + this.#news.waits === 0) {
      clearInterval(this.#net)
      this.#net = undefined
      return
    }
    this.#database.check()
    this.#hear()
  }
}

/** The next names after the cursor, without those whose leases turn out to be over. */
function listLocks(transaction: Transaction, query: ListQuery): LockPage {
  const limit = Math.min(query.limit, PAGE_MAX)
  const prefix = encode(query.prefix)
  const names: string[] = []
  const rows = transaction.sql.lockNames.all(query.cursor ?? '', prefix, limit)
  let last = ''
  for (const row of rows) {
    const name = row['name'] as string
    if (!name.startsWith(prefix)) return { names }
    last = name
    if ((row['quiet_us'] as number) <= transaction.nowUs) {
      const line = Line.find(transaction, decode(name))
      line?.look()
      line?.save()
      if (line?.taken !== true) continue
    }
    names.push(decode(name))
  }
  return rows.length < limit ? { names } : { names, cursor: last }
}
