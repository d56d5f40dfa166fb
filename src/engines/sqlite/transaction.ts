import type { Bells } from './bells.ts'
import type { Row, Statement, TupleStatement } from './binding.ts'
import type { Meta } from './meta.ts'
import { patrol } from './patrol.ts'
import type { Peers } from './peers.ts'
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

/** What all transactions on one open file share. */
export interface Surroundings {
  readonly sql: Statements
  /** This engine's row in `process`. */
  readonly process: number
  /** Numbers of locks by their names, as seen last. */
  readonly lockIds: Map<string, number>
  /** Numbers of locks that nobody had or wanted when they were seen last. */
  readonly calm: Map<string, number>
  readonly meta: Meta
  readonly peers: Peers
  readonly bells: Bells
  readonly readProcess: (id: number) => Row | undefined
  /** When locks were last asked for holders that died. */
  readonly buriedUs: Map<number, number>
  readonly fenceTtlMs: number
  readonly random: () => number
}

/** Wakes the processes of those who were granted, each once. */
export function ring({ peers, bells, readProcess }: Surroundings, told: readonly News[]): void {
  const rung: number[] = []
  for (const { grant } of told) {
    if (grant === null || rung.includes(grant.process)) continue
    rung.push(grant.process)
    const bell = peers.bellOf(grant.process, readProcess)
    if (bell !== undefined) bells.ring(bell)
  }
}

/** How often the holders of one lock are asked whether they still run. */
const BURY_US = 50_000

/** Most locks of which that is remembered. */
const BURIED_MAX = 1000

/** One transaction: its statements, the moment at which all of it happens, what it finds out. */
export class Transaction {
  readonly sql: Statements
  readonly process: number
  readonly lockIds: Map<string, number>
  readonly calm: Map<string, number>
  /** The caller's `Clock.now()`, read before `nowUs`. */
  readonly sentAt: number
  /** The calendar clock, from which fences and tickets are drawn. */
  readonly wallMicros: number
  /** To be told after the commit, in this order. */
  news: News[] = []
  readonly #around: Surroundings
  #nowUs: number

  constructor(around: Surroundings, sentAt: number, wallMicros: number) {
    this.#around = around
    this.sql = around.sql
    this.process = around.process
    this.lockIds = around.lockIds
    this.calm = around.calm
    this.sentAt = sentAt
    this.wallMicros = wallMicros
    this.#nowUs = around.meta.now()
  }

  /** The machine's clock. */
  get nowUs(): number {
    return this.#nowUs
  }

  /** The era in which `nowUs` is right, -1 while none is known. */
  get era(): number {
    return this.#around.meta.era ?? -1
  }

  get wallMs(): number {
    return Math.floor(this.wallMicros / 1000)
  }

  /** A lock was found to be of this era: corrects the moment where it rests on an older one. */
  confirm(era: number): void {
    const { meta } = this.#around
    if (!meta.holds(era)) this.#nowUs = meta.read()
  }

  /** Corrects the moment where no lock tells the era. */
  confirmAnew(): void {
    this.#nowUs = this.#around.meta.read()
  }

  /** Whether a grant that is pushed now would reach this process. */
  reaches(process: number): boolean {
    if (process === this.process) return true
    const { peers, bells, readProcess } = this.#around
    if (peers.hasEnded(process, this.#nowUs, readProcess)) return false
    const bell = peers.bellOf(process, readProcess)
    return bell !== undefined && bells.has(bell)
  }

  /** Whether this process has provably ended. */
  hasEnded(process: number): boolean {
    const { peers, readProcess } = this.#around
    return process !== this.process && peers.hasEnded(process, this.#nowUs, readProcess)
  }

  /** Whether it is time again to look for holders of this lock whose process has ended. */
  mayBury(lock: number): boolean {
    const { buriedUs } = this.#around
    if (this.#nowUs - (buriedUs.get(lock) ?? Number.NEGATIVE_INFINITY) < BURY_US) return false
    if (buriedUs.size > BURIED_MAX) buriedUs.clear()
    buriedUs.set(lock, this.#nowUs)
    return true
  }

  /** A row was added for a lock: time to remove some that nobody uses. */
  addedLock(): void {
    const { fenceTtlMs, random } = this.#around
    patrol(this.sql, this.#nowUs, this.wallMicros / 1000 - fenceTtlMs, random)
  }
}
