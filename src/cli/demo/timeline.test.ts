import { describe, expect, it } from 'vitest'
import { type DemoEvent, Journal } from './journal.ts'
import { ascii, plainPaint } from './paint.ts'
import { timeline } from './timeline.ts'

const look = (width: number) => ({ width, glyphs: ascii, paint: plainPaint })

/** Rows of processes that did this, in order. */
function rowsOf(names: string[], ...events: [string, number, object][]): Journal['rows'] {
  const journal = new Journal(names)
  for (const [process, atMs, what] of events) {
    journal.record({ process, pid: 1, atMs, ...what } as DemoEvent)
  }
  return journal.rows
}

const tries = { type: 'tries' }
const releases = { type: 'releases' }
const acquires = { type: 'acquires', value: 'v', fence: 1 }

describe('timeline', () => {
  it('shows who held the lock when, in the order of their turns', () => {
    const rows = rowsOf(
      ['P1', 'P2'],
      ['P1', 0, tries],
      ['P2', 0, tries],
      ['P2', 0, acquires],
      ['P2', 500, releases],
      ['P1', 500, acquires],
      ['P1', 1000, releases],
    )
    expect(timeline(rows, look(62))).toEqual([
      '  P2  ####################                      0 to 500 ms',
      '  P1  ....................####################  500 to 1000 ms',
      '      +-------+-------+-------+-------+-------',
      '      0       200     400     600     800 ms',
    ])
  })

  it('shows a death, and how long the dead one still kept the lock', () => {
    const rows = rowsOf(
      ['P1', 'P2'],
      ['P1', 0, tries],
      ['P1', 0, acquires],
      ['P2', 0, tries],
      ['P1', 200, { type: 'killed', signal: 'SIGKILL', planned: true }],
      ['P2', 600, acquires],
      ['P2', 1000, releases],
    )
    expect(timeline(rows, look(46)).slice(0, 2)).toEqual([
      '  P1  #######x----------------',
      '  P2  ........................################',
    ])
  })

  it('marks who gave up', () => {
    const rows = rowsOf(
      ['P1', 'P2', 'P3'],
      ['P1', 0, tries],
      ['P1', 0, acquires],
      ['P2', 100, tries],
      ['P2', 300, { type: 'refused', holder: undefined }],
      ['P1', 1000, releases],
    )
    expect(timeline(rows, look(46)).slice(0, 3)).toEqual([
      '  P1  ########################################',
      '  P2      ........x',
      '  P3                                         x',
    ])
  })

  it('shows a hold that is too short to be drawn', () => {
    const rows = rowsOf(
      ['P1', 'P2'],
      ['P1', 0, tries],
      ['P1', 0, acquires],
      ['P1', 1, releases],
      ['P2', 2, acquires],
      ['P2', 10_000, releases],
    )
    expect(timeline(rows, look(40))[0]).toBe('  P1  #')
  })

  it('never exceeds the width, whatever that is', () => {
    const names = Array.from({ length: 50 }, (_, index) => `P${index + 1}`)
    const rows = rowsOf(
      names,
      ...names.flatMap((name, index): [string, number, object][] => [
        [name, 0, tries],
        [name, index * 1234.5, acquires],
        [name, (index + 1) * 1234.5, releases],
      ]),
    )
    for (let width = 24; width < 200; width++) {
      const longest = Math.max(...timeline(rows, look(width)).map((line) => line.length))
      expect(longest).toBeLessThanOrEqual(width)
    }
  })

  it('never shows two holders in one column, where each has one', () => {
    const names = Array.from({ length: 7 }, (_, index) => `P${index + 1}`)
    const rows = rowsOf(
      names,
      ...names.flatMap((name, index): [string, number, object][] => [
        [name, index * 33.3, acquires],
        [name, (index + 1) * 33.3 - 0.1, releases],
      ]),
    )
    for (const width of [24, 37, 59, 80, 121]) {
      const drawn = timeline(rows, look(width)).slice(0, 7)
      for (let column = 6; column < width; column++) {
        const holders = drawn.filter((line) => line[column] === '#').length
        expect(holders).toBeLessThanOrEqual(1)
      }
    }
  })
})
