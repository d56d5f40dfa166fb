import { strict as assert } from 'node:assert'
import {
  asAbsent,
  asHeld,
  asWaiting,
  attempt,
  type Form,
  freshName,
  holders,
  LONG_MS,
  listen,
  look,
  outcome,
  place,
  placesOf,
  processes,
  queue,
  SHORT_MS,
  type Suite,
  THREE,
  take,
} from './world.ts'

const FORCE = { force: true } as const

/** A forced release leaves nothing of a hold. */
export function force(suite: Suite, form: Form): void {
  breaking(suite, form)
  remains(suite, form)
}

function breaking({ describe, property }: Suite, form: Form): void {
  const needs = { kinds: [form.shape.kind] } as const
  describe(`force: ${form.title}`, () => {
    property('ends the hold of another process, whatever it asked for', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const holder = make({ minHoldMs: LONG_MS, lockDelayMs: LONG_MS })
      const { fence } = await take(a!, holder)
      const { identity, permits } = holder
      assert.equal(await b!.release(make({ identity, permits }), FORCE), true)
      asAbsent(await look(a!, holder))
      assert.equal(await a!.release(holder), false)
      const next = asHeld(await attempt(b!, make()))
      assert.ok(next.fence > fence || !b!.guarantees.fence)
    })

    property('grants the next waiter in the same step', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, waiter] = [make({ minHoldMs: LONG_MS }), make()]
      const before = await take(a!, holder)
      await queue(b!, waiter)
      assert.equal(await a!.release(holder, FORCE), true)
      const { fence } = asHeld(await look(b!, waiter))
      assert.ok(fence > before.fence || !a!.guarantees.fence)
    })

    property('tells the next waiter', { ...needs, push: true }, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, waiter] = [make({ minHoldMs: LONG_MS }), make()]
      await take(a!, holder)
      await queue(b!, waiter)
      const news = listen(b!, waiter)
      await a!.release(holder, FORCE)
      asHeld(await outcome(world, news))
    })

    property('finds nothing the second time, and never the successor', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, next] = [make({ minHoldMs: LONG_MS }), make()]
      await take(a!, holder)
      assert.equal(await a!.release(holder, FORCE), true)
      await take(b!, next)
      assert.equal(await a!.release(holder, FORCE), false)
      assert.equal(await a!.release(make({ identity: '' }), FORCE), false)
      asHeld(await look(b!, next))
    })

    property('takes a waiter out of the line', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, waiter] = [make(), make()]
      await take(a!, holder)
      await queue(b!, waiter)
      assert.equal(await a!.release(waiter, FORCE), true)
      asAbsent(await look(b!, waiter))
      asHeld(await look(a!, holder))
    })
  })
}

function remains({ describe, property }: Suite, form: Form): void {
  const needs = { kinds: [form.shape.kind] } as const
  describe(`force: ${form.title}: what stays taken by nobody`, () => {
    property('ends a minimum hold after the release', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, waiter] = [make({ minHoldMs: LONG_MS }), make()]
      await take(a!, holder)
      await a!.release(holder)
      await queue(b!, waiter)
      assert.equal(await b!.release(holder), false)
      asWaiting(await look(b!, waiter))
      assert.equal(await b!.release(holder, FORCE), true)
      asHeld(await look(b!, waiter))
      assert.equal(await b!.release(holder, FORCE), false)
    })

    property('ends a lock delay after the holder vanished', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const holder = make({ ttlMs: SHORT_MS / 3, lockDelayMs: LONG_MS })
      await take(a!, holder)
      await world.advance(SHORT_MS)
      asAbsent(await attempt(b!, make()))
      assert.equal(await b!.release(holder, FORCE), true)
      asHeld(await attempt(b!, make()))
    })

    property('ends it by the empty identity that is shown', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      for (const details of [
        { minHoldMs: LONG_MS },
        { ttlMs: SHORT_MS / 3, lockDelayMs: LONG_MS },
      ]) {
        const [holder, waiter] = [make(details), make()]
        await take(a!, holder)
        if ('minHoldMs' in details) await a!.release(holder)
        else await world.advance(SHORT_MS)
        await queue(b!, waiter)
        assert.equal(await b!.release(make({ identity: '' })), false)
        assert.equal(await b!.release(make({ identity: '' }), FORCE), true)
        asHeld(await look(b!, waiter))
        await b!.release(waiter)
      }
    })

    property('leaves it to others who were there before', needs, async (world) => {
      const [a] = await processes(world, 1)
      const make = placesOf(form)
      const holder = make({ minHoldMs: LONG_MS })
      await take(a!, holder)
      await a!.release(holder)
      assert.equal(await a!.release(make(), FORCE), false)
      asAbsent(await attempt(a!, make()))
    })
  })
}

/** One of several holders is broken, and the others stay. */
export function forcedShares({ describe, property }: Suite): void {
  const needs = { kinds: ['semaphore'] } as const
  describe('force: semaphore', () => {
    property('breaks one of several holders and leaves the others', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const name = freshName()
      const share = (permits: number) => place(name, { shape: THREE, permits, minHoldMs: LONG_MS })
      const [one, two] = [share(1), share(2)]
      await take(a!, one)
      await take(a!, two)
      assert.equal(await b!.release(two, FORCE), true)
      asHeld(await look(a!, one))
      assert.deepEqual(
        (await holders(b!, name)).map(({ identity }) => identity),
        [one.identity],
      )
      asAbsent(await attempt(b!, share(3)))
      asHeld(await attempt(b!, share(2)))
    })

    property('ends all that stays taken by nobody, and no hold', needs, async (world) => {
      const [a] = await processes(world, 1)
      const name = freshName()
      const share = () => place(name, { shape: THREE, minHoldMs: LONG_MS })
      const [one, two, three] = [share(), share(), share()]
      for (const each of [one, two, three]) await take(a!, each)
      await a!.release(one)
      await a!.release(two)
      asAbsent(await attempt(a!, share()))
      assert.equal(await a!.release({ ...three, identity: '' }, FORCE), true)
      asHeld(await look(a!, three))
      asHeld(await attempt(a!, place(name, { shape: THREE, permits: 2 })))
    })
  })
}
