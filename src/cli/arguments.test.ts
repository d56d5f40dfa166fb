import { describe, expect, it } from 'vitest'
import { parse, readMs, wordsOf } from './arguments.ts'
import { RUN } from './specs/running.ts'

describe('parse', () => {
  it('leaves everything after -- as it is', () => {
    expect(parse(RUN, ['-n', 'x', '--', 'sh', '-n', '--', '--help'])).toMatchObject({
      options: { nonblock: true },
      positionals: ['x'],
      rest: ['sh', '-n', '--', '--help'],
    })
    expect(parse(RUN, ['x', '-c', 'true']).rest).toBeUndefined()
  })

  it('names the wrong argument in one sentence', () => {
    const wrong = (...args: string[]) => expect(() => parse(RUN, args))
    wrong('x', '--loud').toThrow(/^Unknown option '--loud'\. See holdfast run --help\.$/)
    wrong('x', '--ttl').toThrow(/--ttl.*argument missing\. See holdfast run --help\.$/)
    wrong('x', '-n=3').toThrow(/See holdfast run --help\.$/)
  })

  it('counts the words beside the options', () => {
    const args = parse(RUN, ['a', '--', 'b'])
    expect(wordsOf(RUN, args, 2)).toEqual(['a', 'b'])
    expect(() => wordsOf(RUN, args, 1)).toThrow('"b" is too much. Quote a name that has spaces.')
  })
})

describe('readMs', () => {
  it.each([
    ['30', 30_000],
    ['0.5', 500],
    ['0', 0],
    ['250ms', 250],
    ['2 s', 2000],
    ['1.5m', 90_000],
    ['1min', 60_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
  ])('reads %s', (text, ms) => {
    expect(readMs('--wait', text, 0)).toBe(ms)
  })

  it.each(['', '-1', '1e3', 'soon', '5 weeks', '.5', '0x10', '1,5', 'constructor', '30d', 'NaN'])(
    'refuses %j',
    (text) => {
      expect(() => readMs('--wait', text, 0)).toThrow(/^--wait must be a time from 0 to 2147483\./)
    },
  )
})
