import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { chartOf } from './chart.mjs'
import { findServer } from './servers.mjs'
import { cells, precise } from './text.mjs'

/** What the figures depend on besides the code. */
export async function machine() {
  const { name, version } = await findServer()
  return {
    cpu: `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}`,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${release()} ${process.arch}`,
    node: process.version,
    server: `${name} (${version})`,
  }
}

/** Keeps one row: its figures and its chart. The other rows stay as they are. */
export function keep(folder, result) {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, `${result.name}.json`), `${JSON.stringify(result, null, 1)}\n`)
  writeFileSync(join(folder, `${result.name}.svg`), chartOf(result))
}

/** Writes the page of all rows whose figures lie in the folder, in the order of `names`. */
export function writePage(folder, names) {
  const files = readdirSync(folder)
  const results = names
    .filter((name) => files.includes(`${name}.json`))
    .map((name) => JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')))
  writeFileSync(join(folder, 'README.md'), page(results))
}

function page(results) {
  const lines = ['# Results', '', ...summary(results), '']
  for (const result of results) lines.push(...section(result))
  return `${lines.join('\n').trimEnd()}\n`
}

function summary(results) {
  const lines = results.flatMap((result) =>
    result.verdicts.map(({ what, reach, got, met }) => [
      `[${result.name}](#${result.name})`,
      what,
      reach,
      precise(got),
      met ? 'yes' : '**no**',
    ]),
  )
  return markdownTable([['row', 'what', 'reach', 'got', 'reached'], ...lines])
}

function section(result) {
  const { cpu, memoryGiB, system, node, server } = result.machine
  return [
    `## ${result.name}`,
    '',
    `${result.title}.${result.ratio ? ` The ratio is ${result.ratio}.` : ''}`,
    ...(result.notes ?? []).map((note) => `\n${note}`),
    '',
    ...markdownTable(cells(result)),
    '',
    `![${result.title}](${result.name}.svg)`,
    '',
    `${result.date}, ${cpu}, ${memoryGiB} GiB, ${system}, Node ${node}, ${server}, ` +
      `commit ${result.commit}, \`npm run bench -- ${result.options}--row ${result.name}\`.`,
    '',
  ]
}

function markdownTable([head, ...body]) {
  const row = (line) => `| ${line.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  const rule = head.map((_, at) => (at === 0 ? '---' : '--:'))
  return [row(head), row(rule), ...body.map(row)]
}
