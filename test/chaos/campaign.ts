import type { ServerName } from '../support/servers.ts'
import type { GroundSpec } from './ground.ts'
import type { Scenario } from './scenario.ts'
import { fault, faults, scenario, work } from './scenarios.ts'

/** One row of RECORD.md: the same on several servers, whose figures are added up. */
export interface Row {
  readonly fault: string
  readonly on: GroundSpec['on']
  readonly title: string
  readonly parts: readonly { readonly scenario: Scenario; readonly strikes: number }[]
}

/** The oldest and the newest server. */
const SERVERS: readonly ServerName[] = ['redis-7.0', 'valkey-9']

/** Where process faults are tried at length; they work everywhere. */
const MAIN: readonly GroundSpec['on'][] = ['one', 'quorum', 'sqlite']

/** Every fault by itself, so that what it does can be told, and then the mixtures. */
export function campaign(strikes: number): Row[] {
  const single = faults.flatMap(({ kind, title, on }) => {
    const grounds = on.length > 2 ? on.filter((each) => MAIN.includes(each)) : on
    return grounds.map((each, index) => {
      // The first ground gets all of them; the others a quarter.
      const share = index === 0 ? strikes : Math.ceil(strikes / 4)
      return row(kind, title, each, [kind], share)
    })
  })
  return [...single, ...jepsen(strikes), ...soaks(strikes)]
}

function row(
  name: string,
  title: string,
  on: GroundSpec['on'],
  kinds: readonly string[],
  strikes: number,
  more: Partial<Scenario> = {},
): Row {
  const servers = on === 'sqlite' ? [undefined] : SERVERS
  const own = kinds.map(fault)
  const small = on === 'one' || on === 'sqlite' ? {} : { groups: 2 }
  const parts = servers.map((server) => ({
    scenario: scenario(`${name} (${on})`, on, kinds, {
      gapMs: own.every(({ scope }) => scope === 'all') ? 60 : 150,
      ...small,
      ...more,
      ground: { on, ...(server === undefined ? {} : { server }) },
    }),
    strikes: Math.ceil(strikes / servers.length / kinds.length),
  }))
  return { fault: name, on, title, parts }
}

/**
 * Read, sleep, write under a lock, by workers that do not ask whether their lease still stands,
 * while they are stopped and blocked for longer than it lasts.
 */
function jepsen(strikes: number): Row[] {
  const more = { work: { ...work, careless: true, longShare: 0 } }
  const title = 'read, sleep, write without looking at the lease, under stops and blocks'
  return MAIN.map((on) =>
    row('read-sleep-write', title, on, ['pause-holder', 'block-holder'], strikes, more),
  )
}

function soaks(strikes: number): Row[] {
  const two = { work: { ...work, loops: 2 } }
  const shares = { work: { ...work, loops: 2, kind: 'semaphore', capacity: 3 } as const }
  const kindsOn = (on: GroundSpec['on'], breaks: boolean): string[] =>
    faults
      .filter((each) => each.on.includes(on) && (each.breaksExclusion ?? false) === breaks)
      .map(({ kind }) => kind)
  const on = 'one'
  const strict = kindsOn(on, false)
  // Data lost and a clock set back together are what no fence is promised for.
  const everything = [...strict, ...kindsOn(on, true)].filter(
    (kind) => kind !== 'server-clock-back',
  )
  return [
    row('soak', 'all that keep the data, mixed', on, strict, 2 * strikes, two),
    row('soak-semaphore', 'the same on semaphores of 3', on, strict, 2 * strikes, shares),
    row(
      'soak-breaking',
      'everything but a clock set back, mixed',
      on,
      everything,
      2 * strikes,
      two,
    ),
    row('soak', 'all that keep the data, mixed', 'quorum', kindsOn('quorum', false), strikes, two),
    row('soak', 'all there are, mixed', 'sqlite', kindsOn('sqlite', false), strikes, two),
  ]
}
