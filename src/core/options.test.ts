import { describe, expect, it } from 'vitest'
import {
  checkFunction,
  checkName,
  checkObject,
  checkText,
  checkWhole,
  DEFAULT_LEASE,
  leaseSettings,
  MAX_MS,
  show,
  waitLimit,
  waitSignal,
} from './options.ts'

describe('lease settings', () => {
  it('are the defaults where nothing is asked', () => {
    expect(leaseSettings(undefined, DEFAULT_LEASE)).toBe(DEFAULT_LEASE)
    expect(leaseSettings({}, DEFAULT_LEASE)).toEqual(DEFAULT_LEASE)
  })

  it('take each option over its default, and change no default', () => {
    const times = { ttlMs: 20, minHoldMs: 1, maxHoldMs: 9, lockDelayMs: 2 }
    const asked = { ...times, renew: false, label: 'x' }
    expect(leaseSettings(asked, DEFAULT_LEASE)).toEqual(asked)
    expect(leaseSettings({ renew: true }, asked)).toEqual({ ...asked, renew: true })
    expect(DEFAULT_LEASE.ttlMs).toBe(10_000)
  })

  it.each([
    [{ ttlMs: 19 }, RangeError, 'ttlMs must be a whole number from 20 to 2147483647, got 19.'],
    [{ ttlMs: 20.5 }, RangeError, 'ttlMs must be a whole number from 20 to 2147483647, got 20.5.'],
    [{ ttlMs: '20' }, TypeError, 'ttlMs must be a number, got "20".'],
    [{ ttlMs: null }, TypeError, 'ttlMs must be a number, got null.'],
    [{ minHoldMs: -1 }, RangeError, 'minHoldMs must be a whole number from 0 to'],
    [{ maxHoldMs: 0 }, RangeError, 'maxHoldMs must be a whole number from 1 to 2147483647, got 0.'],
    [{ lockDelayMs: Number.NaN }, RangeError, 'lockDelayMs must be a whole number'],
    [{ renew: 1 }, TypeError, 'renew must be true or false, got 1.'],
    [{ label: 7 }, TypeError, 'label must be a string, got 7.'],
    [{ label: 'x'.repeat(201) }, RangeError, 'label must be at most 200 characters, got 201.'],
    [{ ttlMs: MAX_MS, lockDelayMs: 1 }, RangeError, 'ttlMs + lockDelayMs must be at most'],
    ['text', TypeError, 'options must be an object, got "text".'],
    [null, TypeError, 'options must be an object, got null.'],
  ])('refuse %j', (options, kind, message) => {
    const call = () => leaseSettings(options as never, DEFAULT_LEASE)
    expect(call).toThrow(kind)
    expect(call).toThrow(message)
  })

  it('count the sum of what is asked and what is default', () => {
    const defaults = { ...DEFAULT_LEASE, lockDelayMs: 1000 }
    expect(() => leaseSettings({ ttlMs: MAX_MS - 999 }, defaults)).toThrow(RangeError)
    expect(leaseSettings({ ttlMs: MAX_MS - 1000 }, defaults).ttlMs).toBe(MAX_MS - 1000)
  })
})

describe('how long to wait', () => {
  it('is for ever unless told', () => {
    expect(waitLimit(undefined)).toBe(Number.POSITIVE_INFINITY)
    expect(waitLimit({})).toBe(Number.POSITIVE_INFINITY)
    expect(waitLimit({ timeoutMs: 0 })).toBe(0)
    expect(waitLimit({ timeoutMs: MAX_MS })).toBe(MAX_MS)
    expect(() => waitLimit({ timeoutMs: MAX_MS + 1 })).toThrow('timeoutMs')
  })

  it('can be cut short by a signal and nothing else', () => {
    const { signal } = new AbortController()
    expect(waitSignal({ signal })).toBe(signal)
    expect(waitSignal(undefined)).toBeUndefined()
    expect(() => waitSignal({ signal: { aborted: false } as never })).toThrow(
      'signal must be an AbortSignal, got an object.',
    )
  })
})

describe('names', () => {
  it.each(['a', '\0', ' ', '{}', 'x'.repeat(1024), '€'.repeat(341), '😀'.repeat(256)])(
    'may be %j',
    (name) => {
      expect(() => checkName(name)).not.toThrow()
    },
  )

  it.each([
    ['', RangeError, 'name must not be empty.'],
    ['x'.repeat(1025), RangeError, 'name must be at most 1024 bytes of UTF-8, got 1025.'],
    ['€'.repeat(342), RangeError, 'got 1026'],
    ['😀'.repeat(257), RangeError, 'got 1028'],
    ['a\ud800', RangeError, 'name must be well-formed Unicode, got a lone surrogate.'],
    [undefined, TypeError, 'name must be a string, got undefined.'],
    [['a'], TypeError, 'name must be a string, got an array.'],
  ])('may not be %j', (name, kind, message) => {
    expect(() => checkName(name)).toThrow(kind)
    expect(() => checkName(name)).toThrow(message)
  })
})

describe('checks', () => {
  it('let pass what is right', () => {
    checkText('prefix', '')
    checkWhole('limit', 1, 1, 1)
    checkObject('options', {})
    checkFunction('work', () => {})
  })

  it('name what is wrong', () => {
    expect(() => checkFunction('work', {})).toThrow('work must be a function, got an object.')
    expect(() => checkObject('options', [])).toThrow('options must be an object, got an array.')
    expect(() => checkWhole('limit', 2, 0, 1)).toThrow('limit must be a whole number from 0 to 1')
  })
})

describe('a wrong value in a message', () => {
  it.each([
    ['text', '"text"'],
    ['x'.repeat(51), `"${'x'.repeat(49)}…"`],
    [7n, '7n'],
    [[], 'an array'],
    [{}, 'an object'],
    [null, 'null'],
    [() => {}, 'a function'],
    [Symbol('s'), 'Symbol(s)'],
    [-0.5, '-0.5'],
  ])('is short, and its type is plain', (value, shown) => {
    expect(show(value)).toBe(shown)
  })
})
