import {
  createHoldfast,
  type Engine,
  type Holdfast,
  type HoldfastEvents,
  type HoldfastOptions,
} from 'holdfast'
import { MemoryStore, memory } from 'holdfast/memory'
import { type FaultPlan, faultyEngine } from '../../src/testing/faulty-engine.ts'
import { SimulatedClock, seededRandom } from '../../src/testing/simulated-clock.ts'

/** One simulated world: a clock, a store, and as many processes as a test asks for. */
export interface Rig {
  readonly clock: SimulatedClock
  readonly store: MemoryStore
  /** Another process on the store, its calls struck by `plan`. */
  readonly process: (options?: HoldfastOptions & { plan?: FaultPlan; engine?: Engine }) => Process
}

/** A Holdfast and what it told. */
export interface Process {
  readonly holdfast: Holdfast
  readonly engine: Engine
  /** The events in order, each as "name" or "name: detail". */
  readonly told: string[]
}

export function rig(seed = 1): Rig {
  const clock = new SimulatedClock()
  const random = seededRandom(seed)
  const store = new MemoryStore({ clock, nowMicros: () => 1_000_000 + clock.now() * 1000 })
  return {
    clock,
    store,
    process: ({ plan = [], engine: own, ...options } = {}) => {
      const engine = own ?? faultyEngine(memory({ clock, store }), { random, clock, plan })
      const holdfast = createHoldfast({ engine, clock, random, ...options })
      return { holdfast, engine, told: record(holdfast) }
    },
  }
}

function record(holdfast: Holdfast): string[] {
  const told: string[] = []
  const note = <K extends keyof HoldfastEvents>(
    event: K,
    detail: (event: HoldfastEvents[K]) => string,
  ) => holdfast.on(event, (each) => told.push(`${event}${detail(each)}`))
  note('waiting', ({ name, ahead }) => `: ${name} ${ahead} ahead`)
  note('granted', ({ lease }) => `: ${lease.name}`)
  note('jeopardy', ({ lease }) => `: ${lease.name}`)
  note('secured', ({ lease }) => `: ${lease.name}`)
  note('lost', ({ error }) => `: ${error.reason}`)
  note('released', ({ lease }) => `: ${lease.name}`)
  note('error', ({ error }) => `: ${error instanceof Error ? error.message : String(error)}`)
  return told
}

/** What became of a promise, without waiting for it. */
export interface Outcome<T> {
  value?: T
  error?: unknown
  readonly settled: boolean
}

export function watch<T>(promise: Promise<T>): Outcome<T> {
  const outcome: { value?: T; error?: unknown; settled: boolean } = { settled: false }
  promise.then(
    (value) => Object.assign(outcome, { value, settled: true }),
    (error: unknown) => Object.assign(outcome, { error, settled: true }),
  )
  return outcome
}
