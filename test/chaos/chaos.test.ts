import { expect, it } from 'vitest'
import type { ServerName } from '../support/servers.ts'
import { serversUnderTest } from '../support/servers-under-test.ts'
import { seed } from '../support/until.ts'
import { clockShim } from './clock-shim.ts'
import type { GroundSpec } from './ground.ts'
import { run } from './laboratory.ts'
import { line } from './report.ts'
import { scenario } from './scenarios.ts'
import { selection } from './selection.ts'

const chosen = seed(import.meta.url)
const have = new Set<string>(serversUnderTest().map(({ name }) => name))
const clocks = (await clockShim()) !== undefined

/** The same on another server where this one is missing, which fails in CI before it gets here. */
const server = (wanted: ServerName): Pick<GroundSpec, 'server'> =>
  have.has(wanted) ? { server: wanted } : {}

// Where no clock can be set, which is a failure in CI, its faults are left out.
const possible = selection
  .map((one) => ({ ...one, kinds: one.kinds.filter((kind) => clocks || !kind.includes('clock')) }))
  .filter(({ kinds }) => kinds.length > 0)

it.concurrent.each(possible)('$name keeps what it promises', async (chosenOne) => {
  const { name, on, kinds, strikes, more = {} } = chosenOne
  const ground = { on, ...server(chosenOne.server) }
  const outcome = await run(scenario(name, on, kinds, { processes: 3, ...more, ground }), {
    seed: chosen,
    strikes,
    forMs: 60_000,
    // How fast service resumes is measured in the long run; here it only has to.
    slackMs: 10_000,
  })
  console.log(line(outcome))
  expect(outcome.violations).toEqual([])
  expect(outcome.figures.strikes).toBeGreaterThan(0)
})
