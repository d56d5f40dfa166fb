import { readFileSync } from 'node:fs'
import type { Row } from './campaign.ts'
import type { Figures } from './judge.ts'
import type { Outcome } from './laboratory.ts'

/** The median and the largest, in whole milliseconds. */
export function spread(all: readonly number[]): { median: number; most: number } | undefined {
  const sorted = [...all].sort((a, b) => a - b)
  const [median, most] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)]
  if (median === undefined || most === undefined) return undefined
  return { median: Math.round(median), most: Math.round(most) }
}

const brief = (figures: Figures): string => {
  const recovery = spread(figures.recoveryMs)
  return [
    `${figures.strikes} faults`,
    `${figures.turns} turns`,
    `overlaps ${figures.overlaps}`,
    `fence falls ${figures.fenceFalls}`,
    `lost behind the fence ${figures.fencedLost}, by the lock alone ${figures.lostUpdates}`,
    `leaks ${figures.leaks}, hangs ${figures.hangs}, unhandled ${figures.unhandled}`,
    recovery ? `recovered in ${recovery.median} ms, at most ${recovery.most} ms` : 'no recovery',
    `machine stood still for ${Math.round(figures.lagMs)} ms`,
  ].join('; ')
}

/** One line for one run, with what went wrong under it. */
export function line({ scenario, title, seed, tookMs, figures, violations }: Outcome): string {
  const seconds = (tookMs / 1000).toFixed(0)
  const first = `${scenario.name} on ${title} (seed ${seed}, ${seconds} s): ${brief(figures)}`
  return [first, ...violations.slice(0, 20).map((each) => `  BROKEN: ${each}`)].join('\n')
}

/** What one row of the record says, in words and numbers. */
export type RecordRow = readonly string[]

export const HEAD: RecordRow = [
  'fault',
  'on',
  'faults',
  'turns',
  'told of a loss',
  'overlaps untold (longest)',
  'others in, holder asleep / told',
  'lost by the lock alone (late writes)',
  'refused by the fence',
  'lost behind the fence',
  'fence falls',
  'leaks, hangs, crashes, unhandled, unserved',
  'recovery median / most',
  'machine stood still',
  'seed',
  'since',
]

const sum = (all: readonly Figures[], key: NumberKey): number =>
  all.reduce((total, figures) => total + figures[key], 0)

type NumberKey = { [K in keyof Figures]: Figures[K] extends number ? K : never }[keyof Figures]

export function rowOf(row: Row, outcomes: readonly Outcome[]): RecordRow {
  const all = outcomes.map(({ figures }) => figures)
  const add = (key: NumberKey): number => sum(all, key)
  const most = (key: NumberKey): number => Math.max(0, ...all.map((figures) => figures[key]))
  const recovery = spread(all.flatMap(({ recoveryMs }) => recoveryMs))
  const mayOverlap = row.parts.some(({ scenario }) =>
    scenario.faults.some(({ breaksExclusion }) => breaksExclusion),
  )
  const longest = add('overlaps') > 0 ? ` (${Math.round(most('longestOverlapMs'))} ms)` : ''
  const quiet = (['leaks', 'hangs', 'crashes', 'unhandled', 'unserved'] as const).map(add)
  const broken = outcomes.reduce((total, { violations }) => total + violations.length, 0)
  return [
    `${row.fault}: ${row.title}`,
    outcomes.map(({ title }) => title).join(', '),
    String(add('strikes')),
    String(add('turns')),
    String(add('told')),
    `${add('overlaps')}${longest}${mayOverlap ? ', may' : ''}`,
    `${add('overlapsAsleep')} / ${add('overlapsTold')}`,
    `${add('lostUpdates')} (${add('lateWrites')})`,
    String(add('fencedRefusals')),
    String(add('fencedLost')),
    String(add('fenceFalls')),
    quiet.some((each) => each > 0) ? quiet.join(', ') : '0',
    recovery ? `${recovery.median} / ${recovery.most} ms` : '',
    `${Math.round(most('lagMs'))} ms`,
    `${outcomes[0]?.seed}${broken > 0 ? `, ${broken} BROKEN` : ''}`,
    VERSION,
  ]
}

const VERSION: string = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
).version

export function table(rows: readonly RecordRow[]): string {
  const text = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [text(HEAD), text(HEAD.map(() => '---')), ...rows.map(text)].join('\n')
}
