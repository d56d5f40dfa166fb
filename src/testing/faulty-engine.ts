import { type Clock, type Random, sleep } from '../core/clock.ts'
import type {
  Claim,
  Engine,
  Guarantees,
  ListQuery,
  LockPage,
  LockState,
  Place,
  ReleaseOptions,
  Standing,
  Unknown,
} from '../core/engine.ts'
import { EngineError, type Outcome } from '../core/errors.ts'

/** Calls that faults can strike. `push` is the grant that a waiter should hear of. */
export type Operation = 'acquire' | 'push' | 'renew' | 'release' | 'inspect' | 'list'

/** What goes wrong during one stretch of time. Chances run from 0, never, to 1, always. */
export interface Fault {
  /** Default: from the beginning. Counted on the clock that was handed in. */
  readonly fromMs?: number
  /** Default: without end. */
  readonly untilMs?: number
  /** Default: all. */
  readonly operations?: readonly Operation[]
  /** Chance that a call is refused without having run, and says so. */
  readonly refuse?: number
  /**
   * Chance that a call never arrives; its outcome is unknown to the caller. For a push: that it is
   * lost.
   */
  readonly loseRequest?: number
  /** Chance that a call runs and its answer is lost. */
  readonly loseReply?: number
  /** Chance that a call arrives only after its caller was told that the outcome is unknown. */
  readonly late?: number
  /** Chance that a call runs twice; the caller gets the second answer. */
  readonly duplicate?: number
  /** Chance, for each place of a renewal, that its standing is unknown. */
  readonly unknown?: number
  /** Each call takes from 0 to this long to arrive, and again to answer. */
  readonly delayMs?: number
  /** How long a caller waits for an answer that does not come. Default: 1000. */
  readonly patienceMs?: number
}

/** What goes wrong, as data. Faults whose stretches overlap all strike. */
export type FaultPlan = readonly Fault[]

/** What `faultyEngine` needs from outside. */
export interface FaultOptions {
  readonly random: Random
  readonly clock: Clock
  readonly plan: FaultPlan
}

/** A fault that a call was struck by, other than delays. */
type Blow = 'refuse' | 'loseRequest' | 'loseReply' | 'late' | 'duplicate'

const BLOWS: readonly Blow[] = ['refuse', 'loseRequest', 'loseReply', 'late', 'duplicate']

const PATIENCE_MS = 1_000

/** Wraps an engine so that its calls fail as a network lets them fail, by chance and by plan. */
export function faultyEngine(engine: Engine, options: FaultOptions): Engine {
  return new FaultyEngine(engine, options)
}

class FaultyEngine implements Engine {
  readonly name: string
  readonly guarantees: Guarantees
  readonly #engine: Engine
  readonly #random: Random
  readonly #clock: Clock
  readonly #plan: FaultPlan

  constructor(engine: Engine, { random, clock, plan }: FaultOptions) {
    this.name = `faulty ${engine.name}`
    this.guarantees = engine.guarantees
    this.#engine = engine
    this.#random = random
    this.#clock = clock
    this.#plan = plan
  }

  async acquire(claim: Claim): Promise<Standing> {
    return await this.#strike('acquire', () => this.#engine.acquire(claim), claim.name)
  }

  async wait(place: Place, signal: AbortSignal): Promise<Standing> {
    const faults = this.#faults('push')
    const standing = await this.#engine.wait(place, signal)
    await this.#delay(faults, signal)
    if (!this.#happens(faults, 'loseRequest')) return standing
    return await new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      if (signal.aborted) reject(signal.reason as Error)
    })
  }

  async renew(places: readonly Place[]): Promise<readonly (Standing | Unknown)[]> {
    const standings = await this.#strike('renew', () => this.#engine.renew(places))
    const faults = this.#faults('renew')
    return standings.map((standing) =>
      this.#happens(faults, 'unknown')
        ? { state: 'unknown', error: this.#error('renew', 'unknown') }
        : standing,
    )
  }

  async release(place: Place, options?: ReleaseOptions): Promise<boolean> {
    return await this.#strike('release', () => this.#engine.release(place, options), place.name)
  }

  async inspect(name: string): Promise<LockState | null> {
    return await this.#strike('inspect', () => this.#engine.inspect(name), name)
  }

  async list(query: ListQuery): Promise<LockPage> {
    return await this.#strike('list', () => this.#engine.list(query))
  }

  async close(): Promise<void> {
    await this.#engine.close()
  }

  async #strike<T>(operation: Operation, call: () => Promise<T>, lock?: string): Promise<T> {
    const faults = this.#faults(operation)
    const blow = BLOWS.find((each) => this.#happens(faults, each))
    await this.#delay(faults)
    if (blow === 'refuse') throw this.#error(operation, 'none', lock)
    if (blow === 'loseReply') await call()
    if (blow === 'loseReply' || blow === 'loseRequest' || blow === 'late') {
      await sleep(this.#clock, Math.max(...faults.map((each) => each.patienceMs ?? PATIENCE_MS)))
      if (blow === 'late') this.#runLate(call)
      throw this.#error(operation, 'unknown', lock)
    }
    if (blow === 'duplicate') await call()
    const answer = await call()
    await this.#delay(faults)
    return answer
  }

  /** The caller has gone on: what comes of the call, good or bad, reaches nobody. */
  #runLate(call: () => Promise<unknown>): void {
    this.#clock.setTimer(() => {
      call().catch(() => undefined)
    }, this.#random.fraction() * PATIENCE_MS)
  }

  #faults(operation: Operation): FaultPlan {
    const nowMs = this.#clock.now()
    return this.#plan.filter(
      ({ fromMs = Number.NEGATIVE_INFINITY, untilMs = Number.POSITIVE_INFINITY, operations }) =>
        fromMs <= nowMs && nowMs < untilMs && (operations?.includes(operation) ?? true),
    )
  }

  #happens(faults: FaultPlan, kind: Blow | 'unknown'): boolean {
    return faults.some((fault) => this.#random.fraction() < (fault[kind] ?? 0))
  }

  async #delay(faults: FaultPlan, signal?: AbortSignal): Promise<void> {
    const mostMs = Math.max(0, ...faults.map((fault) => fault.delayMs ?? 0))
    if (mostMs > 0) await sleep(this.#clock, this.#random.fraction() * mostMs, signal)
  }

  #error(operation: Operation, outcome: Outcome, lock?: string): EngineError {
    const problem =
      outcome === 'none' ? 'refused by the fault plan' : 'no answer, by the fault plan'
    return new EngineError({
      engine: this.name,
      operation,
      outcome,
      transient: true,
      problem,
      lock,
    })
  }
}
