import { strict as assert } from 'node:assert'
import type { Shape } from '../../core/engine.ts'
import { ShapeError } from '../../core/errors.ts'
import {
  asAbsent,
  asHeld,
  attempt,
  freshName,
  holders,
  join,
  look,
  place,
  processes,
  queue,
  READ_WRITE,
  SHORT_MS,
  type Suite,
  THREE,
  take,
  untilTaken,
} from './world.ts'

const MUTEX: Shape = { kind: 'mutex', capacity: 1 }
const FOUR: Shape = { kind: 'semaphore', capacity: 4 }
const ELECTION: Shape = { kind: 'election', capacity: 1 }

const PAIRS: readonly (readonly [string, Shape, Shape])[] = [
  ['mutex as a semaphore', MUTEX, THREE],
  ['mutex as a semaphore of one', MUTEX, { kind: 'semaphore', capacity: 1 }],
  ['mutex as an election', MUTEX, ELECTION],
  ['semaphore as a mutex', THREE, MUTEX],
  ['semaphore as one of another capacity', THREE, FOUR],
  ['read-write lock as a mutex', READ_WRITE, MUTEX],
  ['election as a read-write lock', ELECTION, READ_WRITE],
]

/** A name is one lock. */
export function shape({ describe, property }: Suite): void {
  describe('shape', () => {
    for (const [title, found, wanted] of PAIRS) {
      const needs = { kinds: [found.kind, wanted.kind] }
      property(`refuses a ${title}, and changes nothing`, needs, async (world) => {
        const [a, b] = await processes(world, 2)
        const name = freshName()
        const holder = place(name, { shape: found })
        await take(a!, holder)
        const other = place(name, { shape: wanted })
        for (const ask of [attempt, join]) {
          await assert.rejects(ask(b!, other), (error) => {
            assert.ok(error instanceof ShapeError)
            assert.deepEqual([error.wanted, error.found], [wanted, found])
            return true
          })
        }
        asAbsent(await look(b!, other))
        assert.equal(await b!.release(other), false)
        asHeld(await look(a!, holder))
        assert.deepEqual(
          (await holders(a!, name)).map(({ identity }) => identity),
          [holder.identity],
        )
      })

      property(`takes a free ${title}`, needs, async (world) => {
        const [a, b] = await processes(world, 2)
        const name = freshName()
        const [holder, waiter] = [
          place(name, { shape: found, permits: found.capacity }),
          place(name, { shape: found }),
        ]
        await take(a!, holder)
        await queue(a!, waiter)
        await a!.release(holder)
        await a!.release(waiter)
        await take(b!, place(name, { shape: wanted }))
        await assert.rejects(join(a!, holder), ShapeError)
      })
    }

    const needs = { kinds: [MUTEX.kind, THREE.kind] }
    property('takes a name whose lease is over', needs, async (world) => {
      const [a] = await processes(world, 1)
      const name = freshName()
      const holder = place(name, { ttlMs: SHORT_MS / 3 })
      await take(a!, holder)
      await world.advance(SHORT_MS)
      const next = place(name, { shape: THREE })
      await untilTaken(world, a!, next)
      asAbsent(await look(a!, holder))
      assert.equal((await a!.inspect(name))?.kind, 'semaphore')
    })

    for (const [found, wanted] of [
      [MUTEX, THREE],
      [THREE, MUTEX],
    ] as const) {
      const title = `takes a ${found.kind} whose last waiter fell silent as a ${wanted.kind}`
      property(title, needs, async (world) => {
        const [a] = await processes(world, 1)
        const name = freshName()
        const lives = { shape: found, permits: found.capacity, ttlMs: SHORT_MS / 3 }
        await take(a!, place(name, lives))
        await queue(a!, place(name, { ...lives, waitTtlMs: SHORT_MS / 3 }))
        await world.advance(SHORT_MS)
        await untilTaken(world, a!, place(name, { shape: wanted }))
      })
    }

    property('keeps the shape while a released lock stays taken', needs, async (world) => {
      const [a] = await processes(world, 1)
      const name = freshName()
      const holder = place(name, { minHoldMs: 10 * SHORT_MS })
      await take(a!, holder)
      await a!.release(holder)
      await assert.rejects(join(a!, place(name, { shape: THREE })), ShapeError)
    })
  })
}
