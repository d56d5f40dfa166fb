import type { Clock } from '../../core/clock.ts'
import { closedError, HoldfastError } from '../../core/errors.ts'
import type { Binding } from './binding.ts'
import { engineError, isBusy, leavesFileIntact } from './failure.ts'
import type { MachineClock } from './machine-clock.ts'
import { Meta } from './meta.ts'
import { Peers } from './peers.ts'
import { encode } from './schema.ts'
import { openSession, type Session } from './session.ts'
import { type News, type Surroundings, Transaction } from './transaction.ts'

/** What a database is made of. */
export interface DatabaseParts {
  readonly binding: Binding
  readonly path: string
  readonly clock: Clock
  readonly machine: MachineClock
  readonly wallMicros: () => number
  readonly commandTimeoutMs: number
  readonly fenceTtlMs: number
  readonly random: () => number
  readonly migrations?: readonly string[]
  /** News of places, right after the commit that made them. */
  readonly onNews: (news: News, transaction: Transaction) => void
  /** Another process granted something to this one. */
  readonly onRing: () => void
  /** The file was opened anew, and may be another than before. */
  readonly onReplaced: () => void
}

interface Job {
  readonly operation: string
  readonly lock: string | undefined
  /** By the monotonic clock: how long to go on trying. */
  readonly untilMs: number
  /** Does its part of the transaction; what it returns is called after the commit. */
  readonly work: (transaction: Transaction) => () => void
  readonly reject: (error: Error) => void
}

/** Most calls in one transaction: it must stay short for the others. */
const BATCH = 32

/** Transactions in a row before timers and other work of this process get their turn. */
const TURNS = 16

/** Tries at once before the pauses between two tries begin to grow. */
const QUICK_TRIES = 4
const LONGEST_PAUSE_MS = 4

const NOTHING = (): void => undefined

/** Most locks whose numbers are remembered. */
const IDS_MAX = 10_000

type HeardRow = readonly [number, number, number, number, string, number, number]

/** A lease of this process, as the file says. */
export interface Granted {
  readonly identity: string
  readonly fence: number
  readonly leftUs: number
}

/**
 * The file, and short transactions on it: calls of one moment share one. While another process is
 * in the file, they wait without blocking the event loop.
 */
export class Database {
  readonly #parts: DatabaseParts
  #session: Session | undefined
  #around: Surroundings | undefined
  #queue: Job[] = []
  #scheduled = false
  #inARow = 0
  #tries = 0
  #retry: NodeJS.Timeout | undefined
  /** The file that was opened last. */
  #established: string | undefined
  #closed = false

  constructor(parts: DatabaseParts) {
    this.#parts = parts
  }

  /** Whether the operating system tells when another process granted something. */
  get watched(): boolean {
    return this.#session?.bells.watched === true
  }

  /**
   * Does `work` within a transaction and resolves to what `after` makes of it, which runs right
   * after the commit. `work` may run more than once, each time in a transaction of its own.
   */
  run<T, R>(
    operation: string,
    lock: string | undefined,
    work: (transaction: Transaction) => T,
    after: (result: T, transaction: Transaction) => R,
  ): Promise<R> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(closedError(lock))
      const untilMs = performance.now() + this.#parts.commandTimeoutMs
      this.#queue.push({
        operation,
        lock,
        untilMs,
        reject,
        work: (transaction) => {
          const result = work(transaction)
          return () => resolve(after(result, transaction))
        },
      })
      if (this.#retry === undefined) this.#schedule()
    })
  }

  /** What this process holds of a lock; `undefined` when the file was busy. */
  granted(
    name: string,
  ): { readonly sentAt: number; readonly grants: readonly Granted[] } | undefined {
    const around = this.#around
    if (around === undefined || this.#closed) return undefined
    try {
      const { sql, process, meta } = around
      const sentAt = this.#parts.clock.now()
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
        .filter((row) => row['process'] === process)
        .map((row) => ({
          identity: row['identity'] as string,
          fence: row['fence'] as number,
          leftUs: leftUs(row['ends_us'] as number),
        }))
      return { sentAt, grants }
    } catch {
      return undefined
    }
  }

  /** Looks whether file and bell are still there; if not, starts anew. */
  check(): void {
    if (this.#closed || this.#session === undefined) return
    if (this.#session.isCurrent() && this.#session.bells.hangs) return
    this.#leave()
    this.run('connect', undefined, NOTHING, NOTHING).catch(NOTHING)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#retry)
    for (const job of this.#queue.splice(0)) job.reject(closedError(job.lock))
    this.#leave()
  }

  #leave(): void {
    const session = this.#session
    if (session === undefined) return
    this.#session = undefined
    this.#around = undefined
    try {
      if (session.isCurrent()) session.sql.dropIdleProcess.run(session.process)
    } catch {
      // Whoever opens the file after this process has ended does it.
    }
    session.close()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#inARow += 1
    if (this.#inARow < TURNS) {
      queueMicrotask(() => this.#flush())
    } else {
      this.#inARow = 0
      setImmediate(() => this.#flush())
    }
  }

  #flush(): void {
    this.#scheduled = false
    if (this.#closed || this.#queue.length === 0) return
    const batch = this.#queue.slice(0, BATCH)
    let stage: 'begin' | 'work' | 'commit' = 'begin'
    let transaction: Transaction
    let outcomes: (() => void)[]
    try {
      this.#enter()
      stage = 'work'
      transaction = this.#transaction()
      outcomes = this.#perform(batch, transaction)
      stage = 'commit'
      this.#session?.sql.commit.get()
    } catch (error) {
      if (stage !== 'begin') this.#rollback()
      return this.#failed(batch, error, stage)
    }
    this.#tries = 0
    this.#queue.splice(0, batch.length)
    for (const outcome of outcomes) outcome()
    if (this.#queue.length > 0) this.#schedule()
  }

  /** Opens the file where it is not open, and begins. */
  #enter(): void {
    // A grant in a file that nobody else sees any more excludes nobody. While others are in the
    // file the look costs only what the pauses between two tries are for.
    if (this.#tries > QUICK_TRIES && this.#session?.isCurrent() === false) this.#leave()
    if (this.#session !== undefined) {
      try {
        begin(this.#session)
      } catch (error) {
        if (isBusy(error) || this.#session.isCurrent()) throw error
      }
      if (this.#session.isCurrent()) return
      this.#rollback()
      this.#leave()
    }
    if (this.#session === undefined) {
      const established = this.#established
      this.#session = openSession({ ...this.#parts, established })
      this.#around = this.#surroundings(this.#session)
      this.#established = this.#session.file
      if (established !== undefined) this.#parts.onReplaced()
    }
    begin(this.#session)
  }

  #perform(batch: readonly Job[], transaction: Transaction): (() => void)[] {
    const outcomes: (() => void)[] = []
    const told: News[] = []
    for (const job of batch) {
      try {
        outcomes.push(job.work(transaction))
      } catch (error) {
        // A refusal concerns one call, and left everything as it was.
        if (!(error instanceof HoldfastError)) throw error
        outcomes.push(() => job.reject(error))
      }
      const { news } = transaction
      if (news.length === 0) continue
      transaction.news = []
      for (const each of news) {
        outcomes.push(() => this.#parts.onNews(each, transaction))
        if (each.grant !== null && each.grant.process !== transaction.process) told.push(each)
      }
    }
    if (told.length > 0) outcomes.unshift(() => this.#ring(told))
    return outcomes
  }

  /** Wakes the processes of those who were granted, each once. */
  #ring(told: readonly News[]): void {
    const around = this.#around
    if (around === undefined) return
    const rung = new Set<number>()
    for (const { grant } of told) {
      if (grant === null || rung.has(grant.process)) continue
      rung.add(grant.process)
      const bell = around.peers.bellOf(grant.process, around.readProcess)
      if (bell !== undefined) around.bells.ring(bell)
    }
  }

  #transaction(): Transaction {
    const around = this.#around as Surroundings
    if (around.lockIds.size > IDS_MAX) around.lockIds.clear()
    const sentAt = this.#parts.clock.now()
    return new Transaction(around, sentAt, this.#parts.wallMicros())
  }

  #surroundings(session: Session): Surroundings {
    const { machine, path, fenceTtlMs, random } = this.#parts
    return {
      sql: session.sql,
      process: session.process,
      lockIds: new Map(),
      meta: new Meta(session.sql, machine, session.version, path),
      peers: new Peers(session.mark),
      bells: session.bells,
      readProcess: (id) => session.sql.process.get(id),
      buriedUs: new Map(),
      fenceTtlMs,
      random,
    }
  }

  #rollback(): void {
    this.#around?.meta.forget()
    try {
      this.#session?.sql.rollback.run()
    } catch {
      // SQLite has rolled back by itself.
    }
  }

  #failed(batch: readonly Job[], error: unknown, stage: 'begin' | 'work' | 'commit'): void {
    if (isBusy(error)) return this.#tryAgain(error)
    this.#tries = 0
    this.#queue.splice(0, batch.length)
    const intact = leavesFileIntact(error)
    const outcome = stage === 'commit' && !intact ? 'unknown' : 'none'
    // Whatever is wrong with the file, the next call finds out anew.
    if (!intact) this.#leave()
    for (const job of batch) job.reject(engineError(job, this.#parts.path, error, outcome))
    if (this.#queue.length > 0) this.#schedule()
  }

  /** Another process is in the file. Chance keeps the two from meeting again and again. */
  #tryAgain(error: unknown): void {
    const nowMs = performance.now()
    // They came one after another, and all have the same time.
    while (this.#queue[0] !== undefined && this.#queue[0].untilMs <= nowMs) {
      const job = this.#queue.shift()
      job?.reject(engineError(job, this.#parts.path, error, 'none'))
    }
    if (this.#queue.length === 0) {
      this.#tries = 0
      return
    }
    this.#tries += 1
    if (this.#tries <= QUICK_TRIES) {
      this.#scheduled = true
      setImmediate(() => this.#flush())
      return
    }
    const longestMs = Math.min(2 ** (this.#tries - QUICK_TRIES), LONGEST_PAUSE_MS)
    this.#retry = setTimeout(
      () => {
        this.#retry = undefined
        this.#flush()
      },
      1 + this.#parts.random() * longestMs,
    )
  }
}

/** Most failures say only that another process is in the file: nobody reads where that was. */
function begin({ sql }: Session): void {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    sql.begin.get()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}
