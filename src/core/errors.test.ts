import {
  AcquireTimeoutError,
  EngineError,
  HoldfastError,
  LeaseLostError,
  ShapeError,
  UnsupportedError,
} from 'holdfast'
import { describe, expect, it } from 'vitest'
import { closedError, quote, StaleFenceError } from './errors.ts'

const mutex = { kind: 'mutex', capacity: 1 } as const
const engine = { engine: 'redis', operation: 'acquire', transient: true, problem: 'gone' } as const

describe('errors', () => {
  it.each([
    [new AcquireTimeoutError('m', 5, {}), 'AcquireTimeoutError', 'HOLDFAST_ACQUIRE_TIMEOUT'],
    [new LeaseLostError('m', 7, 'expired'), 'LeaseLostError', 'HOLDFAST_LEASE_LOST'],
    [new EngineError({ ...engine, outcome: 'none' }), 'EngineError', 'HOLDFAST_ENGINE_FAILED'],
    [new StaleFenceError('k', 1, 2), 'StaleFenceError', 'HOLDFAST_STALE_FENCE'],
    [new ShapeError('m', mutex, null), 'ShapeError', 'HOLDFAST_SHAPE_MISMATCH'],
    [new UnsupportedError('no'), 'UnsupportedError', 'HOLDFAST_UNSUPPORTED'],
    [closedError(), 'HoldfastError', 'HOLDFAST_CLOSED'],
  ])('have a class, a name and a code: %s', (error, name, code) => {
    expect(error).toBeInstanceOf(HoldfastError)
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ name, code })
    expect(error.message).toMatch(/^[A-Z0-9a-z].*\.$|^no$/)
  })

  it('name the lock and keep the cause where there is one', () => {
    const cause = new Error('below')
    const lost = new LeaseLostError('m', 7, 'refused', cause)
    expect(lost).toMatchObject({ lock: 'm', cause, fence: 7, reason: 'refused' })
    expect(new LeaseLostError('m', 7, 'short')).not.toHaveProperty('cause')
    const failed = new EngineError({ ...engine, outcome: 'unknown', lock: 'm', cause })
    expect(failed).toMatchObject({ lock: 'm', cause })
    expect(failed.message).toContain('unknown whether the call took effect')
    expect(new EngineError({ ...engine, outcome: 'none' }).message).not.toContain('unknown')
    expect(new UnsupportedError('no', 'm').lock).toBe('m')
    expect(closedError('m').message).toContain('of lock "m"')
  })

  it('say who holds a lock, as far as it is known', () => {
    const held = (identity: string, ours: boolean, about = '') =>
      new AcquireTimeoutError('m', 5, { occupant: { identity, ours, about }, ahead: 2 }).message
    expect(held('theirs', false)).toContain('held by a program that does not use Holdfast')
    expect(held('abc', true)).toContain('held by abc; 2 ahead')
    expect(held('abc', true, '{"pid":7}')).toContain('held by process 7;')
    expect(held('abc', true, '{"pid":7,"host":"h","label":"l"}')).toContain('process 7 on h (l)')
    expect(held('', true)).toContain('nobody')
    expect(new AcquireTimeoutError('m', 5, {}).message).not.toContain('held by')
  })

  it('name both shapes', () => {
    const other = { kind: 'semaphore', capacity: 3 } as const
    expect(new ShapeError('m', mutex, other).message).toContain('a semaphore of 3')
    expect(new ShapeError('m', mutex, null, ' (a list)').message).toContain('no lock (a list)')
  })

  it('quote names so that they stay on one line, and short', () => {
    expect(quote('a\n"\0')).toBe('"a\\n\\"\\u0000"')
    expect(quote('x'.repeat(101)).length).toBe(102)
  })
})
