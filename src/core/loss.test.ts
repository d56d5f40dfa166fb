import { createHoldfast, type Engine, EngineError } from 'holdfast'
import { memory } from 'holdfast/memory'
import { expect, it } from 'vitest'
import { watch } from '../../test/support/rig.ts'
import { SimulatedClock, seededRandom } from '../testing/simulated-clock.ts'

/** A memory engine that forgets, and says so. */
function forgetful(clock: SimulatedClock) {
  const listeners = new Set<(cause: EngineError) => void>()
  let engine = memory({ clock })
  const facade: Engine = {
    name: 'forgetful',
    guarantees: engine.guarantees,
    acquire: (claim) => engine.acquire(claim),
    wait: (place, signal) => engine.wait(place, signal),
    renew: (places) => engine.renew(places),
    release: (place, options) => engine.release(place, options),
    inspect: (name) => engine.inspect(name),
    list: (query) => engine.list(query),
    close: () => engine.close(),
    onLoss: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  const forget = () => {
    engine = memory({ clock })
    const cause = new EngineError({
      engine: 'forgetful',
      operation: 'look',
      outcome: 'none',
      transient: false,
      problem: 'all was forgotten',
    })
    for (const listener of listeners) listener(cause)
    return cause
  }
  return { facade, forget, listeners }
}

it('tells every lease at once when its engine lost what it granted, and no waiter', async () => {
  const clock = new SimulatedClock()
  const { facade, forget, listeners } = forgetful(clock)
  const holdfast = createHoldfast({ engine: facade, clock, random: seededRandom(1) })
  const lease = await holdfast.mutex('m').acquire()
  const still = await holdfast.mutex('still', { renew: false }).acquire()
  const both = await holdfast.all([holdfast.mutex('a'), holdfast.mutex('b')]).acquire()
  const waiter = watch(holdfast.mutex('m').acquire())
  await clock.advance(1)
  const cause = forget()
  for (const { signal, held } of [lease, still, both]) {
    expect(held).toBe(false)
    expect(signal.reason).toMatchObject({ code: 'HOLDFAST_LEASE_LOST', reason: 'refused', cause })
    expect(String(signal.reason)).toContain('look failed on forgetful: all was forgotten)')
  }
  await clock.advance(10_000)
  expect(waiter.value?.held).toBe(true)
  expect(waiter.value?.fence).toBeGreaterThan(0)
  const closing = holdfast.close()
  await clock.advance(1)
  await closing
  expect(listeners.size).toBe(0)
})
