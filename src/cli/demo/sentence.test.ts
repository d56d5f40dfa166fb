import { describe, expect, it } from 'vitest'
import type { DemoEvent } from './journal.ts'
import { sentence } from './sentence.ts'

type Happening = DemoEvent extends infer E
  ? E extends DemoEvent
    ? Omit<E, 'process' | 'pid' | 'atMs'>
    : never
  : never

function said(what: Happening): string | undefined {
  return sentence({ ...what, process: 'P1', pid: 1, atMs: 0 } as DemoEvent, 9)?.text
}

describe('sentence', () => {
  it.each<[Happening, string | undefined]>([
    [{ type: 'tries' }, 'tries to acquire the lock'],
    [{ type: 'waits', ahead: 2, holder: 'P3' }, 'waits in line, 2 ahead (P3 holds the lock)'],
    [{ type: 'waits', ahead: 0, holder: undefined }, 'waits in line, next'],
    [
      { type: 'acquires', value: '0123456789abcdef', fence: 17 },
      'acquires the lock: value 01234567…, fence 17',
    ],
    [
      { type: 'succeeds', dead: 'P2', afterMs: 1234 },
      "gets in 1.23 s after P2 died, when the dead one's lease ended",
    ],
    [{ type: 'executes', share: 0 }, 'executes the task'],
    [{ type: 'completes' }, 'completes the task'],
    [{ type: 'releases' }, 'releases the lock'],
    [{ type: 'released', confirmed: true }, undefined],
    [{ type: 'released', confirmed: false }, 'finds that its lease had ended before the release'],
    [
      { type: 'refused', holder: 'P2' },
      'fails to acquire: the lock is held by another process, P2; gives up',
    ],
    [
      { type: 'refused', holder: undefined },
      'fails to acquire: the lock is held by another process; gives up',
    ],
    [
      { type: 'writes', fence: 5, accepted: true, largest: 4, late: false },
      'accepts the write of P1: fence 5',
    ],
    [
      { type: 'writes', fence: 4, accepted: false, largest: 5, late: true },
      'refuses the late write of P1: fence 4 is smaller than 5, seen before',
    ],
    [
      { type: 'killed', signal: 'SIGKILL', planned: true },
      'is killed (SIGKILL) in the middle of the task; its write is still on the way',
    ],
    [{ type: 'killed', signal: 'exit code 1', planned: false }, 'ended unexpectedly (exit code 1)'],
    [{ type: 'loses', message: 'gone' }, 'loses the lock: gone'],
    [{ type: 'fails', message: 'broken' }, 'fails: broken'],
  ])('tells %j', (what, text) => {
    expect(said(what)).toBe(text)
  })
})
