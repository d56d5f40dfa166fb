/**
 * How fast a lock in a file goes from process to process, next to the least that could do it.
 * `node bench/sqlite-handoff.mjs [processes] [ms] [warm-up ms] [folder of the built library]`
 */
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const [processes = '8', ms = '2000', warmMs = '3000', library] = process.argv.slice(2)
const count = Number(processes)
const built = library ?? fileURLToPath(new URL('../dist', import.meta.url))
const worker = fileURLToPath(new URL('sqlite-handoff-worker.mjs', import.meta.url))

async function run(mode) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'))
  try {
    for (let at = 0; at < count; at++) writeFileSync(join(folder, `bell-${at}`), '.')
    const sqlite =
      process.getBuiltinModule?.('node:sqlite') ??
      createRequire(import.meta.url)('@photostructure/sqlite')
    const db = new sqlite.DatabaseSync(join(folder, 'bare.db'))
    db.exec(
      'PRAGMA journal_mode = WAL; CREATE TABLE l (owner, fence); INSERT INTO l VALUES (NULL, 0); ' +
        'CREATE TABLE q (seq INTEGER PRIMARY KEY AUTOINCREMENT, id)',
    )
    const startAt = Date.now() + 1500
    const reports = await Promise.all(
      Array.from({ length: count }, async (_, index) => {
        const job = {
          mode,
          folder,
          library: built,
          index,
          processes: count,
          forMs: Number(ms),
          warmMs: Number(warmMs),
          startAt,
        }
        const child = fork(worker, [JSON.stringify(job)])
        return await new Promise((resolve, reject) => {
          child.once('message', resolve)
          child.once('error', reject)
          child.once('exit', (code) => reject(new Error(`a worker ended with ${code}`)))
        })
      }),
    )
    db.close()
    return summary(mode, reports)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function summary(mode, reports) {
  const turns = reports.flatMap((report, at) => report.turns.map(([from, to]) => [from, to, at]))
  turns.sort((a, b) => a[0] - b[0])
  const handoffs = []
  let overlaps = 0
  for (let at = 1; at < turns.length; at++) {
    const us = (turns[at][0] - turns[at - 1][1]) / 1000
    if (us < 0) overlaps += 1
    if (turns[at][2] !== turns[at - 1][2]) handoffs.push(us)
  }
  handoffs.sort((a, b) => a - b)
  const at = (part) => Math.round(handoffs[Math.floor(handoffs.length * part)] ?? 0)
  const each = reports.map((report) => report.turns.length)
  const [least, most] = [Math.min(...each), Math.max(...each)]
  return {
    mode,
    'per second': Math.round((turns.length / Number(ms)) * 1000),
    'least..most': `${least}..${most}`,
    'spread %': Number((((most - least) / most) * 100).toFixed(1)),
    'p50 us': at(0.5),
    'p99 us': at(0.99),
    overlaps,
    'cpu us each': Math.round(reports.reduce((sum, { cpuUs }) => sum + cpuUs, 0) / turns.length),
  }
}

const rows = []
for (const mode of ['bare', 'engine', 'holdfast', 'bare']) rows.push(await run(mode))
console.table(rows)
