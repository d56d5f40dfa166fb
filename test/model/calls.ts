import { strict as assert } from 'node:assert'
import { place } from 'holdfast/testing'
import { sleep } from '../../src/core/clock.ts'
import type { Shape } from '../../src/core/engine.ts'
import { EngineError, ShapeError } from '../../src/core/errors.ts'
import { systemClock } from '../../src/system/clock.ts'
import { type Actor, picture, type Reference } from './reference.ts'
import type { System } from './system.ts'

/** How a call is made: once, twice in a row, or again because the first answer was lost. */
export type Manner = 'once' | 'twice' | 'lost'

/** Asks for a lock on both sides, and compares. */
export async function acquire(
  reference: Reference,
  system: System,
  actor: Actor,
  how: { readonly wait: boolean; readonly ticket: boolean; readonly manner: Manner },
): Promise<void> {
  const { wait } = how
  const tickets = how.ticket ? actor.tickets : undefined
  const claim = {
    ...system.placeOf(actor),
    wait,
    ...(tickets === undefined ? {} : { ticket: tickets.real }),
  }
  const [expected, standing] = await inManner(
    system,
    actor,
    how.manner,
    () => reference.acquire(actor, wait, tickets?.reference),
    () => system.engineOf(actor).acquire(claim).catch(asMismatch),
  )
  if ('kind' in expected || 'kind' in standing) {
    if (!system.blurred) assert.deepEqual(standing, expected, 'the shape that was found')
  } else {
    system.compare(actor, expected, standing)
  }
}

/** Renews on both sides, in one call of the process of the first, and compares. */
export async function renew(
  reference: Reference,
  system: System,
  actors: readonly Actor[],
  manner: Manner,
): Promise<void> {
  const first = actors[0] as Actor
  const [expected, standings] = await inManner(
    system,
    first,
    manner,
    () => actors.map((actor) => reference.renew(actor)),
    () => system.engineOf(first).renew(actors.map((actor) => system.placeOf(actor))),
  )
  assert.equal(standings.length, actors.length)
  for (const [index, actor] of actors.entries()) {
    const standing = standings[index]
    const spot = expected[index]
    if (standing === undefined || spot === undefined) continue
    if (standing.state === 'unknown') throw standing.error
    system.compare(actor, spot, standing)
  }
}

/** Leaves on both sides, and compares. */
export async function release(
  reference: Reference,
  system: System,
  actor: Actor,
  how: { readonly manner: Manner; readonly force: boolean },
): Promise<void> {
  const { manner, force } = how
  const [expected, released] = await inManner(
    system,
    actor,
    manner,
    () => reference.release(actor, force),
    () => system.engineOf(actor).release(system.placeOf(actor), { force }),
  )
  if (!system.blurred) assert.equal(released, expected, `actor ${actor.number} was there`)
}

/** Everybody leaves the engine under test, which must leave nothing. */
export async function leaveAll(reference: Reference, system: System): Promise<void> {
  for (const actor of reference.actors) {
    await answered(() => system.engineOf(actor).release(system.placeOf(actor), { force: true }))
  }
  for (const lock of new Set(reference.actors.map((actor) => actor.lock))) {
    const state = await answered(async () => await system.engines[0]?.inspect(system.nameOf(lock)))
    assert.equal(state, null, `lock ${lock} is not empty when all have left`)
  }
}

/** Looks at a lock on both sides, and compares. */
export async function inspect(reference: Reference, system: System, lock: number): Promise<void> {
  const expected = reference.inspect(lock)
  // Engines may inspect without granting what has become free; who leaves from nowhere grants it.
  if (expected !== null) {
    await system.engines[0]?.release(place(system.nameOf(lock), { shape: expected.shape }))
  }
  const state = await system.engines[0]?.inspect(system.nameOf(lock))
  const taken = state?.holders.reduce((sum, { permits }) => sum + permits, 0) ?? 0
  assert.ok(taken <= (state?.capacity ?? 0), `lock ${lock} is held beyond its capacity`)
  if (system.blurred) return
  if (expected === null || !state) {
    // Where only permits of nobody are left, an engine may see nothing.
    const seen = state ? picture(state) : null
    const anybody = [expected, seen].some((each) => each && each.holders.length + each.waiting > 0)
    assert.equal(anybody, false, `lock ${lock} looks different`)
    return
  }
  assert.deepEqual(picture(state), expected, `lock ${lock} looks different`)
}

/** Makes one call on both sides, as often as the manner says, and gives the last answers. */
async function inManner<E, A>(
  system: System,
  actor: Actor,
  manner: Manner,
  expect: () => E,
  call: () => Promise<A>,
): Promise<[E, A]> {
  system.steps++
  if (manner === 'once') return [expect(), await call()]
  expect()
  if (manner === 'lost') await system.loseReply(actor)
  try {
    await call()
  } catch (error) {
    if (!(manner === 'lost' && error instanceof EngineError)) throw error
  }
  return [expect(), await answered(call)]
}

/** Repeats a call over a connection that is being made anew, as core does. */
async function answered<A>(call: () => Promise<A>): Promise<A> {
  for (let tries = 1; ; tries++) {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof EngineError) || !error.transient || tries === 20) throw error
      await sleep(systemClock, 5 * tries)
    }
  }
}

function asMismatch(error: unknown): Shape {
  if (error instanceof ShapeError && error.found !== null) return error.found
  throw error
}
