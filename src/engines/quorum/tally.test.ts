import { describe, expect, it } from 'vitest'
import {
  decideGrant,
  decideRaise,
  decideRenewal,
  majorityDeadline,
  majorityOf,
  majorityValue,
} from './tally.ts'

describe('a majority', () => {
  it('is of all nodes, whether they answer or not', () => {
    expect([3, 5, 7, 9].map(majorityOf)).toEqual([2, 3, 4, 5])
    expect(majorityValue(['a', 'b', 'a'], 3)).toBe('a')
    expect(majorityValue(['a', 'a'], 5)).toBeUndefined()
  })

  it('keeps others out until the last node that it cannot do without lets go', () => {
    expect(majorityDeadline([100, 300, 200], 3)).toBe(200)
    expect(majorityDeadline([100, 300], 3)).toBe(100)
    expect(majorityDeadline([100, 300, 200], 5)).toBe(100)
    expect(majorityDeadline([300], 3)).toBe(Number.NEGATIVE_INFINITY)
  })
})

describe('a grant', () => {
  it('is reported when a majority holds exactly one fence, whatever others hold', () => {
    expect(decideGrant([7, 7, 'open'])).toEqual({ step: 'report', fence: 7 })
    expect(decideGrant([7, 9, 7])).toEqual({ step: 'report', fence: 7 })
  })

  it('is raised to the largest where they differ', () => {
    expect(decideGrant([7, 9, 'open'])).toEqual({ step: 'raise', fence: 9 })
    expect(decideGrant([7, 'no', 9, 'open', 7])).toEqual({ step: 'raise', fence: 9 })
  })

  it('is open as long as a majority can still be had', () => {
    expect(decideGrant([7, 'no', 'open'])).toEqual({ step: 'open' })
    expect(decideGrant([7, 'no', 'no'])).toEqual({ step: 'beaten' })
    expect(decideGrant(['open', 'no', 'no'])).toEqual({ step: 'beaten' })
  })
})

describe('a raised fence', () => {
  it('is confirmed by a majority that held the lock when it wrote it', () => {
    expect(decideRaise([9, 9, 'no'], 9)).toBe('confirmed')
    expect(decideRaise([9, 7, 'open'], 9)).toBe('open')
    expect(decideRaise([9, 'no', 'no'], 9)).toBe('failed')
  })
})

describe('a renewal', () => {
  it('needs a majority, and is refused only when none can be had any more', () => {
    expect(decideRenewal(['held', 'held', 'open'])).toBe('held')
    expect(decideRenewal(['held', 'absent', 'unknown'])).toBe('unknown')
    expect(decideRenewal(['held', 'absent', 'open'])).toBe('open')
    expect(decideRenewal(['absent', 'absent', 'open'])).toBe('absent')
    expect(decideRenewal(['unknown', 'unknown', 'unknown'])).toBe('unknown')
  })
})
