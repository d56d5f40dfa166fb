import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type MutexTurn, notLinearizable } from './history.ts'
import { type Evidence, judge, type Strike } from './judge.ts'
import type { Journal, Turn } from './records.ts'

/** A turn that went well, from one moment to another, on a lock of one permit. */
function turn(name: string, from: number, to: number, more: Partial<Turn> = {}): Turn {
  return {
    turn: name,
    process: name,
    lock: 'm',
    permits: 1,
    capacity: 1,
    askedAt: from - 5,
    grantedAt: from,
    enteredAt: from,
    fence: from,
    heldUntil: to,
    exitedAt: to,
    releasedAt: to + 1,
    refusals: [],
    ...more,
  }
}

function evidence(turns: readonly Turn[], more: Partial<Evidence> = {}): Evidence {
  const journals = turns.map((each): Journal => {
    const { process } = each
    return { process, turns: [each], unhandled: [], lags: [], failures: [] }
  })
  return {
    journals,
    ends: new Map(turns.map(({ process }) => [process, 'closed'])),
    strikes: [],
    resource: { accepted: 0, refused: 0, lost: 0, shared: 0 },
    leftovers: [],
    ttlMs: 100,
    recoveryMs: 150,
    mayOverlap: false,
    ...more,
  }
}

const strike = (from: number, until: number): Strike => ({ kind: 'x', from, until, locks: ['m'] })

function verdict(turns: readonly Turn[], more: Partial<Evidence> = {}) {
  return judge(evidence(turns, more))
}

describe('the judge', () => {
  it('finds nothing where turns follow each other', () => {
    const good = [turn('a', 10, 20), turn('b', 20, 30), turn('c', 41, 50, { askedAt: 25 })]
    const { figures, violations } = verdict(good, { strikes: [strike(30, 31)] })
    expect(violations).toEqual([])
    expect(figures).toMatchObject({ turns: 3, overlaps: 0, recoveryMs: [10], stuckMs: 11 })
  })

  it('catches two leases that stand at once', () => {
    const { figures, violations } = verdict([turn('a', 10, 30), turn('b', 20, 40)])
    expect(figures).toMatchObject({ overlaps: 1, longestOverlapMs: 10, notLinearizable: 1 })
    expect(violations.join()).toMatch(/b \(fence 20\) came in at 20.0, while the lease of a/)
  })

  it('adds up the shares of a semaphore', () => {
    const share = { capacity: 3 }
    const two = [turn('a', 10, 30, share), turn('b', 12, 30, { ...share, permits: 2 })]
    expect(verdict(two).violations).toEqual([])
    const three = [...two, turn('c', 20, 25, share)]
    expect(verdict(three).figures.overlaps).toBe(1)
  })

  it('tells who had been told and who slept from who believed to hold', () => {
    const asleep = turn('a', 10, 15, { exitedAt: 60, toldAt: 55 })
    const told = turn('a', 10, 15, { exitedAt: 60, toldAt: 16 })
    const next = turn('b', 20, 30)
    const figures = { overlaps: 0, overlapsAsleep: 1, overlapsTold: 0 }
    expect(verdict([asleep, next]).figures).toMatchObject(figures)
    expect(verdict([told, next]).figures).toMatchObject({ overlapsAsleep: 0, overlapsTold: 1 })
    expect(verdict([asleep, next]).violations).toEqual([])
  })

  it('lets leases overlap where that is said, but not for longer than a lease', () => {
    const brief = [turn('a', 10, 100), turn('b', 20, 40)]
    expect(verdict(brief, { mayOverlap: true }).violations).toEqual([])
    const long = [turn('a', 10, 300), turn('b', 20, 290)]
    expect(verdict(long, { mayOverlap: true }).violations.join()).toMatch(/not told for 270 ms/)
    // A machine that stood still meanwhile excuses it, at another time it does not.
    const at = (moment: number) =>
      evidence(long).journals.map((each) => ({ ...each, lags: [{ at: moment, ms: 180 }] }))
    const told = (moment: number) =>
      verdict(long, { mayOverlap: true, journals: at(moment) }).violations
    expect(told(250)).toEqual([])
    expect(told(900).join()).toMatch(/not told for 270 ms/)
  })

  it('catches a fence that falls or stays', () => {
    for (const fence of [9, 10]) {
      const turns = [turn('a', 10, 20), turn('b', 30, 40, { fence })]
      for (const mayOverlap of [false, true]) {
        expect(verdict(turns, { mayOverlap }).violations.join()).toMatch(/after a 10/)
      }
    }
    const resource = { accepted: 9, refused: 0, lost: 1, shared: 1 }
    expect(verdict([], { resource }).violations).toHaveLength(2)
    const refusals = [{ at: 30, held: true, late: false }]
    expect(verdict([turn('a', 10, 20, { refusals })]).violations.join()).toMatch(/refused by the/)
  })

  it('compares a fence with all before it, a share with all before the last turn alone', () => {
    const fell = [
      turn('a', 10, 20),
      turn('b', 30, 40, { fence: 5 }),
      turn('c', 50, 60, { fence: 7 }),
    ]
    expect(verdict(fell).figures.fenceFalls).toBe(2)
    const all = { capacity: 3, permits: 3 }
    const share = (name: string, from: number, fence: number) =>
      turn(name, from, from + 30, { capacity: 3, fence })
    const [first, last] = [turn('a', 10, 20, all), turn('z', 70, 80, { ...all, fence: 31 })]
    const overtaken = [first, share('b', 30, 30), share('c', 31, 29), last]
    expect(verdict(overtaken).violations).toEqual([])
    const old = [first, share('b', 30, 30), share('c', 31, 9), last]
    expect(verdict(old).violations.join()).toMatch(/c got fence 9 after a 10/)
    const behind = [...overtaken.slice(0, 3), { ...last, fence: 29.5 }]
    expect(verdict(behind).violations.join()).toMatch(/z got fence 29.5 after b 30/)
  })

  it('catches a lost update, and excuses it by a late write', () => {
    const update = (read: number, from: number, held: boolean) => ({
      update: { read, readAt: from - 8, from, to: from + 1, held },
    })
    const a = turn('a', 10, 20, update(0, 18, true))
    const b = turn('b', 30, 40, update(0, 38, true))
    const lost = verdict([a, b])
    expect(lost.figures).toMatchObject({ lostUpdates: 1, lostUpdatesUnexplained: 1 })
    expect(lost.violations.join()).toMatch(/b read 0 after a wrote 1/)
    const late = turn('z', 1, 2, update(-1, 25, false))
    const excused = verdict([a, b, late])
    expect(excused.figures).toMatchObject({ lateWrites: 1, lostUpdatesUnexplained: 0 })
    expect(excused.figures.lostUpdates).toBeGreaterThan(0)
  })

  it('excuses no update by what a process wrote that was dead already', () => {
    const update = (read: number, from: number) => ({
      update: { read, readAt: from - 8, from, to: from + 1, held: true },
    })
    const dead = turn('z', 1, 2, { update: { read: 0, readAt: 1, from: 2 } })
    const turns = [dead, turn('a', 10, 20, update(1, 18)), turn('b', 30, 40, update(1, 38))]
    const ends = new Map([['z', 'killed'] as const])
    const lost = (until: number) =>
      verdict(turns, { ends, strikes: [{ ...strike(2, until), process: 'z' }] })
    expect(lost(4).violations.join()).toMatch(/b read 1 after a wrote 2/)
    expect(lost(35).figures).toMatchObject({ lostUpdates: 1, lostUpdatesUnexplained: 0 })
  })

  it('catches waiters that were not served, releases that hang and signals that are mute', () => {
    const { process, ...asked } = turn('a', 10, 20)
    const waiting: Turn = { ...asked, process, refusals: [] }
    for (const key of ['grantedAt', 'enteredAt', 'exitedAt', 'releasedAt', 'fence'] as const) {
      delete waiting[key]
    }
    expect(verdict([waiting]).violations.join()).toMatch(/1 waiters were never served/)
    expect(verdict([waiting], { ends: new Map([['a', 'killed']]) }).violations).toEqual([])
    const failed = { at: 20, stage: 'acquire', code: 'HOLDFAST_ACQUIRE_TIMEOUT' } as const
    expect(verdict([{ ...waiting, failed }]).violations.join()).toMatch(/never served/)
    const inside = turn('a', 10, 20)
    delete inside.releasedAt
    expect(verdict([inside]).violations.join()).toMatch(/release of a never came back/)
    expect(verdict([turn('a', 10, 20, { unsignalled: true })]).violations.join()).toMatch(/signal/)
  })

  it('catches crashes, hangs, rejections nobody caught and what is left behind', () => {
    const one = [turn('a', 10, 20)]
    expect(verdict(one, { ends: new Map([['a', 'crashed']]) }).violations).toHaveLength(1)
    expect(verdict(one, { ends: new Map([['a', 'hung']]) }).violations).toHaveLength(1)
    expect(verdict(one, { leftovers: ['holdfast:m'] }).violations).toHaveLength(1)
    const journals = [
      { process: 'a', turns: one, unhandled: ['oh'], lags: [], failures: ['acquire X'] },
    ]
    const { figures, violations } = verdict(one, { journals })
    expect(violations).toEqual(['nobody caught oh'])
    expect(figures.failures).toEqual({ 'acquire X': 1 })
  })

  it('catches service that resumes too late, and allows for a machine that stood still', () => {
    const turns = [turn('a', 10, 20), turn('b', 250, 260, { askedAt: 15 })]
    const strikes = [strike(15, 20)]
    expect(verdict(turns, { strikes }).violations.join()).toMatch(/resumed 230 ms after a fault/)
    const [first, second] = evidence(turns).journals
    if (!first || !second) throw new Error('no journals')
    const journals = [{ ...first, lags: [{ at: 100, ms: 50 }] }, second]
    expect(verdict(turns, { strikes, journals }).violations).toEqual([])
    // A process that was struck stands still on purpose.
    const struck = [{ ...strike(15, 20), process: 'a' }]
    expect(verdict(turns, { strikes: struck, journals }).violations).toHaveLength(1)
    // What comes after a second fault is measured from that one.
    const again = [strike(15, 20), strike(100, 200)]
    expect(verdict(turns, { strikes: again }).figures.recoveryMs).toEqual([50])
  })

  it('catches service that never resumes, or only when the next fault strikes', () => {
    const { enteredAt: _, ...asked } = turn('b', 20, 20, { askedAt: 18 })
    const failing = (at: number): Turn => ({
      ...asked,
      failed: { at, stage: 'acquire', code: 'HOLDFAST_ENGINE' },
    })
    const first = turn('a', 10, 14)
    const strikes = [strike(15, 20)]
    expect(verdict([first, failing(300)], { strikes }).violations.join()).toMatch(/resumed 280 ms/)
    // The run may be over before anybody could come.
    const over = verdict([first, failing(100)], { strikes })
    expect(over.violations).toEqual([])
    expect(over.figures.recoveryMs).toEqual([])
    const next = turn('b', 320, 330, { askedAt: 15 })
    const cured = [strike(15, 20), strike(300, 310)]
    expect(verdict([first, next], { strikes: cured }).violations.join()).toMatch(/resumed 280 ms/)
    const soon = [strike(15, 20), strike(160, 310)]
    expect(verdict([first, next], { strikes: soon }).figures.recoveryMs).toEqual([10])
  })

  it('measures from when somebody alive asked, also by a call that failed', () => {
    const strikes = [strike(15, 20)]
    const next = turn('b', 250, 260)
    expect(verdict([turn('a', 10, 20), next], { strikes }).figures.recoveryMs).toEqual([5])
    const { enteredAt: _, ...never } = turn('c', 10, 20, { askedAt: 12 })
    const failed = { at: 200, stage: 'acquire', code: 'HOLDFAST_ENGINE' } as const
    const all = [turn('a', 10, 20), next, { ...never, failed }]
    expect(verdict(all, { strikes }).figures.recoveryMs).toEqual([230])
  })
})

/** Whether some order of the turns, one after the other, respects every call's begin and end. */
function byTrying(turns: readonly MutexTurn[], freeAt = Number.NEGATIVE_INFINITY): boolean {
  if (turns.length === 0) return true
  return turns.some((turn) => {
    // It takes effect when it can, and as early as it can; its release as early as that can.
    const acquired = Math.max(turn.askedAt, freeAt)
    if (acquired > turn.enteredAt) return false
    const rest = turns.filter((other) => other !== turn)
    return byTrying(rest, Math.max(acquired, turn.leftAt))
  })
}

describe('the history of a mutex', () => {
  it('is judged by intervals as it is by trying every order', () => {
    const moments = fc.tuple(fc.nat(12), fc.nat(4), fc.nat(4))
    const turns = fc.array(moments, { maxLength: 6 }).map((all) =>
      all.map(([askedAt, waited, held], index) => ({
        turn: String(index),
        askedAt,
        enteredAt: askedAt + waited,
        leftAt: askedAt + waited + held,
      })),
    )
    let [yes, no] = [0, 0]
    fc.assert(
      fc.property(turns, (history) => {
        const fine = byTrying(history)
        if (fine) yes += 1
        else no += 1
        return (notLinearizable(history) === undefined) === fine
      }),
      { numRuns: 3000 },
    )
    expect(Math.min(yes, no)).toBeGreaterThan(100)
  })
})
