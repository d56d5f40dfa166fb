import { ROOT_CONTEXT } from '@opentelemetry/api'
import type { RenewedPlace, RenewTrace } from '../core/traces.ts'
import { ENGINE, errorAttributes, lockAttributes, RENEWAL_OUTCOME } from './attributes.ts'
import type { LockNames } from './lock-names.ts'
import type { Meters } from './meters.ts'

/** Renewals: how long each took, and what came of it for every lease in it. */
export class Renewals {
  readonly #meters: Meters
  readonly #names: LockNames

  constructor(meters: Meters, names: LockNames) {
    this.#meters = meters
    this.#names = names
  }

  end({ engine, error, places, tookMs = 0 }: RenewTrace): void {
    const attributes = { [ENGINE]: engine, ...errorAttributes(error) }
    // One renewal serves many: it belongs to no trace, whatever is active while it is answered.
    this.#meters.renew.record(tookMs / 1000, attributes, ROOT_CONTEXT)
    for (const renewed of places) {
      if (!renewed.leased) continue
      const { name, shape } = renewed.place
      const shown = this.#names.counted(this.#names.told(name))
      const lock = lockAttributes(engine, shape.kind, shown)
      const outcome = { [RENEWAL_OUTCOME]: outcomeOf(renewed) }
      this.#meters.renewals.add(1, { ...lock, ...outcome }, ROOT_CONTEXT)
    }
  }
}

function outcomeOf({ standing }: RenewedPlace): string {
  switch (standing?.state) {
    case 'held':
      return 'confirmed'
    case 'waiting':
    case 'absent':
      return 'refused'
    case 'unknown':
    case undefined:
      return 'unanswered'
    default:
      return standing satisfies never
  }
}
