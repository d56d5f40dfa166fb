import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import type { World } from 'holdfast/testing'
import type { Kind } from '../../src/core/engine.ts'
import { leaveAll } from './calls.ts'
import { histories } from './commands.ts'
import { Reference } from './reference.ts'
import { System } from './system.ts'

/** An engine, and how much of it to compare. */
export interface ModelOptions {
  /** Name of the engine, for messages. */
  readonly name: string
  readonly start: () => Promise<World>
  /** Kinds of lock in the histories. */
  readonly kinds: readonly Kind[]
  /** How many histories. */
  readonly runs: number
  /** The test file, for the command that repeats a run. */
  readonly file: string
  /**
   * The shorter of the two lives of a place. Histories that take longer than half of it between two
   * pauses are not compared any further, so that a slow machine never fails a test. Default: 300.
   */
  readonly shortMs?: number
}

/** What came of a comparison. */
export interface ModelReport {
  readonly seed: number
  readonly steps: number
  /** Histories that could not be compared to their end because the machine was too slow. */
  readonly blurred: number
}

/**
 * Runs random histories on an engine and on the memory engine's line at once, and compares what
 * every call says. Throws with the shortest history that it can find to tell the two apart.
 */
export async function engineModel(options: ModelOptions): Promise<ModelReport> {
  const { name, start, kinds, runs, file, shortMs = 300 } = options
  const given = process.env['HOLDFAST_SEED']
  const seed = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given)
  assert.ok(Number.isInteger(seed), `HOLDFAST_SEED is no whole number: ${given}`)
  const repeat = `HOLDFAST_SEED=${seed} npx vitest run ${file}`
  process.stdout.write(`model of ${name}: seed ${seed}, repeat with ${repeat}\n`)
  let steps = 0
  let blurred = 0
  const property = fc.asyncProperty(histories(kinds, shortMs), async (commands) => {
    const world = await start()
    try {
      const system = await System.start(world, shortMs)
      const reference = new Reference()
      await fc.asyncModelRun(() => ({ model: reference, real: system }), commands)
      steps += system.steps
      if (system.blurred) blurred++
      await leaveAll(reference, system)
    } catch (error) {
      // What is left then is no finding of its own.
      await world.stop().catch(() => undefined)
      throw error
    }
    await world.stop()
  })
  await fc.assert(property, { seed, numRuns: runs, endOnFailure: false })
  return { seed, steps, blurred }
}
