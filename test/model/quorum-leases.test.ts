import { describe, expect, it } from 'vitest'
import { randomFrom, seed } from '../support/until.ts'
import type { LeaseConfig, LeaseVariant } from './quorum-leases.ts'
import { exploreLeases, walkLeases } from './quorum-leases-explore.ts'

/** Two clients, three nodes. docs/quorum.md names the counts for 0 and 1 faults. */
const SMALL = { clients: 2, nodes: 3, identities: 1, variant: 'holdfast' } as const
const FAULTS = Number(process.env['HOLDFAST_QUORUM_FAULTS'] ?? 0)

describe('the leases of a quorum, explored to the end', () => {
  it('never overlap, and every client gets its turn', { timeout: 600_000 }, () => {
    const { states, overlap, stuck } = exploreLeases({ ...SMALL, faults: FAULTS })
    console.log(`${FAULTS} faults: ${states} states`)
    expect(overlap).toBeUndefined()
    expect(stuck).toBeUndefined()
    expect(states).toBeGreaterThan(100_000)
  })

  // The last takes three quarters of a million states.
  const slow: LeaseVariant[] = FAULTS > 0 ? ['counts what it gives back'] : []
  const wrong: LeaseVariant[] = [
    'asks again at once',
    'a minority renews',
    'a majority of those that answer',
  ]
  it.each([...wrong, ...slow])(
    'overlap where the protocol is another: %s',
    { timeout: 600_000 },
    (variant) => {
      const { states, overlap } = exploreLeases({ ...SMALL, faults: 1, variant })
      console.log(`${variant}: an overlap of ${overlap?.length} steps after ${states} states`)
      expect(overlap).toBeDefined()
    },
  )
})

describe('the leases of a quorum, walked by chance', () => {
  const WALKS = Number(process.env['HOLDFAST_QUORUM_WALKS'] ?? 100)
  const FIVE = { clients: 3, nodes: 5, identities: 2, variant: 'holdfast' } as const
  const MOST = { steps: 200, fair: 20_000 } as const

  const flawOf = (config: LeaseConfig, random: () => number) => {
    for (let run = 0; run < WALKS; run++) {
      const found = walkLeases(config, random, MOST)
      if (found !== undefined) return found
    }
    return undefined
  }

  it('never overlap, and every client gets its turn', { timeout: 600_000 }, () => {
    const random = randomFrom(seed(import.meta.url))
    expect(flawOf({ ...FIVE, faults: 6 }, random)).toBeUndefined()
    expect(flawOf({ ...FIVE, nodes: 3, faults: 20 }, random)).toBeUndefined()
  })

  it('end for all where nodes lose everything', { timeout: 600_000 }, () => {
    const random = randomFrom(seed(import.meta.url))
    expect(flawOf({ ...FIVE, faults: 6, wipes: 4 }, random)).toBeUndefined()
  })

  it('block each other where the beaten keep what they have', { timeout: 60_000 }, () => {
    // Always the same walks: how many are needed is known.
    const config = { ...FIVE, nodes: 3, faults: 0, variant: 'keeps what it was granted' } as const
    expect(flawOf({ ...config, variant: 'holdfast' }, randomFrom(1))).toBeUndefined()
    expect(flawOf(config, randomFrom(1))).toMatchObject({ flaw: 'stuck' })
  })
})
