import { strict as assert } from 'node:assert'
import type { Engine } from '../../core/engine.ts'
import { EngineError } from '../../core/errors.ts'
import {
  asAbsent,
  asHeld,
  asWaiting,
  attempt,
  type Form,
  freshName,
  holders,
  join,
  look,
  outcome,
  place,
  placesOf,
  processes,
  queue,
  type Suite,
  THREE,
  take,
  type World,
} from './world.ts'

/** Every call may be sent again, because an answer can be lost. */
export function repetition(suite: Suite, form: Form): void {
  repeated(suite, form)
  released(suite, form)
  lost(suite, form)
}

function repeated({ describe, property }: Suite, form: Form): void {
  const needs = { kinds: [form.shape.kind] } as const
  describe(`repetition: ${form.title}`, () => {
    property('finds the lease that an acquire got before', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const holder = make()
      const { fence } = await take(a!, holder)
      assert.equal((await take(a!, holder)).fence, fence)
      assert.equal(asHeld(await attempt(a!, holder)).fence, fence)
      assert.equal((await holders(b!, holder.name)).length, 1)
      assert.equal(await a!.release(holder), true)
      asHeld(await attempt(b!, make()))
    })

    property('finds the place that an acquire got before', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      await take(a!, make())
      const waiter = make()
      const { ticket } = await queue(b!, waiter)
      await queue(b!, make())
      const again = await queue(b!, waiter)
      assert.deepEqual([again.ahead, again.ticket], [0, ticket])
      assert.equal((await a!.inspect(waiter.name))?.waiting, 2)
    })

    property('finds the grant that came meanwhile', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, waiter] = [make(), make()]
      await take(a!, holder)
      await queue(b!, waiter)
      await a!.release(holder)
      const { fence } = asHeld(await look(b!, waiter))
      assert.equal((await take(b!, waiter)).fence, fence)
      assert.equal(asHeld(await look(b!, waiter)).fence, fence)
    })
  })
}

function released({ describe, property }: Suite, form: Form): void {
  const needs = { kinds: [form.shape.kind] } as const
  describe(`repetition: ${form.title}: leaving`, () => {
    property('releases once, and never the successor', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, waiter] = [make(), make()]
      await take(a!, holder)
      await queue(b!, waiter)
      assert.equal(await a!.release(holder), true)
      assert.equal(await a!.release(holder), false)
      asHeld(await look(b!, waiter))
      assert.equal(await b!.release(waiter), true)
      assert.equal(await b!.release(waiter), false)
      asHeld(await attempt(a!, make()))
    })

    property('leaves the line once', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, waiter] = [make(), make()]
      await take(a!, holder)
      await queue(b!, waiter)
      assert.equal(await b!.release(waiter), true)
      assert.equal(await b!.release(waiter), false)
      asAbsent(await look(b!, waiter))
      await a!.release(holder)
      assert.equal(await a!.inspect(holder.name), null)
    })

    property('leaves the line when a waiter would not wait any more', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const waiter = make()
      await take(a!, make())
      await queue(b!, waiter)
      asAbsent(await attempt(b!, waiter))
      assert.equal((await a!.inspect(waiter.name))?.waiting, 0)
    })
  })
}

function lost({ describe, property }: Suite, form: Form): void {
  const needs = { kinds: [form.shape.kind], loseReply: true } as const
  describe(`repetition: ${form.title}: lost answers`, () => {
    property('tells its own waiter all the same', { ...needs, push: true }, async (world) => {
      const [a] = await processes(world, 1)
      const make = placesOf(form)
      const [holder, waiter] = [make(), make()]
      await take(a!, holder)
      await queue(a!, waiter)
      const news = a!.wait(waiter, new AbortController().signal)
      await loseOnce(world, a!, () => a!.release(holder))
      // That it is granted, or that a look is due, which finds it.
      const told = await outcome(world, news)
      assert.ok(told.state === 'held' || (told.state === 'waiting' && told.lookMs === 0))
      asHeld(await look(a!, waiter))
    })

    property('is granted once, and no longer than for its lease', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const holder = make()
      await loseOnce(world, a!, () => attempt(a!, holder))
      const { fence } = asHeld(await attempt(a!, holder))
      const seen = await holders(b!, holder.name)
      assert.deepEqual(
        seen.map((each) => [each.identity, each.fence]),
        [[holder.identity, fence]],
      )
      await loseOnce(world, a!, () => a!.release(holder))
      await a!.release(holder)
      asHeld(await attempt(b!, make()))
    })

    property('stands in the line once', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, waiter] = [make(), make()]
      await take(a!, holder)
      await loseOnce(world, b!, () => join(b!, waiter))
      await queue(b!, waiter)
      await loseOnce(world, b!, () => look(b!, waiter))
      asWaiting(await look(b!, waiter))
      assert.equal((await a!.inspect(waiter.name))?.waiting, 1)
      await loseOnce(world, a!, () => a!.release(holder))
      await a!.release(holder)
      asHeld(await look(b!, waiter))
    })
  })
}

/** Permits are counted once. */
export function repeatedPermits({ describe, property }: Suite): void {
  const needs = { kinds: ['semaphore'] } as const
  describe('repetition: semaphore', () => {
    property('takes its permits once and gives them back once', needs, async (world) => {
      const [a] = await processes(world, 1)
      const name = freshName()
      const [two, one] = [2, 1].map((permits) => place(name, { shape: THREE, permits }))
      for (let round = 0; round < 3; round++) await take(a!, two!)
      await take(a!, one!)
      assert.deepEqual([await a!.release(two!), await a!.release(two!)], [true, false])
      asAbsent(await attempt(a!, place(name, { shape: THREE, permits: 3 })))
      asHeld(await attempt(a!, place(name, { shape: THREE, permits: 2 })))
    })
  })
}

/** Makes a call whose answer is lost, whether the engine repeats it by itself or gives up. */
async function loseOnce(world: World, engine: Engine, call: () => Promise<unknown>): Promise<void> {
  await world.loseReply?.(engine)
  try {
    await call()
  } catch (error) {
    if (!(error instanceof EngineError)) throw error
    assert.equal(error.outcome, 'unknown')
  }
}
