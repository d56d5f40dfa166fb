import { strict as assert } from 'node:assert'
import {
  asAbsent,
  asHeld,
  asWaiting,
  attempt,
  type Form,
  freshName,
  holders,
  kept,
  LONG_MS,
  look,
  place,
  placesOf,
  processes,
  queue,
  SHORT_MS,
  type Suite,
  THREE,
  take,
  untilHeld,
  untilTaken,
} from './world.ts'

/** Servers count whole milliseconds: what a moment may be off by. */
const ROUNDING_MS = 2

/** A lease ends when its time is over, not earlier and not never. */
export function expiry(suite: Suite, form: Form): void {
  leases(suite, form)
  shortHolds(suite, form)
  delays(suite, form)
}

function leases({ describe, property }: Suite, form: Form): void {
  const needs = { kinds: [form.shape.kind] } as const
  describe(`expiry: ${form.title}`, () => {
    property(
      'ends a lease that nobody renews, no earlier than its deadline',
      needs,
      async (world) => {
        const [a, b] = await processes(world, 2)
        const make = placesOf(form)
        const holder = make({ ttlMs: SHORT_MS })
        const { deadline } = await take(a!, holder)
        await untilTaken(world, b!, make())
        assert.ok(world.clock.now() >= deadline - ROUNDING_MS)
        asAbsent(await look(a!, holder))
        assert.equal(await a!.release(holder), false)
        asAbsent(await attempt(a!, make()))
      },
    )

    property('keeps a lease that is renewed', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      await kept(world, async (beat) => {
        const make = placesOf(form)
        const holder = make({ ttlMs: SHORT_MS })
        const first = await take(a!, holder)
        const endMs = world.clock.now() + 2 * SHORT_MS
        let last = first.deadline
        await world.settle(async () => {
          const renewed = asHeld(await look(a!, holder))
          beat()
          assert.ok(renewed.deadline >= last - ROUNDING_MS)
          last = renewed.deadline
          return world.clock.now() >= endMs
        })
        assert.ok(last > first.deadline + SHORT_MS)
        asAbsent(await attempt(b!, make()))
      })
    })

    property('is not cut short by a renewal that asks for less', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const holder = make()
      await take(a!, holder)
      asHeld(await look(a!, { ...holder, ttlMs: SHORT_MS / 3 }))
      await world.advance(SHORT_MS)
      asHeld(await look(a!, holder))
      asAbsent(await attempt(b!, make()))
    })

    property('is not renewed once it is over', needs, async (world) => {
      const [a] = await processes(world, 1)
      const holder = placesOf(form)({ ttlMs: SHORT_MS })
      const { deadline } = await take(a!, holder)
      await world.advance(deadline - world.clock.now() + SHORT_MS / 3)
      asAbsent(await look(a!, holder))
      assert.equal(await a!.inspect(holder.name), null)
    })
  })
}

function shortHolds({ describe, property }: Suite, form: Form): void {
  const needs = { kinds: [form.shape.kind] } as const
  describe(`expiry: ${form.title}: minHoldMs`, () => {
    property('keeps a released lock taken, by nobody', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, waiter] = [make({ minHoldMs: SHORT_MS }), make()]
      const sentAt = world.clock.now()
      const { fence } = await take(a!, holder)
      assert.equal(await a!.release(holder), true)
      asAbsent(await attempt(b!, make()))
      asAbsent(await look(a!, holder))
      assert.equal(await a!.release(holder), false)
      assert.deepEqual(await holders(a!, holder.name), [])
      await queue(b!, waiter)
      const next = await untilHeld(world, b!, waiter)
      assert.ok(world.clock.now() >= sentAt + SHORT_MS - ROUNDING_MS)
      assert.ok(next.fence > fence)
    })

    const tells = { ...needs, push: true } as const
    property('lets the first waiter look again by its end', tells, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, waiter] = [make({ minHoldMs: 3 * SHORT_MS }), make()]
      await take(a!, holder)
      const { lookMs } = await queue(b!, waiter)
      // Whoever looks that soon anyway needs not be told.
      if (lookMs <= 3 * SHORT_MS) return
      const news = b!.wait(waiter, new AbortController().signal)
      await a!.release(holder)
      assert.equal(asWaiting(await news).lookMs, 0)
      const again = asWaiting(await look(b!, waiter))
      assert.ok(again.lookMs <= 3 * SHORT_MS + ROUNDING_MS)
    })

    property('outlives a lease that ends', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const sentAt = world.clock.now()
      await take(a!, make({ ttlMs: SHORT_MS / 3, minHoldMs: SHORT_MS }))
      await untilTaken(world, b!, make())
      assert.ok(world.clock.now() >= sentAt + SHORT_MS - ROUNDING_MS)
    })

    property('changes nothing once it is over', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const holder = make({ minHoldMs: SHORT_MS / 3 })
      await take(a!, holder)
      await world.advance(SHORT_MS / 2)
      assert.equal(await a!.release(holder), true)
      asHeld(await attempt(b!, make()))
    })

    property('does not hold back a waiter that leaves', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, waiter] = [make(), make({ minHoldMs: LONG_MS })]
      await take(a!, holder)
      await queue(b!, waiter)
      assert.equal(await b!.release(waiter), true)
      await a!.release(holder)
      asHeld(await attempt(b!, make()))
    })
  })
}

function delays({ describe, property }: Suite, form: Form): void {
  const needs = { kinds: [form.shape.kind] } as const
  describe(`expiry: ${form.title}: lockDelayMs`, () => {
    property('keeps others out for a while after a holder vanished', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [ttlMs, lockDelayMs] = [SHORT_MS / 2, SHORT_MS]
      const [holder, waiter] = [make({ ttlMs, lockDelayMs }), make()]
      const sentAt = world.clock.now()
      const { deadline } = await take(a!, holder)
      assert.ok(deadline <= world.clock.now() + ttlMs)
      await queue(b!, waiter)
      await untilHeld(world, b!, waiter)
      assert.ok(world.clock.now() >= sentAt + ttlMs + lockDelayMs - ROUNDING_MS)
    })

    property('does not bring the holder back', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const holder = make({ ttlMs: SHORT_MS / 2, lockDelayMs: LONG_MS })
      await take(a!, holder)
      await world.advance(SHORT_MS)
      asAbsent(await look(a!, holder))
      assert.equal(await a!.release(holder), false)
      asAbsent(await attempt(a!, holder))
      asAbsent(await attempt(b!, make()))
    })

    property('does not delay after a release', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const holder = make({ lockDelayMs: LONG_MS })
      await take(a!, holder)
      assert.equal(await a!.release(holder), true)
      asHeld(await attempt(b!, make()))
    })
  })
}

/** Each place has its own life. */
export function ownLives({ describe, property }: Suite): void {
  const needs = { kinds: ['semaphore'] } as const
  describe('expiry: semaphore', () => {
    property('ends one lease and leaves the others', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const name = freshName()
      const long = place(name, { shape: THREE })
      const short = place(name, { shape: THREE, permits: 2, ttlMs: SHORT_MS })
      await take(a!, long)
      await take(b!, short)
      const next = place(name, { shape: THREE, permits: 2 })
      await untilTaken(world, b!, next)
      asHeld(await look(a!, long))
      asAbsent(await look(b!, short))
      asHeld(await look(b!, next))
    })

    property('does not prolong one lease by renewing another', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const name = freshName()
      const [silent, renewed] = [1, 1].map(() =>
        place(name, { shape: THREE, permits: 1, ttlMs: SHORT_MS }),
      )
      await take(a!, silent!)
      await take(b!, renewed!)
      const next = place(name, { shape: THREE, permits: 2 })
      await queue(b!, next)
      await world.settle(async () => {
        asHeld(await look(b!, renewed!))
        return (await look(b!, next)).state === 'held'
      })
      asAbsent(await look(a!, silent!))
    })

    property('keeps permits of a short hold and of a vanished holder', needs, async (world) => {
      const [a] = await processes(world, 1)
      const name = freshName()
      const share = (details: object) => place(name, { shape: THREE, ...details })
      const left = share({ minHoldMs: LONG_MS })
      await take(a!, left)
      await take(a!, share({ ttlMs: SHORT_MS / 3, lockDelayMs: LONG_MS }))
      await a!.release(left)
      await world.advance(SHORT_MS / 2)
      asAbsent(await attempt(a!, share({ permits: 2 })))
      asHeld(await attempt(a!, share({ permits: 1 })))
      asWaiting(await queue(a!, share({ permits: 1 })))
    })
  })
}
