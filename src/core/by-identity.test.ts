import { describe, expect, it } from 'vitest'
import { ByIdentity, type Kept } from './by-identity.ts'

interface Note extends Kept<Note> {
  readonly identity: string
}

const note = (identity: string): Note => ({ identity, nextInBucket: undefined })

/** As evenly spread as random ones. */
const identity = (index: number): string =>
  Math.imul(index, 0x9e3779b1).toString(16).replace('-', 'f').padStart(32, '0')

describe('what is kept by identity', () => {
  it('is found until it is deleted, however many share a bucket', () => {
    const kept = new ByIdentity<Note>()
    const notes = Array.from({ length: 5000 }, (_, index) => note(identity(index)))
    for (const each of notes) kept.add(each)
    const [gone, left] = [notes.slice(0, 2500), notes.slice(2500)]
    // From the middle of buckets as well as from their ends.
    for (const { identity } of gone) kept.delete(identity)
    expect(gone.filter(({ identity }) => kept.get(identity))).toEqual([])
    expect(left.filter((each) => kept.get(each.identity) !== each)).toEqual([])
    expect(new Set(kept.toArray())).toEqual(new Set(left))
    expect(kept.size).toBe(2500)
    kept.clear()
    expect(kept.size).toBe(0)
    expect(kept.toArray()).toEqual([])
    expect(kept.get(left[0]?.identity ?? '')).toBeUndefined()
  })

  it('may have a short name, and is deleted once', () => {
    const kept = new ByIdentity<Note>()
    for (const identity of ['', 'a', 'bc']) kept.add(note(identity))
    kept.delete('a')
    kept.delete('a')
    expect(kept.get('a')).toBeUndefined()
    expect(kept.get('')?.identity).toBe('')
    expect(kept.get('bc')?.identity).toBe('bc')
  })
})
