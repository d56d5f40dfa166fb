import { describe, expect, it } from 'vitest'
import { type DemoEvent, Journal } from './journal.ts'

function record(journal: Journal, process: string, atMs: number, what: object): void {
  journal.record({ process, pid: 1, atMs, ...what } as DemoEvent)
}

const phases = (journal: Journal): string[] => journal.rows.map(({ phase }) => phase)

describe('Journal', () => {
  it('follows everybody from the start to the end', () => {
    const journal = new Journal(['P1', 'P2'])
    expect(phases(journal)).toEqual(['starts', 'starts'])
    record(journal, 'P1', 1, { type: 'tries' })
    record(journal, 'P2', 2, { type: 'tries' })
    expect(phases(journal)).toEqual(['tries', 'tries'])
    record(journal, 'P2', 3, { type: 'acquires', value: 'v2', fence: 5 })
    record(journal, 'P1', 4, { type: 'waits', ahead: 0, holder: 'v2' })
    record(journal, 'P2', 5, { type: 'executes', share: 0.5 })
    expect(phases(journal)).toEqual(['waits', 'holds'])
    record(journal, 'P2', 6, { type: 'completes' })
    record(journal, 'P2', 7, { type: 'releases' })
    record(journal, 'P2', 8, { type: 'released', confirmed: true })
    expect(phases(journal)).toEqual(['waits', 'done'])
    expect(journal.intervals).toEqual([
      { process: 'P2', fence: 5, fromMs: 3, toMs: 7, ending: 'released' },
    ])
    expect(journal).toMatchObject({ granted: 1, refused: 0, completed: 1, failed: 0, killed: 0 })
  })

  it('moves up who stands behind the one that got the lock', () => {
    const journal = new Journal(['P1', 'P2', 'P3'])
    for (const [name, ahead] of [
      ['P1', 2],
      ['P2', 0],
      ['P3', 1],
    ] as const) {
      record(journal, name, 1, { type: 'waits', ahead, holder: undefined })
    }
    record(journal, 'P2', 2, { type: 'acquires', value: 'v', fence: 1 })
    expect(journal.rows.map(({ ahead }) => ahead)).toEqual([1, 0, 0])
  })

  it('names a holder as long as it holds', () => {
    const journal = new Journal(['P1', 'P2'])
    const waits = { process: 'P2', pid: 1, atMs: 2, type: 'waits', ahead: 0, holder: 'v1' } as const
    expect(journal.withHolderName(waits)).toMatchObject({ holder: undefined })
    journal.learn('P1', 'v1')
    expect(journal.withHolderName(waits)).toMatchObject({ holder: 'P1' })
    record(journal, 'P1', 1, { type: 'acquires', value: 'v1', fence: 1 })
    expect(journal.withHolderName(waits)).toMatchObject({ holder: 'P1' })
    record(journal, 'P1', 2, { type: 'releases' })
    expect(journal.withHolderName(waits)).toMatchObject({ holder: undefined })
    const tries = { process: 'P2', pid: 1, atMs: 2, type: 'tries' } as const
    expect(journal.withHolderName(tries)).toBe(tries)
  })

  it.each([
    [{ type: 'killed', signal: 'SIGKILL', planned: true }, 'dead', 'killed', 0],
    [{ type: 'killed', signal: 'SIGKILL', planned: false }, 'dead', 'killed', 1],
    [{ type: 'loses', message: 'gone' }, 'failed', 'lost', 1],
  ])('ends the interval at %j', (what, phase, ending, failed) => {
    const journal = new Journal(['P1'])
    record(journal, 'P1', 1, { type: 'acquires', value: 'v', fence: 9 })
    record(journal, 'P1', 4, what)
    record(journal, 'P1', 6, { type: 'releases' })
    expect(phases(journal)).toEqual([phase])
    expect(journal.intervals).toEqual([{ process: 'P1', fence: 9, fromMs: 1, toMs: 4, ending }])
    expect(journal.failed).toBe(failed)
  })

  it('counts who was refused, what failed and which writes were', () => {
    const journal = new Journal(['P1', 'P2'])
    record(journal, 'P1', 1, { type: 'refused', holder: undefined })
    record(journal, 'P2', 1, { type: 'fails', message: 'broken' })
    record(journal, 'P2', 1, { type: 'writes', fence: 1, accepted: false, largest: 2, late: true })
    record(journal, 'P2', 1, { type: 'writes', fence: 3, accepted: true, largest: 2, late: false })
    record(journal, 'P2', 1, { type: 'succeeds', dead: 'P1', afterMs: 1 })
    record(journal, 'P9', 1, { type: 'tries' })
    expect(journal).toMatchObject({ refused: 1, failed: 1, staleWritesRefused: 1, granted: 0 })
    expect(phases(journal)).toEqual(['refused', 'failed'])
  })
})
