import type { Clock } from '../../core/clock.ts'
import type { EngineError } from '../../core/errors.ts'
import type { Binding } from './binding.ts'
import type { MachineClock } from './machine-clock.ts'
import type { News, Transaction } from './transaction.ts'

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
  /** A file was opened anew: a ring may have been missed. */
  readonly onReopened: () => void
  /** All that was granted until now is gone. Nothing is granted before this was told. */
  readonly onLoss: (cause: EngineError) => void
}
