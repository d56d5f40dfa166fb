import { expect, it } from 'vitest'
import type { Place, Standing } from '../../core/engine.ts'
import { EngineError } from '../../core/errors.ts'
import { renewInGroups } from './groups.ts'

const places = Array.from({ length: 1203 }, (_, at) => ({ identity: String(at) }) as Place)
const even = ({ identity }: Place): boolean => Number(identity) % 2 === 0
const held = ({ identity }: Place): Standing => ({
  state: 'held',
  fence: Number(identity),
  deadline: 0,
})
const failure = new EngineError({
  engine: 'redis',
  operation: 'renew',
  outcome: 'unknown',
  transient: true,
  problem: 'no answer',
})

it('gives each place its own answer, and asks for at most 500 in one request', async () => {
  const sizes: number[] = []
  const answers = await renewInGroups(places, even, async (some, group) => {
    expect(new Set(some.map(even))).toEqual(new Set([group]))
    sizes.push(some.length)
    return some.map(held)
  })
  expect(answers).toEqual(places.map(held))
  expect(sizes.toSorted((a, b) => a - b)).toEqual([101, 102, 500, 500])
})

it('says of the places of a failed request only that nothing is known of them', async () => {
  const answers = await renewInGroups(places.slice(0, 4), even, async (some, group) => {
    if (group) throw failure
    return some.map(held)
  })
  expect(answers.map(({ state }) => state)).toEqual(['unknown', 'held', 'unknown', 'held'])
})

it('fails when the only request fails, and when the mistake is its own', async () => {
  const fail = async (): Promise<never> => {
    throw failure
  }
  await expect(renewInGroups(places.slice(0, 1), even, fail)).rejects.toBe(failure)
  const mistake = new TypeError('mistake')
  const err = async (): Promise<never> => {
    throw mistake
  }
  await expect(renewInGroups(places.slice(0, 2), even, err)).rejects.toBe(mistake)
  expect(await renewInGroups([], even, err)).toEqual([])
})
