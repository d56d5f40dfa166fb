import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type RecordRow, table } from './report.ts'

const path = fileURLToPath(new URL('RECORD.md', import.meta.url))
const [BEGIN, END] = ['<!-- figures: written by npm run chaos -- --record -->', '<!-- end -->']

/** Puts rows into the table of RECORD.md, in place of those of the same fault on the same servers. */
export function record(fresh: readonly RecordRow[]): void {
  const text = readFileSync(path, 'utf8')
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)]
  if (from < 0 || to < from) throw new Error('RECORD.md has lost the place of its table')
  const rows = new Map<string, RecordRow>()
  const inside = text.slice(from + BEGIN.length, to)
  for (const line of inside
    .split('\n')
    .filter((each) => each.startsWith('| '))
    .slice(2)) {
    const cells = line.slice(2, -2).split(' | ')
    rows.set(keyOf(cells), cells)
  }
  for (const row of fresh) rows.set(keyOf(row), row)
  const sorted = [...rows.values()].sort((a, b) => keyOf(a).localeCompare(keyOf(b)))
  writeFileSync(path, `${text.slice(0, from)}${BEGIN}\n\n${table(sorted)}\n\n${text.slice(to)}`)
}

const keyOf = ([fault, on]: RecordRow): string => `${fault} on ${on}`
