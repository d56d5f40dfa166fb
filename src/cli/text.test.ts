import { describe, expect, it } from 'vitest'
import { table } from './table.ts'
import { displayWidth, duration, fill, fit, jsonLine, visible, wrap } from './text.ts'

describe('duration', () => {
  it.each([
    [0.0004, '0 µs'],
    [0.25, '250 µs'],
    [1.25, '1.3 ms'],
    [9.96, '10 ms'],
    [999.4, '999 ms'],
    [1000, '1 s'],
    [9940, '9.9 s'],
    [59_400, '59 s'],
    [60_000, '1 min'],
    [61_000, '1 min 1 s'],
    [3_600_000, '1 h'],
    [5_400_000, '1 h 30 min'],
    [90_000_000, '1 d 1 h'],
    [Number.POSITIVE_INFINITY, 'no end'],
  ])('of %d ms is %s', (ms, text) => {
    expect(duration(ms)).toBe(text)
  })
})

describe('text for a terminal', () => {
  it('shows what could forge a line', () => {
    expect(visible('a\u001b[31m\n\t\0b\u202e')).toBe('a\\u{1b}[31m\\n\\t\\0b\\u{202e}')
    expect(visible('ünï 锁 🔒')).toBe('ünï 锁 🔒')
  })

  it('is measured in columns', () => {
    expect(displayWidth('abc')).toBe(3)
    expect(displayWidth('锁🔒e\u0301')).toBe(5)
    expect(fit('abcdef', 4)).toBe('abc…')
    expect(fit('锁锁锁', 4)).toBe('锁…')
    expect(fit('abc', 3)).toBe('abc')
  })

  it('breaks at blanks', () => {
    expect(wrap('one two three', 7)).toEqual(['one two', 'three'])
    expect(wrap('alongword', 3)).toEqual(['alongword'])
  })

  it('breaks longer words too where nothing may stand out', () => {
    expect(fill('one two three', 7)).toEqual(['one two', 'three'])
    expect(fill('a abcdefghij b', 4)).toEqual(['a', 'abcd', 'efgh', 'ij b'])
    expect(fill('锁锁锁 a', 5)).toEqual(['锁锁', '锁 a'])
    expect(fill('', 4)).toEqual([''])
  })
})

describe('table', () => {
  const shape = [
    { title: 'NAME', least: 4 },
    { title: 'EMPTY' },
    { title: 'MORE', spare: 1 },
    { title: 'N', right: true },
  ]
  const rows = [
    ['a long name', '', 'more', '1'],
    ['锁', '', 'x', '22'],
  ]
  const at = (width: number): string[] => table(shape, rows, { width, title: (text) => text })

  it('aligns, and leaves out what is empty', () => {
    expect(at(80)).toEqual([
      'NAME         MORE   N',
      'a long name  more   1',
      '锁           x     22',
    ])
  })

  it('narrows what gives way first, then drops what is spare', () => {
    expect(at(16)).toEqual(['NAME    MORE   N', 'a lon…  more   1', '锁      x     22'])
    expect(at(9)).toEqual(['NAME    N', 'a lo…   1', '锁     22'])
  })

  it('goes over the edge rather than lose what matters', () => {
    expect(at(2)).toEqual(['NAME   N', 'a l…   1', '锁    22'])
  })
})

describe('JSON for a terminal', () => {
  it('has no raw control characters and means the same', () => {
    const value = { name: 'a\u009b31m\u202e\u{e0001}\u001b[0m\u007fé锁' }
    const line = jsonLine(value)
    expect(line).toBe('{"name":"a\\u009b31m\\u202e\\udb40\\udc01\\u001b[0m\\u007fé锁"}')
    expect(JSON.parse(line)).toEqual(value)
  })
})
