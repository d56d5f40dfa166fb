import type { Statement, TupleStatement } from './binding.ts'
import type { HotName, StatementName } from './schema.ts'

export type Statements = Readonly<
  Record<StatementName, Statement> & Record<HotName, TupleStatement>
>

/**
 * What a waiter learns without asking: that it was granted, or (`grant` is null) that it no longer
 * stands in the line.
 */
export interface News {
  readonly name: string
  readonly identity: string
  readonly grant: {
    readonly fence: number
    readonly endsUs: number
    /** The process that waits for it. */
    readonly process: number
  } | null
}

/** One transaction: its statements, the moment at which all of it happens, what it finds out. */
export interface Transaction {
  readonly sql: Statements
  /** This engine's row in `process`. */
  readonly process: number
  /** Numbers of locks by their names, as seen last. */
  readonly lockIds: Map<string, number>
  /** The caller's `Clock.now()`, read before `nowUs`. */
  readonly sentAt: number
  /** The machine's clock. */
  readonly nowUs: number
  /** The calendar clock, from which fences and tickets are drawn. */
  readonly wallMs: number
  readonly wallMicros: number
  /** To be told after the commit, in this order. */
  readonly news: News[]
  /** Whether a grant that is pushed now would reach this process. */
  reaches(process: number): boolean
  /** Whether this process has provably ended. */
  hasEnded(process: number): boolean
  /** Whether it is time again to look for holders of this lock whose process has ended. */
  mayBury(lock: number): boolean
  /** A row was added for a lock: time to remove some that nobody uses. */
  addedLock(): void
}
