import { strict as assert } from 'node:assert'
import { getEventListeners } from 'node:events'
import {
  asAbsent,
  asHeld,
  asWaiting,
  attempt,
  type Form,
  join,
  kept,
  LONG_MS,
  listen,
  look,
  outcome,
  placesOf,
  processes,
  queue,
  SHORT_MS,
  type Suite,
  take,
  untilHeld,
} from './world.ts'

/** What is freed goes to the front at once, and the front is told. */
export function handoff(suite: Suite, form: Form): void {
  pushes(suite, form)
  looks(suite, form)
  waits(suite, form)
}

function pushes({ describe, property }: Suite, form: Form): void {
  const needs = { kinds: [form.shape.kind], push: true } as const
  describe(`handoff: ${form.title}`, () => {
    property('tells the next that it was granted', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, waiter] = [make(), make()]
      const before = await take(a!, holder)
      await queue(b!, waiter)
      const news = listen(b!, waiter)
      const releasedAt = world.clock.now()
      await a!.release(holder)
      const held = asHeld(await outcome(world, news))
      assert.ok(held.fence > before.fence)
      assert.ok(held.deadline <= world.clock.now() + waiter.grantTtlMs)
      assert.ok(held.deadline > releasedAt)
      assert.equal(asHeld(await look(b!, waiter)).fence, held.fence)
      asAbsent(await attempt(a!, make()))
    })

    property('tells a waiter of the same process', needs, async (world) => {
      const [a] = await processes(world, 1)
      const make = placesOf(form)
      const [holder, waiter] = [make(), make()]
      await take(a!, holder)
      await queue(a!, waiter)
      const news = listen(a!, waiter)
      await a!.release(holder)
      asHeld(await outcome(world, news))
    })

    property('keeps news for a waiter that asks late', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, waiter] = [make(), make()]
      await take(a!, holder)
      await queue(b!, waiter)
      await a!.release(holder)
      asHeld(await outcome(world, listen(b!, waiter)))
    })

    property('hands on when the front leaves the line', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, front, next] = [make(), make(), make()]
      await take(a!, holder)
      await queue(a!, front)
      await queue(b!, next)
      const news = listen(b!, next)
      assert.equal(await a!.release(front), true)
      assert.equal(asWaiting(await look(b!, next)).ahead, 0)
      await a!.release(holder)
      asHeld(await outcome(world, news))
    })
  })
}

function looks({ describe, property }: Suite, form: Form): void {
  const needs = { kinds: [form.shape.kind], push: true } as const
  describe(`handoff: ${form.title}: looking`, () => {
    property('grants when a look finds the holder expired', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const waiter = make()
      await take(a!, make({ ttlMs: SHORT_MS }))
      await queue(b!, waiter)
      const news = listen(b!, waiter)
      let granted = false
      news.then(() => {
        granted = true
      }, assert.fail)
      await world.settle(async () => {
        await attempt(a!, make())
        return granted
      })
      asHeld(await news)
    })
  })
}

function waits({ describe, property }: Suite, form: Form): void {
  const needs = { kinds: [form.shape.kind] } as const
  describe(`handoff: ${form.title}: waiting`, () => {
    property('ends with the reason of its signal', needs, async (world) => {
      const [a] = await processes(world, 1)
      const make = placesOf(form)
      const waiter = make()
      await take(a!, make())
      await queue(a!, waiter)
      const reason = new Error('enough')
      await assert.rejects(a!.wait(waiter, AbortSignal.abort(reason)), reason)
      const controller = new AbortController()
      const news = a!.wait(waiter, controller.signal)
      controller.abort(reason)
      await assert.rejects(outcome(world, news), reason)
      assert.equal(asWaiting(await look(a!, waiter)).ahead, 0)
    })

    property('leaves no listener on its signal', { ...needs, push: true }, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, waiter] = [make(), make()]
      await take(a!, holder)
      await queue(b!, waiter)
      const { signal } = new AbortController()
      const news = b!.wait(waiter, signal)
      await a!.release(holder)
      await outcome(world, news)
      assert.equal(getEventListeners(signal, 'abort').length, 0)
    })

    property('says nothing twice', { ...needs, push: true }, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, waiter] = [make(), make()]
      await take(a!, holder)
      await queue(b!, waiter)
      await a!.release(holder)
      await outcome(world, listen(b!, waiter))
      const controller = new AbortController()
      let told = false
      const again = b!.wait(waiter, controller.signal).then(
        () => {
          told = true
        },
        () => undefined,
      )
      await world.advance(SHORT_MS / 3)
      assert.equal(told, false)
      controller.abort()
      await outcome(world, again)
    })

    property('ends when the engine is closed', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const waiter = make()
      await take(a!, make())
      await queue(b!, waiter)
      const news = listen(b!, waiter)
      await b!.close()
      await assert.rejects(outcome(world, news), { code: 'HOLDFAST_CLOSED' })
      await assert.rejects(join(b!, waiter), { code: 'HOLDFAST_CLOSED' })
      await assert.rejects(look(b!, waiter), { code: 'HOLDFAST_CLOSED' })
      await assert.rejects(b!.release(waiter), { code: 'HOLDFAST_CLOSED' })
      await assert.rejects(b!.wait(waiter, new AbortController().signal), {
        code: 'HOLDFAST_CLOSED',
      })
      await assert.rejects(b!.inspect(waiter.name), { code: 'HOLDFAST_CLOSED' })
      await assert.rejects(b!.list({ prefix: '', limit: 1 }), { code: 'HOLDFAST_CLOSED' })
    })
  })
}

/** Whoever is gone holds nobody up for longer than its place lasts. */
export function vanished(suite: Suite, form: Form): void {
  silent(suite, form)
  pushedLeases(suite, form)
}

function silent({ describe, property }: Suite, form: Form): void {
  const needs = { kinds: [form.shape.kind] } as const
  const ordered = { ...needs, fifo: true } as const
  describe(`handoff: ${form.title}: whoever vanishes`, () => {
    property('lets a waiter in that looks when it is told to', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const waiter = make()
      await take(a!, make({ ttlMs: SHORT_MS }))
      let standing = await join(b!, waiter)
      for (let looks = 0; standing.state === 'waiting' && looks < 20; looks++) {
        assert.ok(standing.lookMs >= 0 && standing.lookMs <= waiter.waitTtlMs)
        await world.advance(Math.max(1, standing.lookMs))
        standing = await look(b!, waiter)
      }
      asHeld(standing)
    })

    property('passes over a front whose process is gone', ordered, async (world) => {
      const [a, b, c] = await processes(world, 3)
      const make = placesOf(form)
      const [holder, dead, next] = [make(), make({ grantTtlMs: SHORT_MS }), make()]
      await take(a!, holder)
      await queue(b!, dead)
      await queue(c!, next)
      await b!.close()
      await a!.release(holder)
      await untilHeld(world, c!, next)
    })

    property('passes over a front that has been silent too long', ordered, async (world) => {
      const [a, b, c] = await processes(world, 3)
      const make = placesOf(form)
      const [holder, silent, next] = [make(), make({ waitTtlMs: SHORT_MS }), make()]
      await take(a!, holder)
      await queue(b!, silent)
      await queue(c!, next)
      await world.settle(async () => asWaiting(await look(c!, next)).ahead === 0)
      asAbsent(await look(b!, silent))
      await a!.release(holder)
      await untilHeld(world, c!, next)
    })

    property('keeps a waiter that renews its place', ordered, async (world) => {
      const [a, b] = await processes(world, 2)
      await kept(world, async (beat) => {
        const make = placesOf(form)
        const waiter = make({ waitTtlMs: SHORT_MS })
        await take(a!, make())
        beat()
        await queue(b!, waiter)
        const endMs = world.clock.now() + 2 * SHORT_MS
        await world.settle(async () => {
          asWaiting(await look(b!, waiter))
          beat()
          return world.clock.now() >= endMs
        })
      })
    })
  })
}

function pushedLeases({ describe, property }: Suite, form: Form): void {
  const needs = { kinds: [form.shape.kind], fifo: true } as const
  describe(`handoff: ${form.title}: pushed leases`, () => {
    property('ends a pushed lease that nobody renews', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, dead, next] = [make(), make({ grantTtlMs: SHORT_MS }), make()]
      await take(a!, holder)
      await queue(b!, dead)
      await queue(b!, next)
      await a!.release(holder)
      await untilHeld(world, b!, next)
      asAbsent(await look(b!, dead))
    })

    property('gives a pushed lease its full life when it is renewed', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      await kept(world, async (beat) => {
        const make = placesOf(form)
        const [holder, waiter] = [make(), make({ grantTtlMs: SHORT_MS })]
        await take(a!, holder)
        await queue(b!, waiter)
        beat()
        await a!.release(holder)
        const sentAt = world.clock.now()
        assert.ok(asHeld(await look(b!, waiter)).deadline > sentAt + LONG_MS / 2)
        await world.advance(SHORT_MS * 1.2)
        asHeld(await look(b!, waiter))
      })
    })
  })
}
