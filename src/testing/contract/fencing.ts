import { strict as assert } from 'node:assert'
import {
  asHeld,
  type Form,
  freshName,
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

/** Each grant's fence is larger than every earlier one. */
export function fencing({ describe, property }: Suite, form: Form): void {
  const needs = { kinds: [form.shape.kind], fence: true } as const
  describe(`fencing: ${form.title}`, () => {
    property('grows with every grant, in any process', needs, async (world) => {
      const engines = await processes(world, 3)
      const make = placesOf(form)
      const fences = []
      for (let round = 0; round < 12; round++) {
        const engine = engines[round % 3]!
        const holder = make()
        fences.push((await take(engine, holder)).fence)
        await engine.release(holder)
      }
      assertGrows(fences)
    })

    property('grows when a lease ended by itself', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const before = await take(a!, make({ ttlMs: SHORT_MS / 3 }))
      const after = await untilTaken(world, b!, make())
      assertGrows([before.fence, after.fence])
    })

    property('grows from one waiter to the next', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const line = [make(), make(), make(), make()]
      const fences = [(await take(a!, line[0]!)).fence]
      for (const waiter of line.slice(1)) await queue(b!, waiter)
      for (const [index, waiter] of line.slice(1).entries()) {
        await a!.release(line[index]!)
        fences.push((await untilHeld(world, b!, waiter)).fence)
      }
      assertGrows(fences)
    })

    property('stays the same as long as a lease lasts', needs, async (world) => {
      const [a] = await processes(world, 1)
      const holder = placesOf(form)()
      const { fence } = await take(a!, holder)
      await world.advance(5)
      assert.equal(asHeld(await look(a!, holder)).fence, fence)
      assert.equal((await take(a!, holder)).fence, fence)
    })
  })
}

/** Holders at the same time have fences of their own. */
export function sharedFences({ describe, property }: Suite): void {
  const needs = { kinds: ['semaphore'], fence: true } as const
  describe('fencing: semaphore', () => {
    property('gives every holder a fence of its own', needs, async (world) => {
      const [a] = await processes(world, 1)
      const name = freshName()
      const first = [1, 1, 1].map((permits) => place(name, { shape: THREE, permits }))
      const fences = []
      for (const each of first) fences.push((await take(a!, each)).fence)
      const next = [1, 1].map((permits) => place(name, { shape: THREE, permits }))
      for (const each of next) await queue(a!, each)
      for (const each of first) await a!.release(each)
      for (const each of next) fences.push((await untilHeld(world, a!, each)).fence)
      assertGrows(fences)
    })

    property('grows when the name becomes another lock', needs, async (world) => {
      const [a] = await processes(world, 1)
      const name = freshName()
      const one = place(name, { shape: THREE })
      const other = place(name, { shape: { kind: 'semaphore', capacity: 5 } })
      const before = await take(a!, one)
      await a!.release(one)
      assertGrows([before.fence, (await take(a!, other)).fence])
    })
  })
}

function assertGrows(fences: readonly number[]): void {
  for (const [index, fence] of fences.entries()) {
    assert.ok(Number.isSafeInteger(fence), `fence ${fence} is no safe integer`)
    const before = fences[index - 1] ?? 0
    assert.ok(fence > before, `fence ${fence} came after ${before}`)
  }
}

/** What an engine made of engines needs: a holder can raise the fence, and nobody else. */
export function raising({ describe, property }: Suite, form: Form): void {
  const needs = { kinds: [form.shape.kind], fence: true } as const
  describe(`fencing: ${form.title}: raising`, () => {
    property('raises the fence of whoever holds, and of whoever comes', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, waiter] = [make(), make()]
      const { fence } = await take(a!, holder)
      await queue(b!, waiter)
      const raised = fence + 5_000_000_000
      assert.equal(asHeld(await look(a!, { ...holder, fence: raised })).fence, raised)
      assert.equal(asHeld(await look(a!, { ...holder, fence: raised })).fence, raised)
      assert.equal(asHeld(await look(a!, holder)).fence, raised)
      assert.equal((await take(a!, holder)).fence, raised)
      assert.equal((await a!.inspect(holder.name))?.holders[0]?.fence, raised)
      await a!.release(holder)
      const next = await untilHeld(world, b!, waiter)
      assert.ok(next.fence > raised)
      await b!.release(waiter)
      assert.ok((await take(a!, make())).fence > next.fence)
    })

    property('never lowers it', needs, async (world) => {
      const [a] = await processes(world, 1)
      const make = placesOf(form)
      const holder = make()
      const { fence } = await take(a!, holder)
      assert.equal(asHeld(await look(a!, { ...holder, fence: 1 })).fence, fence)
      await a!.release(holder)
      assert.ok((await take(a!, make())).fence > fence)
    })

    property('does nothing for whoever does not hold', needs, async (world) => {
      const [a, b] = await processes(world, 2)
      const make = placesOf(form)
      const [holder, waiter, stranger] = [make(), make(), make()]
      const { fence } = await take(a!, holder)
      const raised = fence + 5_000_000_000
      await queue(b!, waiter)
      assert.equal((await look(b!, { ...waiter, fence: raised })).state, 'waiting')
      assert.equal((await look(b!, { ...stranger, fence: raised })).state, 'absent')
      assert.equal(asHeld(await look(a!, holder)).fence, fence)
      await b!.release(waiter)
      await a!.release(holder)
      assert.equal((await look(a!, { ...holder, fence: raised })).state, 'absent')
      const next = await take(b!, make())
      assert.ok(next.fence > fence && next.fence < raised)
    })
  })
}
