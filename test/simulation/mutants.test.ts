import { describe, expect, it } from 'vitest'
import { CHECKS } from './checks.ts'
import { MUTANTS } from './mutants.ts'
import { SCENARIOS } from './scenarios.ts'
import { play } from './simulation.ts'

/** Always the same histories, so that each is known to show what it is to show. */
const MOST = 20

describe('an engine that is wrong is noticed', () => {
  it.each(MUTANTS)('one that $wrong, by: $check', { timeout: 120_000 }, async (mutant) => {
    const scenario = SCENARIOS.find(({ title }) => title === mutant.scenario)!
    let seed = 1
    for (; seed <= MOST; seed++) {
      const { breaches } = await play(scenario, seed, mutant.spoil)
      if (breaches.some(({ check }) => check === mutant.check)) break
    }
    console.log(`${mutant.wrong}: noticed in history ${seed}`)
    expect(seed).toBeLessThanOrEqual(MOST)
  })

  it('for every check', () => {
    const bitten = new Set(MUTANTS.map(({ check }) => check))
    expect(CHECKS.filter((check) => !bitten.has(check))).toEqual([])
  })
})
