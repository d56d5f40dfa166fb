import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkIntervals } from './check.ts'

const interval = (fromMs: number, toMs: number) => ({ fromMs, toMs })

describe('checkIntervals', () => {
  it('finds nothing where nobody held the lock', () => {
    expect(checkIntervals([])).toEqual({ overlaps: 0, maxConcurrentHolders: 0 })
  })

  it('lets one begin at the moment when another ends', () => {
    const turns = [interval(20, 30), interval(0, 10), interval(10, 20)]
    expect(checkIntervals(turns)).toEqual({ overlaps: 0, maxConcurrentHolders: 1 })
  })

  it('counts pairs that overlap, and how many held it at a time', () => {
    const three = [interval(0, 10), interval(5, 15), interval(9, 12), interval(20, 30)]
    expect(checkIntervals(three)).toEqual({ overlaps: 3, maxConcurrentHolders: 3 })
    const apart = [interval(0, 10), interval(9, 20), interval(19, 30)]
    expect(checkIntervals(apart)).toEqual({ overlaps: 2, maxConcurrentHolders: 2 })
  })

  it('sees one interval within another', () => {
    expect(checkIntervals([interval(0, 100), interval(40, 41)])).toMatchObject({ overlaps: 1 })
  })

  it('agrees with a comparison of all pairs', () => {
    const some = fc
      .tuple(fc.nat(50), fc.integer({ min: 1, max: 20 }))
      .map(([from, length]) => interval(from, from + length))
    fc.assert(
      fc.property(fc.array(some, { maxLength: 12 }), (intervals) => {
        const pairs = intervals.flatMap((one, i) =>
          intervals.slice(i + 1).filter((other) => {
            return one.fromMs < other.toMs && other.fromMs < one.toMs
          }),
        )
        expect(checkIntervals(intervals).overlaps).toBe(pairs.length)
      }),
    )
  })
})
