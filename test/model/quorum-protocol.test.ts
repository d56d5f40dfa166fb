import { describe, expect, it } from 'vitest'
import { randomFrom, seed } from '../support/until.ts'
import { explore, walk } from './quorum-explore.ts'
import type { Config, Variant } from './quorum-protocol.ts'

const TWO = { clients: 2, attempts: 1, proposals: [0, 0] } as const

/** What is explored to the end. docs/quorum.md names these and their counts. */
const CASES: Readonly<Record<string, Omit<Config, 'variant'>>> = {
  'two grants each, counters that agree': { ...TWO, attempts: 2, counters: [1, 1, 1], late: false },
  'one grant each, counters apart': { ...TWO, counters: [1, 2, 4] },
  'one grant each, one proposes a fence': { ...TWO, counters: [1, 2, 4], proposals: [0, 6] },
  'one grant each, a request twice or a node taken again': {
    ...TWO,
    counters: [1, 1, 1],
    repeats: 1,
  },
  'one grant each, a node loses everything': { ...TWO, counters: [1, 1, 1], wipes: 1 },
}

describe('the protocol of the quorum, explored to the end', () => {
  it.each(Object.entries(CASES))('has no flaw with %s', { timeout: 300_000 }, (title, config) => {
    const { states, found } = explore({ ...config, variant: 'holdfast' })
    console.log(`${title}: ${states} states`)
    expect(found).toBeUndefined()
    expect(states).toBeGreaterThan(2_000)
  })

  const wrong: readonly Variant[] = ['no second phase', 'unconditional']
  it.each(wrong)('finds the flaws of the protocol with %s', { timeout: 120_000 }, (variant) => {
    for (const [title, config] of Object.entries(CASES)) {
      const { states, found } = explore({ ...config, variant })
      console.log(`${variant}, ${title}: ${found?.flaw} after ${states} states`)
      expect(found, title).toBeDefined()
    }
  })

  it('finds that a lost counter must not begin again', { timeout: 120_000 }, () => {
    const config = { ...TWO, counters: [3, 3, 3], wipes: 1 }
    const { states, found } = explore({ ...config, variant: 'counted from 1' })
    console.log(`counted from 1: ${found?.flaw} after ${states} states`)
    expect(found).toBeDefined()
  })
})

describe('the protocol of the quorum, walked by chance', () => {
  const WALKS = Number(process.env['HOLDFAST_QUORUM_WALKS'] ?? 1_000)
  const FIVE = { clients: 3, attempts: 3, counters: [1, 1, 1, 1, 1], proposals: [0, 0, 0] } as const

  const flawsOf = (config: Config, random: () => number): number => {
    let flaws = 0
    for (let run = 0; run < WALKS; run++) if (walk(config, random, 400) !== undefined) flaws++
    return flaws
  }

  it('has no flaw with five nodes and three clients', { timeout: 300_000 }, () => {
    const random = randomFrom(seed(import.meta.url))
    const variant = 'holdfast'
    expect(flawsOf({ ...FIVE, repeats: 3, variant }, random)).toBe(0)
    expect(flawsOf({ ...FIVE, counters: [1, 5, 2, 9, 4], repeats: 3, variant }, random)).toBe(0)
    expect(flawsOf({ ...FIVE, proposals: [4, 0, 9], wipes: 2, variant }, random)).toBe(0)
    console.log(`${3 * WALKS} walks`)
  })

  it('meets the flaws of the others', { timeout: 300_000 }, () => {
    for (const variant of ['no second phase', 'unconditional'] as const) {
      // Always the same walks: how many are needed is known.
      const random = randomFrom(1)
      const config = { ...FIVE, counters: [1, 5, 2, 9, 4], variant }
      let walks = 1
      while (walks < 20_000 && walk(config, random, 400) === undefined) walks++
      console.log(`${variant}: a flaw in walk ${walks}`)
      expect(walks).toBeLessThan(20_000)
    }
  })
})
