import { strict as assert } from 'node:assert'
import type { Engine, Place, Shape } from '../../core/engine.ts'
import {
  asHeld,
  attempt,
  type Form,
  freshName,
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
} from './world.ts'

/** What an operator sees and does. */
export function inspection(suite: Suite, form: Form): void {
  looks(suite, form)
  operators(suite, form)
}

function looks({ describe, property }: Suite, form: Form): void {
  const needs = { kinds: [form.shape.kind] } as const
  describe(`inspection: ${form.title}`, () => {
    property('shows nothing where nobody is', needs, async (world) => {
      const [a] = await processes(world, 1)
      const holder = placesOf(form)()
      assert.equal(await a!.inspect(holder.name), null)
      await take(a!, holder)
      await a!.release(holder)
      assert.equal(await a!.inspect(holder.name), null)
    })

    property('shows who holds, since when and for how long', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const about = JSON.stringify({ host: 'left "one"', pid: 7 })
      const holder = placesOf(form)({ about })
      const { fence } = await take(a!, holder)
      await world.advance(20)
      const state = await b!.inspect(holder.name)
      assert.ok(state !== null)
      assert.deepEqual(
        [state.name, state.kind, state.capacity, state.waiting],
        [holder.name, form.shape.kind, form.shape.capacity, 0],
      )
      assert.deepEqual(state.waiters, [])
      assert.equal(state.holders.length, 1)
      const { ttlMs, heldMs, ...seen } = state.holders[0]!
      const { identity } = holder
      assert.deepEqual(seen, { identity, ours: true, about, permits: form.permits, fence })
      assert.ok(ttlMs > 0 && ttlMs <= LONG_MS)
      assert.ok(heldMs === 0 || (heldMs >= 10 && heldMs < LONG_MS))
    })

    property('shows who waits, in order', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      await take(a!, make())
      const waiters = ['first', 'second', 'third'].map((about) => make({ about }))
      for (const waiter of waiters) await queue(b!, waiter)
      const state = await a!.inspect(waiters[0]!.name)
      assert.deepEqual(
        state?.waiters,
        waiters.map(({ identity, permits, about }) => ({ identity, permits, about })),
      )
      assert.equal(state?.waiting, 3)
      for (const waiter of waiters) assert.equal(await a!.release(waiter), true)
      assert.deepEqual((await a!.inspect(waiters[0]!.name))?.waiters, [])
    })
  })
}

function operators({ describe, property }: Suite, form: Form): void {
  const needs = { kinds: [form.shape.kind] } as const
  describe(`inspection: ${form.title}: operators`, () => {
    property('counts more waiters than it shows', needs, async (world) => {
      const [a] = await processes(world, 1)
      const make = placesOf(form)
      const holder = make()
      await take(a!, holder)
      const waiters = Array.from({ length: 120 }, () => make())
      await Promise.all(waiters.map((waiter) => queue(a!, waiter)))
      const state = await a!.inspect(holder.name)
      assert.deepEqual([state?.waiters.length, state?.waiting], [100, 120])
    })

    property('releases whoever it shows', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, waiter] = [make({ minHoldMs: LONG_MS }), make()]
      await take(a!, holder)
      await queue(a!, waiter)
      const state = await b!.inspect(holder.name)
      const { identity, permits } = state!.holders[0]!
      assert.equal(await b!.release(make({ identity, permits })), true)
      asHeld(await look(a!, waiter))
    })
  })
}

/** Names of locks that are held. */
export function listing({ describe, property }: Suite): void {
  describe('inspection: list', () => {
    property('lists what is held, by prefix', {}, async (world) => {
      const [a, b] = await processes(world, 2)
      const prefix = freshName()
      const held = [`${prefix}:a`, `${prefix}:b`, `${prefix}*`]
      for (const name of held) await take(a!, place(name))
      const gone = [place(`${prefix}:c`), place(`${prefix}:d`, { ttlMs: SHORT_MS / 3 })]
      for (const each of gone) await take(a!, each)
      await take(a!, place(`other ${prefix}`))
      await a!.release(gone[0]!)
      await world.advance(SHORT_MS / 2)
      assert.deepEqual(await all(b!, prefix), held.sort())
      assert.deepEqual(await all(b!, `${prefix}:`), [`${prefix}:a`, `${prefix}:b`])
      assert.deepEqual(await all(b!, `${prefix}*`), [`${prefix}*`])
      assert.deepEqual(await all(b!, `${prefix}?`), [])
    })

    property('lists page by page', {}, async (world) => {
      const [a] = await processes(world, 1)
      const prefix = freshName()
      const names = Array.from({ length: 25 }, (_, index) => `${prefix}:${index}`)
      await Promise.all(names.map((name) => take(a!, place(name))))
      assert.deepEqual(await all(a!, prefix, 4), names.sort())
    })

    property('lists what stays held while others come and go', {}, async (world) => {
      const [a] = await processes(world, 1)
      const prefix = freshName()
      const stay = Array.from({ length: 8 }, (_, index) => `${prefix}:stays:${index}`)
      const leave = Array.from({ length: 8 }, (_, index) => place(`${prefix}:leaves:${index}`))
      for (const [index, each] of leave.entries()) {
        await take(a!, each)
        await take(a!, place(stay[index]!))
      }
      const seen = await all(a!, prefix, 3, async () => {
        const next = leave.shift()
        if (next !== undefined) await a!.release(next)
      })
      for (const name of stay) assert.ok(seen.includes(name), `${name} is missing`)
    })

    property('takes any name', {}, async (world) => {
      const [a] = await processes(world, 1)
      const prefix = freshName()
      for (const odd of ODD_NAMES) {
        const make = () => place(`${prefix}${odd}`)
        const holder = make()
        await take(a!, holder)
        assert.equal((await attempt(a!, make())).state, 'absent')
        assert.equal((await a!.inspect(holder.name))?.name, holder.name)
        assert.deepEqual(await all(a!, holder.name), [holder.name])
        assert.equal(await a!.release(holder), true)
      }
    })
  })
}

/** Places of one semaphore, told apart. */
export function shares({ describe, property }: Suite): void {
  const needs = { kinds: ['semaphore'] } as const
  describe('inspection: semaphore', () => {
    property('shows every holder with its permits', needs, async (world) => {
      const [a] = await processes(world, 1)
      const name = freshName()
      const places = [1, 2].map((permits) =>
        place(name, { shape: THREE, permits, about: `takes ${permits}` }),
      )
      for (const each of places) await take(a!, each)
      const state = await a!.inspect(name)
      const shown = ({ identity, permits, about }: Pick<Place, 'identity' | 'permits' | 'about'>) =>
        `${identity} ${permits} ${about}`
      assert.deepEqual(state?.holders.map(shown).sort(), places.map(shown).sort())
      assert.equal(state?.capacity, 3)
    })

    property('shows every holder, however many', needs, async (world) => {
      const [a] = await processes(world, 1)
      const shape: Shape = { kind: 'semaphore', capacity: 1_000 }
      const name = freshName()
      const places = Array.from({ length: 230 }, () => place(name, { shape }))
      await Promise.all(places.map((each) => take(a!, each)))
      const shown = (await a!.inspect(name))?.holders.map(({ identity }) => identity)
      assert.deepEqual(shown?.sort(), places.map(({ identity }) => identity).sort())
    })
  })
}

const ODD_NAMES = [
  ' ',
  '{}',
  '{a}{b}',
  '}{',
  '\0',
  'a\r\nb',
  '%*?[x]\\',
  '"\'`$1',
  'größe 鍵 🔒',
  'x'.repeat(1000),
]

async function all(
  engine: Engine,
  prefix: string,
  limit = 100,
  between: () => Promise<void> = async () => undefined,
): Promise<string[]> {
  const names = new Set<string>()
  let cursor: string | undefined
  for (let pages = 0; pages < 10_000; pages++) {
    const page = await engine.list({ prefix, limit, ...(cursor === undefined ? {} : { cursor }) })
    for (const name of page.names) names.add(name)
    cursor = page.cursor
    if (cursor === undefined) return [...names].sort()
    await between()
  }
  throw new Error('the list has no end')
}
