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

interface Table {
  readonly head: RecordRow
  readonly rowOf: (row: Row, outcomes: readonly Outcome[]) => RecordRow
}

const sum = (all: readonly Figures[], key: NumberKey): number =>
  all.reduce((total, figures) => total + figures[key], 0)

type NumberKey = { [K in keyof Figures]: Figures[K] extends number ? K : never }[keyof Figures]

const TITLE = ['fault', 'on'] as const
const titleOf = ({ fault, title }: Row, outcomes: readonly Outcome[]): readonly string[] => [
  `${fault}: ${title}`,
  outcomes.map((outcome) => outcome.title).join(', '),
]

const seedOf = (outcomes: readonly Outcome[]): string => {
  const broken = outcomes.reduce((total, { violations }) => total + violations.length, 0)
  return `${outcomes[0]?.seed}${broken > 0 ? `, ${broken} BROKEN` : ''}`
}

/** The tables of RECORD.md by their names. */
export const tables: Readonly<Record<string, Table>> = {
  faults: {
    head: [
      ...TITLE,
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
      'seed',
      'since',
    ],
    rowOf: faultsRow,
  },
  recovery: {
    head: [
      ...TITLE,
      'measured',
      'median',
      '9 of 10',
      'most',
      'promised',
      'stood still',
      'seed',
      'since',
    ],
    rowOf: recoveryRow,
  },
}

function faultsRow(row: Row, outcomes: readonly Outcome[]): RecordRow {
  const all = outcomes.map(({ figures }) => figures)
  const add = (key: NumberKey): number => sum(all, key)
  const mayOverlap = row.parts.some(({ scenario }) =>
    scenario.faults.some(({ breaksExclusion }) => breaksExclusion),
  )
  const most = Math.max(0, ...all.map(({ longestOverlapMs }) => longestOverlapMs))
  const longest = add('overlaps') > 0 ? ` (${Math.round(most)} ms)` : ''
  const quiet = (['leaks', 'hangs', 'crashes', 'unhandled', 'unserved'] as const).map(add)
  return [
    ...titleOf(row, outcomes),
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
    seedOf(outcomes),
    VERSION,
  ]
}

function recoveryRow(row: Row, outcomes: readonly Outcome[]): RecordRow {
  const sorted = outcomes.flatMap(({ figures }) => figures.recoveryMs).sort((a, b) => a - b)
  const at = (share: number): string => {
    const ms = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
    return ms === undefined ? '' : `${Math.round(ms)} ms`
  }
  const promised = Math.max(...outcomes.map(({ recoveryMs }) => recoveryMs))
  const lag = Math.max(0, ...outcomes.map(({ figures }) => figures.lagMs))
  return [
    ...titleOf(row, outcomes),
    String(sorted.length),
    at(0.5),
    at(0.9),
    at(1),
    `${promised} ms`,
    `${Math.round(lag)} ms`,
    seedOf(outcomes),
    VERSION,
  ]
}

const VERSION: string = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
).version

export function table(head: RecordRow, rows: readonly RecordRow[]): string {
  const text = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [text(head), text(head.map(() => '---')), ...rows.map(text)].join('\n')
}
