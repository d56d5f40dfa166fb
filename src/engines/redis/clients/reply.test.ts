import { expect, it } from 'vitest'
import { replyOf } from './reply.ts'

it.each([
  ['held', 'held'],
  [7, 7],
  [null, null],
  [undefined, null],
  [true, 1],
  [false, 0],
  [12n, 12],
  [Buffer.from('ä'), 'ä'],
  [
    ['held', 7],
    ['held', 7],
  ],
  [
    ['a', null, [true, [Buffer.from('b')]]],
    ['a', null, [1, ['b']]],
  ],
  [new Map<string, unknown>([['a', [true]]]), ['a', [1]]],
  [new Set(['a', false]), ['a', 0]],
  [{ a: 1, b: ['c', true] }, ['a', 1, 'b', ['c', 1]]],
  [new Error('ERR inside'), 'ERR inside'],
  [Symbol('x'), null],
])('%o becomes %o', (value, reply) => {
  expect(replyOf(value)).toEqual(reply)
})

it('a plain list is passed on as it is', () => {
  const list = ['held', 7]
  expect(replyOf(list)).toBe(list)
})
