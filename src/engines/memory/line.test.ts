import { describe, expect, it } from 'vitest'
import { ALL, type Claim, type Shape } from '../../core/engine.ts'
import { Line, type Moment, type Spot } from './line.ts'

const MUTEX: Shape = { kind: 'mutex', capacity: 1 }
const THREE: Shape = { kind: 'semaphore', capacity: 3 }

function claim(identity: string, details: Partial<Claim> = {}): Claim {
  return {
    name: 'lock',
    shape: MUTEX,
    permits: 1,
    identity,
    ttlMs: 100,
    waitTtlMs: 1_000,
    grantTtlMs: 50,
    minHoldMs: 0,
    lockDelayMs: 0,
    about: `about ${identity}`,
    wait: true,
    ...details,
  }
}

function at(nowMs: number, unreachable: readonly string[] = []): Moment {
  return { nowMs, nowMicros: nowMs * 1000, reaches: (identity) => !unreachable.includes(identity) }
}

function news(line: Line): string[] {
  return line.takeNews().map(({ place, grant, stays }) => {
    const what = stays ? 'due' : 'out'
    return `${place.identity} ${grant === null ? what : 'granted'}`
  })
}

const states = (...spots: Spot[]) => spots.map(({ state }) => state).join(' ')

describe('fences', () => {
  it('follow the calendar, and the last fence where that is larger', () => {
    const line = new Line(MUTEX)
    expect(line.acquire(claim('a'), at(7))).toEqual({ state: 'held', fence: 7_000, ttlMs: 100 })
    line.release(claim('a'), at(7))
    expect(line.acquire(claim('b'), at(7))).toMatchObject({ fence: 7_001 })
    line.release(claim('b'), at(8))
    expect(line.acquire(claim('c'), at(3))).toMatchObject({ fence: 7_002 })
  })

  it('go on from the fence that a line is made with', () => {
    expect(new Line(MUTEX, 9_999).acquire(claim('a'), at(1))).toMatchObject({ fence: 10_000 })
  })
})

describe('the time of a place', () => {
  it('is over at the very moment at which its life ends', () => {
    const line = new Line(MUTEX)
    line.acquire(claim('a'), at(0))
    expect(line.acquire(claim('b', { wait: false }), at(99.9)).state).toBe('absent')
    expect(line.acquire(claim('b', { wait: false }), at(100)).state).toBe('held')
    expect(line.renew(claim('a'), at(100)).state).toBe('absent')
  })

  it('counts from the last renewal and is never cut short', () => {
    const line = new Line(MUTEX)
    line.acquire(claim('a'), at(0))
    expect(line.renew(claim('a'), at(60))).toMatchObject({ ttlMs: 100 })
    expect(line.renew(claim('a', { ttlMs: 5 }), at(70))).toMatchObject({ ttlMs: 90 })
    expect(line.renew(claim('a'), at(159)).state).toBe('held')
  })

  it('is short for a pushed grant and long for one that was asked for', () => {
    const line = new Line(MUTEX)
    line.acquire(claim('a'), at(0))
    line.acquire(claim('b'), at(0))
    line.acquire(claim('c'), at(0))
    line.release(claim('a'), at(1))
    expect(line.takeNews()).toMatchObject([{ place: { identity: 'b' }, grant: { ttlMs: 50 } }])
    expect(line.renew(claim('c'), at(51))).toMatchObject({ state: 'held', ttlMs: 100 })
    expect(line.takeNews()).toEqual([])
  })

  it('starts again for a waiter that calls', () => {
    const line = new Line(MUTEX)
    line.acquire(claim('a', { ttlMs: 10_000 }), at(0))
    line.acquire(claim('b'), at(0))
    line.acquire(claim('c'), at(0))
    line.renew(claim('b'), at(900))
    line.look(at(1_000))
    expect(news(line)).toEqual(['c out'])
    line.acquire(claim('b'), at(1_800))
    line.look(at(2_799))
    expect(news(line)).toEqual([])
    line.look(at(2_800))
    expect(news(line)).toEqual(['b out'])
  })
})

describe('the front', () => {
  it('is passed over when a grant would not reach it', () => {
    const line = new Line(MUTEX)
    for (const identity of ['a', 'b', 'c']) line.acquire(claim(identity), at(0))
    line.release(claim('a'), at(1, ['b']))
    expect(news(line)).toEqual(['b out', 'c granted'])
    const ticket = 1
    expect(line.acquire(claim('b', { ticket }), at(2))).toMatchObject({ state: 'waiting', ticket })
  })

  it('is told when permits can be free at the earliest', () => {
    const line = new Line(THREE)
    const share = (identity: string, details: Partial<Claim>) =>
      claim(identity, { shape: THREE, ...details })
    line.acquire(share('a', { ttlMs: 100, lockDelayMs: 30 }), at(0))
    line.acquire(share('b', { ttlMs: 100, minHoldMs: 110 }), at(0))
    line.acquire(share('c', { ttlMs: 500, minHoldMs: 200 }), at(0))
    const look = (identity: string, permits: number) => {
      const spot = line.acquire(share(identity, { permits }), at(10))
      line.release(share(identity, {}), at(10))
      return spot
    }
    expect(look('d', 1)).toMatchObject({ ahead: 0, lookMs: 100 })
    expect(look('e', 2)).toMatchObject({ ahead: 0, lookMs: 120 })
    expect(look('f', 3)).toMatchObject({ ahead: 0, lookMs: 490 })
    line.release(share('c', { minHoldMs: 200 }), at(20))
    expect(look('g', 3)).toMatchObject({ ahead: 0, lookMs: 190 })
    expect(look('h', 4)).toMatchObject({ lookMs: Number.POSITIVE_INFINITY })
  })

  it('hides from those behind it when to look', () => {
    const line = new Line(MUTEX)
    for (const identity of ['a', 'b']) line.acquire(claim(identity), at(0))
    expect(line.acquire(claim('c'), at(0))).toMatchObject({ ahead: 1, lookMs: 1_000 })
  })
})

describe('tickets', () => {
  it('keep their order when they come back equal', () => {
    const line = new Line(MUTEX)
    line.acquire(claim('a', { ttlMs: 10_000 }), at(0))
    const spots = ['b', 'c', 'd'].map((identity) =>
      line.acquire(claim(identity, { ticket: 5 }), at(0)),
    )
    expect(spots).toMatchObject([{ ahead: 0 }, { ahead: 1 }, { ahead: 2 }])
    expect(line.renew(claim('b'), at(1))).toMatchObject({ ahead: 0 })
    expect(line.release(claim('c'), at(1))).toBe(true)
    expect(line.renew(claim('d'), at(1))).toMatchObject({ ahead: 1 })
  })

  it('of newcomers are larger than any that came back', () => {
    const line = new Line(MUTEX)
    line.acquire(claim('a', { ttlMs: 10_000 }), at(0))
    line.acquire(claim('b', { ticket: 1e15 }), at(0))
    expect(line.acquire(claim('c'), at(1))).toMatchObject({ ahead: 1, ticket: 1e15 + 1 })
  })
})

describe('what is left behind', () => {
  it('is shown without an identity', () => {
    const line = new Line(MUTEX)
    line.acquire(claim('a', { minHoldMs: 40 }), at(0))
    line.release(claim('a', { minHoldMs: 40 }), at(10))
    expect(line.inspect('lock', 10)).toMatchObject({
      holders: [{ identity: '', about: 'about a', ttlMs: 30, heldMs: 10, permits: 1 }],
      waiting: 0,
    })
    const occupant = { identity: '', ours: true, about: 'about a' }
    expect(line.acquire(claim('b', { wait: false }), at(10))).toEqual({ state: 'absent', occupant })
    expect([line.empty, line.taken]).toEqual([false, true])
    line.look(at(40))
    expect([line.empty, line.taken]).toEqual([true, false])
    expect(line.inspect('lock', 40)).toBeNull()
  })

  it('ends with the larger of lock delay and short hold', () => {
    const frees = (details: Partial<Claim>) => {
      const line = new Line(MUTEX)
      line.acquire(claim('a', details), at(0))
      for (let nowMs = 0; ; nowMs += 10) {
        if (line.acquire(claim('b', { wait: false }), at(nowMs)).state === 'held') return nowMs
      }
    }
    expect(frees({ lockDelayMs: 70 })).toBe(170)
    expect(frees({ minHoldMs: 150 })).toBe(150)
    expect(frees({ minHoldMs: 150, lockDelayMs: 70 })).toBe(170)
  })

  it('is released by the hold that the release asks for', () => {
    const line = new Line(MUTEX)
    line.acquire(claim('a', { minHoldMs: 5_000 }), at(0))
    line.release(claim('a', { minHoldMs: 0 }), at(1))
    expect(line.empty).toBe(true)
  })
})

describe('isOver', () => {
  it('is true only when a look would leave nobody', () => {
    const line = new Line(MUTEX)
    expect(line.isOver(0)).toBe(true)
    line.acquire(claim('a', { lockDelayMs: 50 }), at(0))
    line.acquire(claim('b', { waitTtlMs: 120 }), at(0))
    expect([99, 100, 130, 149, 150].map((nowMs) => line.isOver(nowMs))).toEqual([
      false,
      false,
      false,
      false,
      true,
    ])
    line.look(at(120))
    expect([149, 150].map((nowMs) => line.isOver(nowMs))).toEqual([false, true])
  })
})

it('takes no notice of places of another shape', () => {
  const line = new Line(MUTEX)
  line.acquire(claim('a'), at(0))
  line.acquire(claim('b'), at(0))
  const stranger = claim('c', { shape: THREE })
  expect(line.renew(stranger, at(100))).toEqual({ state: 'absent' })
  expect(line.release(stranger, at(100), true)).toBe(false)
  expect(news(line)).toEqual([])
  expect(line.renew(claim('b'), at(100)).state).toBe('held')
})

it('grants readers together and a writer alone', () => {
  const shape: Shape = { kind: 'read-write', capacity: ALL }
  const line = new Line(shape)
  const ask = (identity: string, permits: number) =>
    line.acquire(claim(identity, { shape, permits, ttlMs: 10_000 }), at(0))
  const leave = (identity: string) => line.release(claim(identity, { shape }), at(1))
  const first = [ask('r1', 1), ask('r2', 1), ask('w', ALL), ask('r3', 1)]
  expect(states(...first)).toBe('held held waiting waiting')
  leave('r1')
  expect(news(line)).toEqual([])
  leave('r2')
  expect(news(line)).toEqual(['w granted'])
  leave('w')
  expect(news(line)).toEqual(['r3 granted'])
})

it('stays quick with ten thousand waiters', () => {
  const line = new Line(MUTEX)
  const all = Array.from({ length: 10_000 }, (_, index) =>
    claim(String(index), { ttlMs: 1e6, grantTtlMs: 1e6, waitTtlMs: 1e6 }),
  )
  const before = process.cpuUsage()
  for (const each of all) line.acquire(each, at(0))
  for (const each of all) line.renew(each, at(1))
  const released = all.filter((each) => line.release(each, at(2)))
  const tookMs = process.cpuUsage(before).user / 1_000
  expect([released.length, line.empty]).toEqual([10_000, true])
  // A quarter of a second of computing, however busy the machine; a search of the line in each call
  // takes many.
  expect(tookMs).toBeLessThan(3_000)
})
