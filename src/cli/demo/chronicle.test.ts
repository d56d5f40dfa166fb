import { describe, expect, it } from 'vitest'
import { Chronicle } from './chronicle.ts'

describe('Chronicle', () => {
  it('keeps what is new, and puts it into the order in which it happened', () => {
    const chronicle = new Chronicle<{ atMs: number; name: string }>(40)
    chronicle.add({ atMs: 5, name: 'second' }, 10)
    chronicle.add({ atMs: 3, name: 'first' }, 30)
    chronicle.add({ atMs: 20, name: 'third' }, 32)
    expect(chronicle.take(49)).toEqual([])
    expect(chronicle.take(50).map(({ name }) => name)).toEqual(['first', 'second'])
    expect(chronicle.take(50)).toEqual([])
    expect(chronicle.take(Number.POSITIVE_INFINITY).map(({ name }) => name)).toEqual(['third'])
  })

  it('keeps the order of arrival for one moment', () => {
    const chronicle = new Chronicle<{ atMs: number; name: string }>(0)
    for (const name of ['a', 'b', 'c']) chronicle.add({ atMs: 1, name }, 1)
    expect(chronicle.take(1).map(({ name }) => name)).toEqual(['a', 'b', 'c'])
  })
})
