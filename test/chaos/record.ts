import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Row } from './campaign.ts'
import type { Outcome } from './laboratory.ts'
import { type RecordRow, table, tables } from './report.ts'

const path = fileURLToPath(new URL('RECORD.md', import.meta.url))
const END = '<!-- end -->'

/** Puts a row into a table of RECORD.md, in place of the one of the same fault and ground. */
export function record(name: string, row: Row, outcomes: readonly Outcome[]): void {
  const wanted = tables[name]
  if (wanted === undefined) throw new Error(`RECORD.md has no table called ${name}`)
  const text = readFileSync(path, 'utf8')
  const begin = `<!-- ${name}: written by npm run chaos -- --record ${name} -->`
  const from = text.indexOf(begin)
  const to = text.indexOf(END, from)
  if (from < 0 || to < 0) throw new Error(`RECORD.md has lost the place of its table ${name}`)
  const rows = new Map<string, RecordRow>()
  const inside = text.slice(from + begin.length, to).split('\n')
  for (const line of inside.filter((each) => each.startsWith('| ')).slice(2)) {
    const cells = line
      .slice(2, -2)
      .split(' | ')
      .map((cell) => cell.trim())
    rows.set(keyOf(cells), cells)
  }
  const fresh = wanted.rowOf(row, outcomes)
  rows.set(keyOf(fresh), fresh)
  const sorted = [...rows.values()].sort((a, b) => keyOf(a).localeCompare(keyOf(b)))
  const full = table(wanted.head, sorted)
  writeFileSync(path, `${text.slice(0, from)}${begin}\n\n${full}\n\n${text.slice(to)}`)
}

const keyOf = ([fault, on]: RecordRow): string => `${fault} on ${on}`
