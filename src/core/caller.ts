import type { Core } from './core.ts'
import type { Absent, Place } from './engine.ts'
import { closedError } from './errors.ts'
import type { Grant } from './grant.ts'
import { Lease } from './lease.ts'
import type { Keeping } from './tending.ts'
import type { AcquireTrace } from './traces.ts'

/** How a place is asked for. */
export interface Request {
  readonly place: Place
  readonly keeping: Keeping
  /** `Infinity` waits for ever, 0 tries once. */
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  /** What is made of the grant: a lease unless told otherwise. */
  readonly make?: typeof Lease
  /** Where in the line to join, instead of at its end: smaller tickets stand in front. */
  readonly ticket?: number
  /** Told when the engine says that the place stands in the line. A grant at once is not told. */
  readonly joined?: () => void
}

/** The promise that whoever asked was given. */
interface Answer {
  readonly resolve: (answer: Lease | Absent) => void
  readonly reject: (reason: Error) => void
}

/** One call that wants a lease, and gets one answer. */
export class Caller {
  readonly request: Request
  readonly startedAt: number
  /** When the time to wait is over. */
  readonly deadline: number
  /** What watchers outside were told of the call, if anybody watches. */
  readonly told: AcquireTrace | undefined
  readonly #core: Core
  readonly #answer: Answer

  constructor(core: Core, request: Request, answer: Answer, told: AcquireTrace | undefined) {
    this.#core = core
    this.request = request
    this.#answer = answer
    this.told = told
    this.startedAt = core.clock.now()
    const { timeoutMs } = request
    this.deadline = timeoutMs > 0 ? this.startedAt + timeoutMs : Number.POSITIVE_INFINITY
  }

  /** The lock is this call's. */
  granted(grant: Grant): void {
    const core = this.#core
    const { make = Lease, keeping } = this.request
    const lease = new make(core, grant, keeping)
    const { events } = core
    const waitedMs = events.heard('granted') ? core.clock.now() - this.startedAt : undefined
    this.#tell({ result: lease })
    this.#answer.resolve(lease)
    lease.begin(this.told)
    if (waitedMs !== undefined) events.emit('granted', { lease, waitedMs })
  }

  /** The lock is taken, and the call was not to wait. */
  absent(standing: Absent): void {
    this.#tell({ result: null })
    this.#answer.resolve(standing)
  }

  fail(error: Error): void {
    this.#tell({ error })
    this.#answer.reject(error)
  }

  /** Watchers hear of the end before the caller does. */
  #tell(outcome: Pick<AcquireTrace, 'result' | 'error'>): void {
    const { told } = this
    if (told === undefined) return
    const core = this.#core
    told.waitedMs = core.clock.now() - this.startedAt
    core.traces.acquire.end(Object.assign(told, outcome))
  }
}

/** Makes the caller of a request, and hands it to `start` unless the request is over already. */
export function call(
  core: Core,
  request: Request,
  start: (caller: Caller) => void,
): Promise<Lease | Absent> {
  return new Promise((resolve, reject) => {
    const { acquire } = core.traces
    const told = acquire.watched ? trace(core, request) : undefined
    const caller = new Caller(core, request, { resolve, reject }, told)
    const begin = (): Error | undefined => {
      const { place, signal } = request
      if (signal?.aborted) return signal.reason as Error
      if (core.closed) return closedError(place.name)
      start(caller)
      return undefined
    }
    const refused = told === undefined ? begin() : acquire.begin(told, begin)
    // Watchers hear of a beginning before they hear of its end.
    if (refused !== undefined) caller.fail(refused)
  })
}

function trace(core: Core, { place, timeoutMs }: Request): AcquireTrace {
  const { name, shape, permits, identity } = place
  return { engine: core.engine.name, name, kind: shape.kind, permits, identity, timeoutMs }
}
