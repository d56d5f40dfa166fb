import { place } from 'holdfast/testing'
import { afterEach, describe, expect, it } from 'vitest'
import type { Engine, Held, Place } from '../../src/core/engine.ts'
import { type Binding, loadBinding } from '../../src/engines/sqlite/binding.ts'
import { HOT } from '../../src/engines/sqlite/schema.ts'
import { Machine, scratch } from './support.ts'

const engines: Engine[] = []

afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close()
})

/** Counts the answers of the two statements that are a transaction by themselves. */
function counted(): { binding: Binding; taken: number; left: number } {
  const open = loadBinding()
  const counts = { taken: 0, left: 0 }
  const binding: Binding = (path) => {
    const connection = open(path)
    return {
      exec: (sql) => connection.exec(sql),
      close: () => connection.close(),
      prepare(sql) {
        const statement = connection.prepare(sql)
        const key = sql === HOT.quickTake ? 'taken' : sql === HOT.quickLeave ? 'left' : undefined
        if (key === undefined) return statement
        return {
          setReturnArrays: (arrays) => statement.setReturnArrays?.(arrays),
          run: (...values) => statement.run(...values),
          all: (...values) => statement.all(...values),
          get(...values) {
            const row = statement.get(...values)
            if (row !== undefined) counts[key] += 1
            return row
          },
        }
      },
    }
  }
  return Object.assign(counts, { binding })
}

function rig(path: string) {
  const machine = new Machine()
  const counts = counted()
  const one = machine.engine(path, { binding: counts.binding })
  const other = machine.engine(path)
  engines.push(one, other)
  return { machine, counts, one, other }
}

const take = async (engine: Engine, asked: Place): Promise<Held> =>
  (await engine.acquire({ ...asked, wait: false })) as Held

/** Takes and leaves until it was done by one statement each, so that the next may be as well. */
async function calm(engine: Engine, counts: { taken: number; left: number }): Promise<void> {
  for (let tries = 0; tries < 100 && counts.taken * counts.left === 0; tries++) {
    const asked = place('a')
    await take(engine, asked)
    expect(await engine.release(asked)).toBe(true)
  }
  expect(counts.taken * counts.left).toBeGreaterThan(0)
}

describe('a lock that one process takes again and again', () => {
  it('is taken and left by one statement, with fences that rise', async () => {
    using files = scratch()
    const { one, counts } = rig(files.path)
    await calm(one, counts)
    let last = 0
    for (let turn = 0; turn < 100; turn++) {
      const asked = place('a', { ttlMs: 7_000 })
      const held = await take(one, asked)
      expect(held.state).toBe('held')
      expect(held.fence).toBeGreaterThan(last)
      last = held.fence
      expect(await one.release(asked)).toBe(true)
    }
    expect(counts.taken).toBeGreaterThan(10)
    const repeated = place('a', { ttlMs: 7_000 })
    const held = await take(one, repeated)
    expect(await take(one, repeated)).toEqual(held)
    expect(await one.release(repeated)).toBe(true)
    expect(await one.release(repeated)).toBe(false)
  })

  it('is told of everything that others did with it', async () => {
    using files = scratch()
    const { one, other, counts } = rig(files.path)
    await calm(one, counts)
    const [rival, waiter] = [place('a'), place('a')]
    await take(other, rival)
    expect((await take(one, place('a'))).state).toBe('absent')
    await other.release(rival)
    await calm(one, Object.assign(counts, { taken: 0, left: 0 }))
    const holder = place('a')
    await take(one, holder)
    await other.acquire({ ...waiter, wait: true })
    expect(await one.release(holder)).toBe(true)
    const news = await other.wait(waiter, new AbortController().signal)
    expect(news.state).toBe('held')
  })

  it('keeps minHoldMs, lockDelayMs and the end of its lease', async () => {
    using files = scratch()
    const { one, other, counts, machine } = rig(files.path)
    await calm(one, counts)
    const job = place('a', { minHoldMs: 5_000 })
    await take(one, job)
    expect(await one.release(job)).toBe(true)
    expect((await take(other, place('a'))).state).toBe('absent')
    await machine.clock.advance(5_000)
    await calm(one, Object.assign(counts, { taken: 0, left: 0 }))
    const delayed = place('a', { ttlMs: 1_000, lockDelayMs: 2_000 })
    await take(one, delayed)
    await machine.clock.advance(1_000)
    expect(await one.release(delayed)).toBe(false)
    expect((await take(other, place('a'))).state).toBe('absent')
    await machine.clock.advance(2_000)
    expect((await take(other, place('a'))).state).toBe('held')
  })

  it('is one of another kind to whoever asks for that, and ends in a suspend', async () => {
    using files = scratch()
    const { one, other, counts, machine } = rig(files.path)
    await calm(one, counts)
    const asked = place('a', { ttlMs: 10_000 })
    await take(one, asked)
    const shape = { kind: 'election', capacity: 1 } as const
    await expect(take(one, place('a', { shape }))).rejects.toThrow(/mutex/)
    machine.suspendedMs += 11_000
    // The other notices first, and this one has to learn it from the file.
    expect((await take(other, place('b'))).state).toBe('held')
    expect(await one.release(asked)).toBe(false)
  })
})
