#!/usr/bin/env node
/** Measures Holdfast next to the raw floor and the packages users have. `--help` says how. */
import { execFileSync } from 'node:child_process'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { prepare } from './suite/prepare.mjs'
import { progressLine } from './suite/progress.mjs'

const HELP = `npm run bench                      a quick table of most rows, in under two minutes
npm run bench -- --full            all rows at length, with JSON, Markdown and charts
npm run bench -- --row NAME        one row; may be given several times

  --full            more and longer rounds, all peers, and files in the folder of --out
  --row NAME        only this row
  --list            names the rows and the contenders, and measures nothing
  --only NAME       only this contender besides the floors; may be given several times
  --no-peers        only the floors and Holdfast; installs nothing
  --rounds N        so many rounds, whatever the row finds right
  --out FOLDER      where the files of a full run go (bench/results); given, also a quick run
                    writes them
  --json            prints the results as JSON, and no table
  --library FOLDER  measures this build instead of dist/, which is otherwise built when it is older
                    than src/
  --against FOLDER  measures another build too, in the same rounds
  --help            this text

Ends with 1 when a lock was held twice at once, or a row failed. A reach that is missed is told
and changes nothing.`

const options = {
  full: { type: 'boolean', default: false },
  row: { type: 'string', multiple: true },
  list: { type: 'boolean', default: false },
  only: { type: 'string', multiple: true },
  'no-peers': { type: 'boolean', default: false },
  rounds: { type: 'string' },
  out: { type: 'string' },
  json: { type: 'boolean', default: false },
  library: { type: 'string' },
  against: { type: 'string' },
  help: { type: 'boolean', default: false },
}

function commit() {
  try {
    const told = (...args) => execFileSync('git', args, { encoding: 'utf8' }).trim()
    const changed = told('status', '--porcelain', '--', 'src') !== ''
    return `${told('rev-parse', '--short', 'HEAD')}${changed ? ' with changes' : ''}`
  } catch {
    return 'unknown'
  }
}

async function main(values) {
  if (values.library) process.env.HOLDFAST_BENCH_LIBRARY = resolve(values.library)
  if (values.against) process.env.HOLDFAST_BENCH_AGAINST = resolve(values.against)
  const line = progressLine()
  const peers = !values['no-peers'] && !values.list
  prepare({ tell: line.tell, peers, build: !values.library && !values.list })
  // They import what has just been made.
  const { rows } = await import('./rows/index.mjs')
  const { Bench } = await import('./suite/bench.mjs')
  const { contenders } = await import('./contenders/index.mjs')
  if (values.list) {
    for (const { name, title } of rows) console.log(`${name.padEnd(20)} ${title}`)
    console.log(`\ncontenders: ${contenders.map(({ name }) => name).join('; ')}`)
    return
  }
  const unknown = (values.row ?? []).filter((name) => !rows.some((row) => row.name === name))
  if (unknown.length > 0) {
    throw new TypeError(`no row is named ${unknown.join(', ')}: --list names them`)
  }
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds)
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) {
    throw new RangeError(`--rounds must be a whole number above 0, got ${values.rounds}`)
  }
  const bench = new Bench({
    quick: !values.full,
    only: values.only,
    peers,
    rounds,
    progress: line.tell,
  })
  const wanted = rows.filter(({ name, long }) =>
    values.row ? values.row.includes(name) : values.full || !long,
  )
  await runRows(wanted, bench, rows, values, line)
}

async function runRows(wanted, bench, rows, values, line) {
  const { machine, keep, writePage } = await import('./suite/outputs.mjs')
  const { rowText } = await import('./suite/text.mjs')
  const folder = values.out ?? fileURLToPath(new URL('results', import.meta.url))
  const writes = values.full || values.out !== undefined
  const options = `${values.full ? '--full ' : ''}${values.rounds ? `--rounds ${values.rounds} ` : ''}`
  const facts = { machine: await machine(), commit: commit(), date: today(), options }
  const results = []
  for (const row of wanted) {
    bench.row = row.name
    bench.note('starting')
    const { run, ...told } = row
    try {
      const result = { ...told, ...facts, ...(await run(bench)) }
      results.push(result)
      line.clear()
      if (!values.json) console.log(rowText(result))
      if (writes) keep(folder, result)
    } catch (error) {
      line.clear()
      console.error(`${row.name} failed: ${error.name === 'OverlapError' ? error : error.stack}`)
      process.exitCode = 1
    }
  }
  if (writes)
    writePage(
      folder,
      rows.map(({ name }) => name),
    )
  if (values.json) console.log(JSON.stringify(results, null, 1))
}

// Servers are stopped when this process exits, so it must exit in its own way.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130))

const today = () => new Date().toISOString().slice(0, 10)

try {
  const { values } = parseArgs({ options })
  if (values.help) console.log(HELP)
  else await main(values)
} catch (error) {
  console.error(error instanceof TypeError || error instanceof RangeError ? error.message : error)
  process.exitCode = 2
}
// Clients of peers may keep timers.
process.exit()
