import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { keysOf, lockKeys, slotOf } from './keys.ts'

/** The slot of a key by the words of the specification, apart from the code under test. */
function slotOfKey(key: string): number {
  const open = key.indexOf('{')
  const close = key.indexOf('}', open)
  return open >= 0 && close > open + 1 ? slotOf(key.slice(open + 1, close)) : slotOf(key)
}

describe('slots', () => {
  it.each([
    ['123456789', 12_739],
    ['', 0],
    ['foo', 12_182],
    ['bar', 5061],
  ])('of %j are those of the cluster', (text, slot) => {
    expect(slotOf(text)).toBe(slot)
  })
})

describe('the keys of a lock', () => {
  it('start with the plain key of its name', () => {
    expect(lockKeys('holdfast:', 'a b', '')).toEqual({
      lock: 'holdfast:a b',
      fence: '{holdfast:a b}~fence',
      line: '{holdfast:a b}~line',
      alive: '{holdfast:a b}~alive',
      places: '{holdfast:a b}~places',
      holders: '{holdfast:a b}~holders',
      leases: '{holdfast:a b}~leases',
    })
  })

  it('are those of the name that is asked for, whichever came before', () => {
    const keys = keysOf('p:', '{app}')
    for (const name of ['a', 'a', 'b', 'a', '']) {
      expect(keys(name)).toEqual(lockKeys('p:', name, '{app}'))
    }
    expect(keys('a')).toBe(keys('a'))
  })

  it('keep a hash tag that the name has', () => {
    expect(lockKeys('', 'user:{7}:mail', '').line).toBe('{7}~line:user:{7}:mail')
    expect(lockKeys('p:', 'm', '{app}').line).toBe('{app}~line:p:m')
  })

  it('get a tag of the right slot where braces are no tag', () => {
    const { lock, line } = lockKeys('', 'a}b', '')
    expect(line).toMatch(/^\{[0-9a-z]+\}~line:a\}b$/)
    expect(slotOfKey(line)).toBe(slotOfKey(lock))
    expect(lockKeys('', 'a}b', '')).toEqual(lockKeys('', 'a}b', ''))
  })

  it('are in one slot and differ from all others, whatever the names', () => {
    const text = fc.string({
      unit: fc.constantFrom('{', '}', 'a', 'b', '~', ':', '€'),
      maxLength: 8,
    })
    const name = text.filter((each) => each !== '')
    const prefix = fc.constantFrom('', 'holdfast:', '{p}', '{', '}', 'a}')
    const clientPrefix = fc.constantFrom('', 'app:', '{t}:', '}')
    fc.assert(
      fc.property(prefix, clientPrefix, name, name, (before, client, one, other) => {
        const keys = Object.values(lockKeys(before, one, client))
        const slots = keys.map((key) => slotOfKey(client + key))
        expect(new Set(slots).size).toBe(1)
        expect(new Set(keys).size).toBe(7)
        if (one === other) return
        const others = new Set(Object.values(lockKeys(before, other, client)).slice(1))
        expect(keys.slice(1).filter((key) => others.has(key))).toEqual([])
      }),
      { numRuns: 60 },
    )
  }, 30_000)
})
