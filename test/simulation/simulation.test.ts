import { describe, expect, it } from 'vitest'
import { seed } from '../support/until.ts'
import { SCENARIOS } from './scenarios.ts'
import { play } from './simulation.ts'

/** Timers and messages to simulate. The long run is `npm run simulate`, with fresh seeds. */
const STEPS = Number(process.env['HOLDFAST_SIMULATION_STEPS'] ?? 20_000)
const ONLY = process.env['HOLDFAST_SIMULATION_SCENARIO']

describe('everything together, in simulated time', () => {
  it('keeps its promises', { timeout: 3_600_000 }, async () => {
    // The short run repeats one series: it judges a change, and finds no new faults by chance.
    if (process.env['HOLDFAST_SIMULATION_STEPS'] === undefined) {
      process.env['HOLDFAST_SEED'] ??= '9000'
    }
    const first = seed(import.meta.url)
    const scenarios = SCENARIOS.filter(({ title }) => ONLY === undefined || title === ONLY)
    const totals: Record<string, number> = {}
    let steps = 0
    let histories = 0
    for (; steps < STEPS || histories < scenarios.length; histories++) {
      const scenario = scenarios[histories % scenarios.length]!
      const own = first + histories
      const history = await play(scenario, own)
      steps += history.steps
      for (const [what, count] of Object.entries(history.counts)) {
        totals[what] = (totals[what] ?? 0) + count
      }
      const repeat = `HOLDFAST_SEED=${own} HOLDFAST_SIMULATION_SCENARIO='${scenario.title}'`
      const command = `${repeat} HOLDFAST_SIMULATION_STEPS=1 npx vitest run test/simulation`
      expect(history.breaches.slice(0, 5), `repeat with ${command}`).toEqual([])
    }
    console.log(`${histories} histories, ${steps} steps: ${JSON.stringify(totals)}`)
  })

  it('is decided by its seed alone', { timeout: 60_000 }, async () => {
    const scenario = SCENARIOS.at(-1)!
    const short = { ...scenario, forMs: 10_000 }
    const [once, again, other] = [await play(short, 7), await play(short, 7), await play(short, 8)]
    expect(again).toEqual(once)
    expect(other).not.toEqual(once)
  })
})
