import {
  type Attributes,
  type Context,
  context,
  type Span,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { AcquireTimeoutError, HoldfastError } from '../core/errors.ts'
import type { AcquireTrace } from '../core/traces.ts'
import {
  ACQUIRE_OUTCOME,
  AHEAD,
  errorAttributes,
  FENCE,
  JOINED_AHEAD,
  lockAttributes,
  PERMITS,
  WAITED,
} from './attributes.ts'
import { recordFailure } from './failure.ts'
import type { LockNames } from './lock-names.ts'
import type { Meters } from './meters.ts'

/** Where a call came from. */
export interface Origin {
  /** What was active where the call was made. */
  readonly parent: Context
  /** The span of the call itself. */
  readonly span: Span
}

interface Call extends Origin {
  readonly measured: Attributes
  readonly named: boolean
  waits: boolean
}

/** Calls that want a lease: a span each, the time they waited, how many stand in lines. */
export class Acquires {
  readonly #tracer: Tracer
  readonly #meters: Meters
  readonly #names: LockNames
  readonly #calls = new Map<AcquireTrace, Call>()
  /** Outlives the call, for the lease that came of it. */
  readonly #origins = new WeakMap<AcquireTrace, Origin>()

  constructor(tracer: Tracer, meters: Meters, names: LockNames) {
    this.#tracer = tracer
    this.#meters = meters
    this.#names = names
  }

  start(told: AcquireTrace): void {
    const { engine, kind, name, permits } = told
    const shown = this.#names.told(name)
    const attributes = { ...lockAttributes(engine, kind, shown), [PERMITS]: permits }
    const parent = context.active()
    const span = this.#tracer.startSpan(`acquire ${kind}`, { attributes }, parent)
    const measured = lockAttributes(engine, kind, this.#names.counted(shown))
    this.#calls.set(told, { parent, span, measured, named: shown === name, waits: false })
    this.#origins.set(told, { parent, span })
  }

  waiting(told: AcquireTrace): void {
    const call = this.#calls.get(told)
    if (call === undefined || call.waits) return
    call.waits = true
    this.#meters.waiters.add(1, call.measured)
  }

  end(told: AcquireTrace): void {
    const call = this.#calls.get(told)
    if (call === undefined) return
    try {
      this.#report(told, call)
    } finally {
      // Also where a report fails: calls that are over must not pile up.
      this.#finish(told, call)
    }
  }

  /** The span of a call, and what was active where it was made. */
  origin(told: AcquireTrace | undefined): Origin | undefined {
    return told && this.#origins.get(told)
  }

  /** Ends what is under way: nothing more is heard of it. */
  stop(): void {
    for (const [told, call] of this.#calls) this.#finish(told, call)
  }

  #report(told: AcquireTrace, call: Call): void {
    const { parent, span, measured, named } = call
    const { ahead, error, joinedAhead, result, waitedMs = 0 } = told
    const outcome = { [ACQUIRE_OUTCOME]: outcomeOf(told), ...errorAttributes(error) }
    const within = trace.setSpan(parent, span)
    this.#meters.wait.record(waitedMs / 1000, { ...measured, ...outcome }, within)
    span.setAttributes({
      ...outcome,
      [WAITED]: waitedMs / 1000,
      ...(joinedAhead === undefined ? {} : { [JOINED_AHEAD]: joinedAhead }),
      ...(ahead === undefined ? {} : { [AHEAD]: ahead }),
      ...(result ? { [FENCE]: result.fence } : {}),
    })
    recordFailure(span, error, named)
  }

  #finish(told: AcquireTrace, { span, measured, waits }: Call): void {
    this.#calls.delete(told)
    if (waits) this.#meters.waiters.add(-1, measured)
    span.end()
  }
}

function outcomeOf({ error, result }: AcquireTrace): string {
  if (result !== undefined) return result === null ? 'busy' : 'granted'
  if (error instanceof AcquireTimeoutError) return 'timeout'
  // What is no error of Holdfast's is the reason of the caller's signal.
  return error instanceof HoldfastError ? 'failed' : 'aborted'
}
