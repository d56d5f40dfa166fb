import { strict as assert } from 'node:assert'
import { ALL } from '../../core/engine.ts'
import {
  asAbsent,
  asHeld,
  attempt,
  type Form,
  freshName,
  holders,
  look,
  place,
  placesOf,
  processes,
  queue,
  READ_WRITE,
  type Suite,
  THREE,
  take,
} from './world.ts'

/** No two at once, and nobody but the holder ends it. */
export function exclusion({ describe, property }: Suite, form: Form): void {
  const needs = { kinds: [form.shape.kind] }
  describe(`exclusion: ${form.title}`, () => {
    property('grants a free lock at once', needs, async (world) => {
      const [engine] = await processes(world, 1)
      const first = placesOf(form)()
      const sentAt = world.clock.now()
      const held = asHeld(await attempt(engine!, first))
      assert.ok(held.deadline > sentAt)
      assert.ok(held.deadline <= world.clock.now() + first.ttlMs)
      assert.ok(Number.isSafeInteger(held.fence) && held.fence > 0)
    })

    property('keeps everybody else out, in any process', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const holder = make()
      await take(a!, holder)
      for (const engine of [a!, b!]) {
        const { occupant } = asAbsent(await attempt(engine, make()))
        if (occupant !== undefined) assert.equal(occupant.identity, holder.identity)
      }
      asHeld(await look(a!, holder))
    })

    property('lets one of many rivals in', needs, async (world) => {
      const engines = await processes(world, 4)
      const make = placesOf(form)
      for (let round = 0; round < 3; round++) {
        const rivals = Array.from({ length: 20 }, () => make())
        const standings = await Promise.all(
          rivals.map((rival, index) => attempt(engines[index % 4]!, rival)),
        )
        const winners = rivals.filter((_, index) => standings[index]?.state === 'held')
        assert.equal(winners.length, 1)
        assert.equal(await engines[0]!.release(winners[0]!), true)
      }
    })

    property('is free again after a release', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const first = make()
      await take(a!, first)
      assert.equal(await a!.release(first), true)
      asHeld(await attempt(b!, make()))
      asAbsent(await look(a!, first))
    })

    property('cannot be released or renewed by a stranger', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, stranger] = [make(), make()]
      await take(a!, holder)
      assert.equal(await b!.release(stranger), false)
      asAbsent(await look(b!, stranger))
      asHeld(await look(a!, holder))
    })

    property('is not taken by a renewal', needs, async (world) => {
      const [a] = await processes(world, 1)
      const make = placesOf(form)
      const stranger = make()
      asAbsent(await look(a!, stranger))
      assert.equal(await a!.release(stranger), false)
      asHeld(await attempt(a!, make()))
    })
  })
}

/** As many permits as there are, and no more. */
export function capacity({ describe, property }: Suite): void {
  const needs = { kinds: ['semaphore'] } as const
  describe('exclusion: semaphore', () => {
    property('lets as many of many rivals in as there are permits', needs, async (world) => {
      const engines = await processes(world, 4)
      const name = freshName()
      const standings = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          attempt(engines[index % 4]!, place(name, { shape: THREE })),
        ),
      )
      assert.equal(standings.filter((standing) => standing.state === 'held').length, 3)
    })

    property('counts the permits of each place', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const name = freshName()
      const two = place(name, { shape: THREE, permits: 2 })
      await take(a!, two)
      asAbsent(await attempt(b!, place(name, { shape: THREE, permits: 2 })))
      await take(b!, place(name, { shape: THREE, permits: 1 }))
      asAbsent(await attempt(b!, place(name, { shape: THREE, permits: 1 })))
      await a!.release(two)
      asAbsent(await attempt(b!, place(name, { shape: THREE, permits: 3 })))
      asHeld(await attempt(b!, place(name, { shape: THREE, permits: 2 })))
    })

    property('gives each place its own lease', needs, async (world) => {
      const [a] = await processes(world, 1)
      const name = freshName()
      const all = [1, 1, 1].map((permits) => place(name, { shape: THREE, permits }))
      for (const each of all) await take(a!, each)
      assert.equal(await a!.release(all[1]!), true)
      asHeld(await look(a!, all[0]!))
      asAbsent(await look(a!, all[1]!))
      asHeld(await look(a!, all[2]!))
      assert.equal((await holders(a!, name)).length, 2)
    })
  })
}

/** Many readers or one writer. */
export function readersAndWriters({ describe, property }: Suite): void {
  const needs = { kinds: ['read-write'] } as const
  const reader = (name: string) => place(name, { shape: READ_WRITE, permits: 1 })
  const writer = (name: string) => place(name, { shape: READ_WRITE, permits: ALL })
  describe('exclusion: read-write lock', () => {
    property('lets readers in together and keeps the writer out', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const name = freshName()
      const readers = Array.from({ length: 10 }, () => reader(name))
      for (const [index, each] of readers.entries()) await take(index % 2 === 0 ? a! : b!, each)
      asAbsent(await attempt(b!, writer(name)))
      for (const each of readers) assert.equal(await a!.release(each), true)
      asHeld(await attempt(b!, writer(name)))
    })

    property('keeps readers out while a writer holds', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const name = freshName()
      const first = writer(name)
      await take(a!, first)
      asAbsent(await attempt(b!, reader(name)))
      await queue(b!, reader(name))
      await a!.release(first)
      asAbsent(await attempt(a!, writer(name)))
    })
  })
}
