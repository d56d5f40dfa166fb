import { strict as assert } from 'node:assert'
import { ALL, type Engine, type Place } from '../../core/engine.ts'
import {
  asAbsent,
  asHeld,
  asWaiting,
  attempt,
  type Form,
  freshName,
  join,
  LONG_MS,
  listen,
  look,
  outcome,
  place,
  placesOf,
  processes,
  queue,
  READ_WRITE,
  SHORT_MS,
  type Suite,
  THREE,
  take,
  untilHeld,
} from './world.ts'

/** First come, first served. */
export function order(suite: Suite, form: Form): void {
  arrivals(suite, form)
  tickets(suite, form)
}

function arrivals({ describe, property }: Suite, form: Form): void {
  const needs = { kinds: [form.shape.kind], fifo: true } as const
  describe(`order: ${form.title}`, () => {
    property('grants in the order of arrival', needs, async (world) => {
      const engines = await processes(world, 3)
      const make = placesOf(form)
      const line = Array.from({ length: 6 }, (_, index) => ({
        engine: engines[index % 3]!,
        place: make(),
      }))
      for (const [index, each] of line.entries()) {
        const standing = await join(each.engine, each.place)
        assert.equal(standing.state, index === 0 ? 'held' : 'waiting')
      }
      for (const [index, { engine, place }] of line.entries()) {
        await untilHeld(world, engine, place)
        for (const later of line.slice(index + 1)) asWaiting(await look(later.engine, later.place))
        assert.equal(await engine.release(place), true)
      }
    })

    property('says how many stand in front', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      await take(a!, make())
      const waiters = [make(), make(), make()]
      const seen = []
      for (const waiter of waiters) seen.push(await queue(b!, waiter))
      assert.deepEqual(
        seen.map(({ ahead }) => ahead),
        [0, 1, 2],
      )
      assert.equal(new Set(seen.map(({ ticket }) => ticket)).size, 3)
      assert.equal(await b!.release(waiters[0]!), true)
      assert.equal(asWaiting(await look(b!, waiters[2]!)).ahead, 1)
    })

    property('lets nobody past who would not wait', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, waiter] = [make(), make()]
      await take(a!, holder)
      await queue(a!, waiter)
      await a!.release(holder)
      asAbsent(await attempt(b!, make()))
      await untilHeld(world, a!, waiter)
    })
  })
}

function tickets({ describe, property }: Suite, form: Form): void {
  const needs = { kinds: [form.shape.kind], fifo: true } as const
  describe(`order: ${form.title}: tickets`, () => {
    property('brings a lost place back by its ticket', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, first, third] = [make(), make(), make()]
      let second = make({ waitTtlMs: SHORT_MS / 3 })
      await take(a!, holder)
      await queue(b!, first)
      const { ticket } = await queue(b!, second)
      await queue(b!, third)
      await world.settle(async () => (await a!.inspect(holder.name))?.waiting === 2)
      second = { ...second, waitTtlMs: LONG_MS }
      const back = asWaiting(await b!.acquire({ ...second, wait: true, ticket }))
      assert.deepEqual([back.ahead, back.ticket], [1, ticket])
      assert.equal(asWaiting(await look(b!, third)).ahead, 2)
      // Newcomers stand behind, and a place that is there keeps its ticket whatever it brings.
      assert.equal((await queue(a!, make())).ahead, 3)
      assert.equal(asWaiting(await b!.acquire({ ...third, wait: true, ticket: 1 })).ahead, 2)
      await a!.release(holder)
      await untilHeld(world, b!, first)
      await b!.release(first)
      await untilHeld(world, b!, second)
    })
  })
}

/** The first place that does not fit blocks everybody behind it. */
export function weights({ describe, property }: Suite): void {
  const needs = { kinds: ['semaphore'], fifo: true } as const
  const share = (name: string, permits: number) => place(name, { shape: THREE, permits })
  describe('order: semaphore', () => {
    property('holds back a small place behind a large one', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const name = freshName()
      const [holder, large, small] = [share(name, 2), share(name, 2), share(name, 1)]
      await take(a!, holder)
      await queue(b!, large)
      assert.equal((await queue(b!, small)).ahead, 1)
      asAbsent(await attempt(a!, share(name, 1)))
      await a!.release(holder)
      await untilHeld(world, b!, large)
      await untilHeld(world, b!, small)
    })

    property('lets the next in when a large place leaves the line', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const name = freshName()
      const [holder, large, small] = [share(name, 2), share(name, 2), share(name, 1)]
      await take(a!, holder)
      await queue(b!, large)
      await queue(b!, small)
      assert.equal(await b!.release(large), true)
      await untilHeld(world, b!, small)
      asHeld(await look(a!, holder))
    })

    property(
      'tells the next when a large place stops waiting',
      { ...needs, push: true },
      async (world) => {
        const [a, b] = await processes(world, 2)
        const name = freshName()
        const [large, small] = [share(name, 2), share(name, 1)]
        await take(a!, share(name, 2))
        await queue(b!, large)
        await queue(b!, small)
        const news = listen(b!, small)
        asAbsent(await attempt(b!, large))
        asHeld(await outcome(world, news))
      },
    )

    property('grants as many as fit in one release', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const name = freshName()
      const holder = share(name, 3)
      await take(a!, holder)
      const waiters = [share(name, 1), share(name, 1), share(name, 2), share(name, 1)]
      for (const waiter of waiters) await queue(b!, waiter)
      await a!.release(holder)
      await statesAre(b!, waiters, ['held', 'held', 'waiting', 'waiting'])
      await b!.release(waiters[0]!)
      await statesAre(b!, waiters.slice(1), ['held', 'held', 'waiting'])
    })
  })
}

/** Neither readers nor writers starve. */
export function fairReaders({ describe, property }: Suite): void {
  const needs = { kinds: ['read-write'], fifo: true } as const
  const reader = (name: string) => place(name, { shape: READ_WRITE, permits: 1 })
  const writer = (name: string) => place(name, { shape: READ_WRITE, permits: ALL })
  describe('order: read-write lock', () => {
    property('keeps new readers behind a writer that waits', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const name = freshName()
      const [first, second, late] = [reader(name), reader(name), reader(name)]
      const waiting = writer(name)
      await take(a!, first)
      await take(a!, second)
      await queue(b!, waiting)
      assert.equal((await queue(a!, late)).ahead, 1)
      await a!.release(first)
      asWaiting(await look(b!, waiting))
      await a!.release(second)
      await untilHeld(world, b!, waiting)
      asWaiting(await look(a!, late))
      await b!.release(waiting)
      await untilHeld(world, a!, late)
    })

    property('lets readers in up to the next writer', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const name = freshName()
      const holder = writer(name)
      await take(a!, holder)
      const line = [reader(name), reader(name), writer(name), reader(name)]
      for (const each of line) await queue(b!, each)
      await a!.release(holder)
      await statesAre(b!, line, ['held', 'held', 'waiting', 'waiting'])
    })
  })
}

async function statesAre(
  engine: Engine,
  places: readonly Place[],
  states: readonly string[],
): Promise<void> {
  const standings = await engine.renew(places)
  assert.deepEqual(
    standings.map((standing) => standing.state),
    states,
  )
}
