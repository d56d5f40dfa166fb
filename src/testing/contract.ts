import type { Guarantees } from '../core/engine.ts'
import { capacity, exclusion, readersAndWriters } from './contract/exclusion.ts'
import { expiry, ownLives } from './contract/expiry.ts'
import { fencing, raising, sharedFences } from './contract/fencing.ts'
import { force, forcedShares } from './contract/force.ts'
import { handoff, vanished } from './contract/handoff.ts'
import { inspection, listing, shares } from './contract/inspection.ts'
import { fairReaders, order, weights } from './contract/order.ts'
import { repeatedPermits, repetition } from './contract/repetition.ts'
import { shape } from './contract/shape.ts'
import { EXCLUSIVE, missing, type Suite, type TestRunner, type World } from './contract/world.ts'

/** An engine, and how to test it. */
export interface ContractOptions extends TestRunner {
  /** Name of the engine, for titles. */
  readonly name: string
  /** Starts engines on a store. Tests use names of their own, so that the store may be shared. */
  readonly start: () => Promise<World>
}

/**
 * Declares the tests that every engine must pass: what `Engine` promises, property by property.
 *
 * A property is skipped only when the engine does not claim what it needs in `guarantees`, or when
 * the world cannot lose answers. It needs no test runner of its own: hand in `describe` and `it` of
 * Vitest or `node:test`.
 */
export function engineContract({ describe, it, name, start }: ContractOptions): void {
  let guarantees: Guarantees | undefined
  const property: Suite['property'] = (title, needs, body) => {
    it(title, async (context) => {
      const world = await start()
      try {
        guarantees ??= (await world.engine()).guarantees
        const lacks = missing(needs, guarantees, world)
        if (lacks === undefined) await body(world)
        else context.skip(`${name} lacks ${lacks}`)
      } finally {
        await world.stop()
      }
    })
  }
  describe(`contract of ${name}`, () => {
    const suite = { describe, property }
    for (const form of EXCLUSIVE) {
      const brief = [exclusion, order, handoff, fencing, raising, repetition, force, inspection]
      // These wait for leases to end, and an election is a mutex by another name.
      const long = form.shape.kind === 'election' ? [] : [expiry, vanished]
      for (const group of [...brief, ...long]) group(suite, form)
    }
    for (const group of [
      capacity,
      readersAndWriters,
      weights,
      fairReaders,
      ownLives,
      sharedFences,
      forcedShares,
      repeatedPermits,
      shares,
      listing,
      shape,
    ]) {
      group(suite)
    }
  })
}
