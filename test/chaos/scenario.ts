import type { Work } from './crew.ts'
import type { Fault } from './fault.ts'
import type { GroundSpec } from './ground.ts'

/** What is set up and what is done to it. */
export interface Scenario {
  readonly name: string
  readonly ground: GroundSpec
  readonly faults: readonly Fault[]
  /** Each group has a lock of its own, and faults of its own at the same time as others. */
  readonly groups: number
  /** How many processes compete for the lock of a group. */
  readonly processes: number
  readonly ttlMs: number
  /** The longest pause between two faults, on top of the time in which the lock is taken again. */
  readonly gapMs: number
  readonly work: Work
  readonly options?: object
  /** How long processes may take to end, where that is to be less than usual. */
  readonly patienceMs?: number
  readonly client?: 'a URL' | 'node-redis'
  /** A file beside this one that makes the locks; wrong ones, to see the judge catch them. */
  readonly maker?: string
  /** Whether the resource refuses small fences, as it should. */
  readonly checksFence?: boolean
}
