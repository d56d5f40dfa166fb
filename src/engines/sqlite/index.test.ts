import { describe, expect, it } from 'vitest'
import { connectSqlite, sqlite } from './index.ts'
import { decode, encode } from './schema.ts'

describe('an option', () => {
  it.each([
    [
      { commandTimeoutMs: 0 },
      'commandTimeoutMs must be a whole number from 1 to 2147483647, got 0.',
    ],
    [{ commandTimeoutMs: Number.NaN }, 'commandTimeoutMs'],
    [{ fenceTtlMs: 999 }, 'fenceTtlMs must be a whole number from 1000 to 2147483647, got 999.'],
    [{ fenceTtlMs: 2 ** 31 }, 'fenceTtlMs'],
  ])('out of its range is named: %j', async (options, message) => {
    expect(() => sqlite(options)).toThrow(RangeError)
    expect(() => sqlite(options)).toThrow(message)
    await expect(connectSqlite('locks.db', options)).rejects.toThrow(message)
  })

  it('of the wrong type is named', async () => {
    expect(() => sqlite({ commandTimeoutMs: '5' as unknown as number })).toThrow(TypeError)
    expect(() => sqlite(null as unknown as object)).toThrow('options must be an object, got null.')
    await expect(connectSqlite(7 as unknown as string)).rejects.toThrow('path must be a string')
  })
})

it('stores every text apart from every other, prefixes included', () => {
  const texts = [
    '',
    'a',
    '\0',
    '\u0001',
    '\0\u0001',
    '\u0001\0',
    '\u0001a',
    '\0a',
    'a\0',
    '\u0001b',
  ]
  for (const text of texts) {
    expect(encode(text)).not.toContain('\0')
    expect(decode(encode(text))).toBe(text)
    for (const prefix of texts) {
      expect(encode(text).startsWith(encode(prefix))).toBe(text.startsWith(prefix))
    }
  }
})
