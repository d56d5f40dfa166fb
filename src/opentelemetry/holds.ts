import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  type Span,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { LeaseLostError } from '../core/errors.ts'
import type { HoldTrace } from '../core/traces.ts'
import type { Origin } from './acquires.ts'
import {
  errorAttributes,
  FENCE,
  HOLD_OUTCOME,
  lockAttributes,
  lossAttributes,
  PERMITS,
} from './attributes.ts'
import { recordFailure } from './failure.ts'
import type { LockNames } from './lock-names.ts'
import type { Meters } from './meters.ts'

/** Why a lease can be lost while it is held. */
const LOSSES = ['expired', 'overdue', 'refused'] as const

interface Hold {
  readonly parent: Context
  readonly span: Span
  readonly measured: Attributes
  readonly named: boolean
}

/** Leases: a span each, how long they were held, how many there are, how many were lost. */
export class Holds {
  readonly #tracer: Tracer
  readonly #meters: Meters
  readonly #names: LockNames
  readonly #holds = new Map<HoldTrace, Hold>()
  /** Locks whose losses are counted, as few as metrics keep names apart. */
  readonly #counted = new Set<string>()

  constructor(tracer: Tracer, meters: Meters, names: LockNames) {
    this.#tracer = tracer
    this.#meters = meters
    this.#names = names
  }

  /** The grant may have come in another context than the call's: `origin` says where that was. */
  start(told: HoldTrace, origin: Origin | undefined): void {
    const { engine, lease } = told
    const { fence, kind, name, permits } = lease
    const shown = this.#names.told(name)
    const parent = origin?.parent ?? ROOT_CONTEXT
    const span = this.#tracer.startSpan(
      `hold ${kind}`,
      {
        attributes: {
          ...lockAttributes(engine, kind, shown),
          [PERMITS]: permits,
          [FENCE]: fence,
        },
        // Without a span around the call, the two would stand in traces of their own.
        links: origin === undefined ? [] : [{ context: origin.span.spanContext() }],
      },
      parent,
    )
    const measured = lockAttributes(engine, kind, this.#names.counted(shown))
    this.#countFromZero(measured)
    this.#holds.set(told, { parent, span, measured, named: shown === name })
    this.#meters.leases.add(1, measured)
  }

  end(told: HoldTrace): void {
    const hold = this.#holds.get(told)
    if (hold === undefined) return
    try {
      this.#report(told, hold)
    } finally {
      // Also where a report fails: leases that are over must not pile up.
      this.#finish(told, hold)
    }
  }

  /** Ends what is under way: nothing more is heard of it. */
  stop(): void {
    for (const [told, hold] of this.#holds) this.#finish(told, hold)
  }

  #report({ error, heldMs = 0 }: HoldTrace, hold: Hold): void {
    const { parent, span, measured, named } = hold
    const failure = errorAttributes(error)
    const outcome = { [HOLD_OUTCOME]: outcomeOf(error), ...failure }
    const within = trace.setSpan(parent, span)
    this.#meters.hold.record(heldMs / 1000, { ...measured, ...outcome }, within)
    if (error instanceof LeaseLostError) {
      this.#meters.losses.add(1, { ...measured, ...failure }, within)
    }
    span.setAttributes(outcome)
    recordFailure(span, error, named)
  }

  /** A count that begins with its first loss would hide that one: rates are of differences. */
  #countFromZero(measured: Attributes): void {
    const key = JSON.stringify(measured)
    if (this.#counted.has(key)) return
    this.#counted.add(key)
    for (const reason of LOSSES) {
      this.#meters.losses.add(0, { ...measured, ...lossAttributes(reason) })
    }
  }

  #finish(told: HoldTrace, { span, measured }: Hold): void {
    this.#holds.delete(told)
    this.#meters.leases.add(-1, measured)
    span.end()
  }
}

function outcomeOf(error: unknown): string {
  if (error === undefined) return 'released'
  return error instanceof LeaseLostError ? 'lost' : 'unconfirmed'
}
