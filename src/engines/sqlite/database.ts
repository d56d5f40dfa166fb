import { closedError, HoldfastError } from '../../core/errors.ts'
import { engineError, fileError, isBusy, leavesFileIntact, mayPass } from './failure.ts'
import { type Grants, readGrants } from './grants.ts'
import { type Job, jobOf } from './job.ts'
import { Lookout } from './lookout.ts'
import { Opening } from './opening.ts'
import type { DatabaseParts } from './parts.ts'
import { changeOf } from './presence.ts'
import { openSession, type Session, surroundingsOf } from './session.ts'
import { type News, ring, type Surroundings, Transaction } from './transaction.ts'

/** A file and the name under which this engine stands in it. */
interface Tenure {
  readonly file: string
  readonly bell: string
}

/** Most calls in one transaction: it must stay short for the others. */
const BATCH = 32

/** Transactions in a row before timers and other work of this process get their turn. */
const TURNS = 16

/** How long the database counts as being there once it was seen. */
const GLANCE_MS = 5

/** Tries at once before the pauses between two tries begin to grow. */
const QUICK_TRIES = 4
const LONGEST_PAUSE_MS = 4

const NOTHING = (): void => undefined

/** Most locks whose numbers are remembered. */
const IDS_MAX = 10_000

/**
 * The file, and short transactions on it: calls of one moment share one. While another process is
 * in the file, they wait without blocking the event loop.
 */
export class Database {
  readonly #parts: DatabaseParts
  readonly #opening: Opening
  readonly #lookout: Lookout
  #session: Session | undefined
  #around: Surroundings | undefined
  #queue: Job[] = []
  #scheduled = false
  #inARow = 0
  #tries = 0
  #glancedMs = Number.NEGATIVE_INFINITY
  #retry: NodeJS.Timeout | undefined
  /** The file that was opened last. */
  #established: string | undefined
  /** Where something may be held, also while it is not open. */
  #tenure: Tenure | undefined
  #lostBell: string | undefined
  /** The file is gone, and those who relied on it are about to be told. */
  #losing = false
  #closed = false

  constructor(parts: DatabaseParts) {
    this.#parts = parts
    this.#opening = new Opening(parts.path, parts.binding)
    this.#lookout = new Lookout(parts.clock, () => this.check())
  }

  /** Whether the operating system tells when another process granted something. */
  get watched(): boolean {
    return this.#session?.bells.watched === true
  }

  /**
   * Does `work` within a transaction and resolves to what `after` makes of it, which runs right
   * after the commit. `work` may run more than once, each time in a transaction of its own. `quick`
   * is tried before when the call is alone: one statement that does it all, or answers undefined.
   */
  run<T, R>(
    operation: string,
    lock: string | undefined,
    work: (transaction: Transaction) => T,
    after: (result: T, transaction: Transaction) => R,
    quick?: (transaction: Transaction) => T | undefined,
  ): Promise<R> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(closedError(lock))
      const settle = { resolve, reject }
      const task = { operation, lock, work, after, quick }
      this.#queue.push(jobOf(task, this.#parts.commandTimeoutMs, settle))
      if (this.#retry === undefined && !this.#losing) this.#schedule()
    })
  }

  /** What this process holds of a lock; `undefined` when the file was busy. */
  granted(name: string): Grants | undefined {
    const around = this.#around
    if (around === undefined || this.#closed) return undefined
    try {
      return readGrants(around, name, this.#parts.clock.now())
    } catch {
      return undefined
    }
  }

  /** Something is held in the file until this moment of the clock. */
  relied(until: number): void {
    this.#lookout.relied(until)
  }

  /** Looks whether files and bell are still there; if not, starts anew. */
  check(): void {
    if (this.#closed || this.#losing) return
    const change = this.#change()
    if (change !== undefined) return this.#lose(change)
    if (this.#session?.bells.hangs !== false) return
    this.#leave()
    this.#reopen()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#retry)
    this.#lookout.close()
    for (const job of this.#queue.splice(0)) job.reject(closedError(job.lock))
    this.#leave()
  }

  #leave(): void {
    const session = this.#session
    if (session === undefined) return
    this.#session = undefined
    this.#around = undefined
    try {
      if (session.presence.look() === undefined) {
        const dropped = session.sql.dropIdleProcess.get(session.process)
        if (dropped !== undefined) this.#tenure = undefined
      }
    } catch {
      // Whoever opens the file after this process has ended does it.
    }
    session.close()
  }

  /** What became of the file in which something may be held, `undefined` if nothing. */
  #change(): string | undefined {
    if (this.#session !== undefined) return this.#session.presence.look()
    return this.#tenure && changeOf(this.#parts.path, this.#tenure.file)
  }

  /** The file is not what it was: leaves it, tells so, and only then opens what is there now. */
  #lose(change: string): void {
    const { path } = this.#parts
    const isStill = this.#session !== undefined && this.#session.presence.glance() === undefined
    this.#lostBell = this.#session?.bell
    this.#opening.lost()
    this.#session?.presence.clear()
    this.#leave()
    this.#tenure = undefined
    this.#tries = 0
    this.#losing = true
    // Whoever was granted something a moment ago has the lease in hand by then, to hear of its end.
    setImmediate(() => {
      this.#losing = false
      if (this.#closed) return
      const problem =
        `${JSON.stringify(path)} ${change} while in use, and all that was held in it is lost; let ` +
        'nothing delete, replace or cut it, or a file beside it, as long as programs use its locks'
      this.#parts.onLoss(fileError('look', problem))
      // What this process held must not stay taken in a database that goes on.
      if (isStill) this.#reopen()
      else if (this.#queue.length > 0) this.#schedule()
    })
  }

  #reopen(): void {
    this.run('connect', undefined, NOTHING, NOTHING).catch(NOTHING)
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
    if (this.#closed || this.#losing || this.#queue.length === 0) return
    if (this.#queue.length === 1 && this.#hurry(this.#queue[0] as Job)) return
    const batch = this.#queue.slice(0, BATCH)
    let stage: 'begin' | 'work' | 'commit' = 'begin'
    let transaction: Transaction
    let outcomes: (() => void)[]
    try {
      if (!this.#enter()) return
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

  /** Does a lone call in one statement; false where that cannot be. */
  #hurry(job: Job): boolean {
    if (job.quick === undefined || job.lock === undefined) return false
    const around = this.#around
    // Where others want the lock too, not even a look at the clock is spent on this.
    if (around?.calm.has(job.lock) !== true || !around.meta.settled || !this.#seen()) return false
    let outcome: (() => void) | undefined
    try {
      outcome = job.quick(this.#transaction())
    } catch (error) {
      this.#failed([job], error, 'commit')
      return true
    }
    if (outcome === undefined) return false
    this.#tries = 0
    this.#queue.shift()
    outcome()
    if (this.#queue.length > 0) this.#schedule()
    return true
  }

  /**
   * Whether the database was seen a moment ago. A grant in a file that nobody else sees any more
   * excludes nobody; but whoever makes another one waits for this process, so that the look need
   * not be paid for every time. After a stop or a blocked loop it comes before the first grant.
   */
  #seen(): boolean {
    return performance.now() - this.#glancedMs < GLANCE_MS
  }

  /** Opens the file where it is not open, and begins; false when it turns out to be lost. */
  #enter(): boolean {
    const session = this.#session
    if (session === undefined) {
      const change = this.#change() ?? this.#open()
      if (change !== undefined) this.#lose(change)
      return change === undefined
    }
    let busy: Error | undefined
    try {
      begin(session)
    } catch (error) {
      // While others are in the file the look costs only what the pauses between tries are for.
      if (!isBusy(error) || this.#tries <= QUICK_TRIES) throw error
      busy = error as Error
    }
    if (busy === undefined && this.#seen()) return true
    this.#glancedMs = performance.now()
    const change = session.presence.glance()
    if (change === undefined) {
      if (busy !== undefined) throw busy
      return true
    }
    if (busy === undefined) this.#rollback()
    this.#lose(change)
    return false
  }

  /** Opens the file and begins. Says what became of the one before if it was another. */
  #open(): string | undefined {
    const tenure = this.#tenure
    const session = openSession({
      ...this.#parts,
      opening: this.#opening,
      established: this.#established,
      lostBell: this.#lostBell,
      keptBell: tenure?.bell,
      onChange: () => this.#lookout.hint(),
    })
    const { file, bell } = session
    const isFirst = this.#established === undefined
    this.#session = session
    this.#around = surroundingsOf(session, this.#parts)
    this.#established = file
    this.#lostBell = undefined
    this.#tenure = { file, bell }
    if (!session.isKnown) return 'was replaced'
    begin(session)
    if (!isFirst) this.#parts.onReopened()
    return undefined
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
    const around = this.#around
    if (told.length > 0 && around !== undefined) outcomes.unshift(() => ring(around, told))
    return outcomes
  }

  #transaction(): Transaction {
    const around = this.#around as Surroundings
    if (around.lockIds.size > IDS_MAX) around.lockIds.clear()
    if (around.calm.size > IDS_MAX) around.calm.clear()
    const sentAt = this.#parts.clock.now()
    return new Transaction(around, sentAt, this.#parts.wallMicros())
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
    if (mayPass(error)) return this.#tryAgain(error)
    this.#tries = 0
    const intact = leavesFileIntact(error)
    const change = intact ? undefined : this.#change()
    if (change !== undefined) {
      this.#lose(change)
      if (stage !== 'commit') return
    }
    this.#queue.splice(0, batch.length)
    const outcome = stage === 'commit' && !intact ? 'unknown' : 'none'
    // Whatever is wrong with the file, the next call finds out anew.
    if (!intact) this.#leave()
    for (const job of batch) job.reject(engineError(job, this.#parts.path, error, outcome))
    if (this.#queue.length > 0 && !this.#losing) this.#schedule()
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
