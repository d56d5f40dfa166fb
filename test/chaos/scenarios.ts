import type { Work } from './crew.ts'
import { failoverFaults } from './failover-faults.ts'
import type { Fault } from './fault.ts'
import type { GroundSpec } from './ground.ts'
import { networkFaults } from './network-faults.ts'
import { processFaults } from './process-faults.ts'
import type { Scenario } from './scenario.ts'
import { serverFaults } from './server-faults.ts'

export const faults: readonly Fault[] = [
  ...processFaults,
  ...networkFaults,
  ...serverFaults,
  ...failoverFaults,
]

export function fault(kind: string): Fault {
  const found = faults.find((each) => each.kind === kind)
  if (found === undefined) throw new Error(`there is no fault called ${kind}`)
  return found
}

const TTL_MS = 400

export const work: Work = {
  kind: 'mutex',
  capacity: 1,
  loops: 1,
  holdMs: [5, 40],
  // Needs to be renewed.
  longHoldMs: [500, 800],
  longShare: 0.1,
}

/** A scenario with these faults, or with others in place of what stands here. */
export function scenario(
  name: string,
  on: GroundSpec['on'],
  kinds: readonly string[],
  more: Partial<Scenario> = {},
): Scenario {
  const chosen = kinds.map(fault)
  const wrong = chosen.find((each) => !each.on.includes(on))
  if (wrong) throw new Error(`${wrong.kind} makes no sense on ${on}`)
  const needs = (need: Fault['needs']): boolean => chosen.some((each) => each.needs === need)
  return {
    name,
    faults: chosen,
    groups: 3,
    processes: 4,
    ttlMs: TTL_MS,
    gapMs: 150,
    work,
    ...more,
    ground: {
      on,
      ...(needs('keeps') ? { keeps: true } : {}),
      ...(needs('clock') ? { clock: true } : {}),
      ...more.ground,
    },
  }
}
