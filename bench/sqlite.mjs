/**
 * How fast locks in a file go, next to the least that could do it: round by round in turn, so that
 * whatever else the machine does meets all of them. The ratios are medians over the rounds.
 *
 * node bench/sqlite.mjs [--rows=handoff-8,pairs-1,pairs-8] [--modes=bare,engine,holdfast]
 *   [--rounds=9] [--ms=600] [--warm=3000 (turns of each process)] [--library=folder as built]
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { lay } from './sqlite-bare.mjs'

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: 'handoff-8,pairs-1,pairs-8' },
    modes: { type: 'string', default: 'bare,engine,holdfast' },
    rounds: { type: 'string', default: '9' },
    ms: { type: 'string', default: '600' },
    // Code that has just been loaded runs many times slower: that is not what is measured here.
    warm: { type: 'string', default: '3000' },
    library: { type: 'string', default: fileURLToPath(new URL('../dist', import.meta.url)) },
  },
})
const library = resolve(values.library)
const worker = fileURLToPath(new URL('sqlite-worker.mjs', import.meta.url))
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]

async function start(row, mode, processes, folder) {
  const children = Array.from({ length: processes }, (_, index) => {
    const job = { row, mode, folder, library, index, processes }
    const child = fork(worker, [JSON.stringify(job)])
    child.on('exit', (code) => {
      if (code !== 0) throw new Error(`a worker ended with ${code}`)
    })
    return child
  })
  await Promise.all(children.map((child) => once(child, 'message')))
  return children
}

async function warmUp(children) {
  const until = Date.now() + 60_000
  for (let turns = 0; turns < Number(values.warm) * children.length && Date.now() < until; ) {
    const { each } = await play(children, 1000)
    turns += each.reduce((sum, one) => sum + one, 0)
  }
}

async function play(children, forMs) {
  const startAt = Date.now() + 50
  const reports = await Promise.all(
    children.map(async (child) => {
      child.send({ startAt, forMs })
      return (await once(child, 'message'))[0]
    }),
  )
  return summary(reports, forMs)
}

function summary(reports, forMs) {
  const turns = reports.flatMap((report, at) => report.turns.map(([from, to]) => [from, to, at]))
  turns.sort((a, b) => a[0] - b[0])
  const gaps = []
  let overlaps = 0
  for (let at = 1; at < turns.length; at++) {
    const us = (turns[at][0] - turns[at - 1][1]) / 1000
    if (us < 0) overlaps += 1
    if (turns[at][2] !== turns[at - 1][2]) gaps.push(us)
  }
  const each = reports.map((report) => report.turns.length)
  return {
    perSecond: (turns.length / forMs) * 1000,
    cpuUs: reports.reduce((sum, { cpuUs }) => sum + cpuUs, 0) / turns.length,
    each,
    gaps,
    overlaps,
  }
}

async function measure(name) {
  const [row, processes] = name.split('-')
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'))
  const modes = values.modes.split(',')
  const groups = new Map()
  const rounds = new Map(modes.map((mode) => [mode, []]))
  try {
    lay(folder, Number(processes))
    for (const mode of modes) {
      groups.set(mode, await start(row, mode, Number(processes), folder))
      await warmUp(groups.get(mode))
    }
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const mode of modes) rounds.get(mode).push(await play(groups.get(mode), +values.ms))
    }
    for (const children of groups.values()) for (const child of children) child.send(null)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  const floor = rounds.get('bare')
  return modes.map((mode) => report(name, mode, rounds.get(mode), floor))
}

function report(row, mode, rounds, floor = rounds) {
  const total = rounds[0].each.map((_, at) => rounds.reduce((sum, { each }) => sum + each[at], 0))
  const [least, most] = [Math.min(...total), Math.max(...total)]
  const gaps = rounds.flatMap((round) => round.gaps).sort((a, b) => a - b)
  const ratio = (of) => median(rounds.map((round, at) => of(round, floor[at]))).toFixed(2)
  const handoff = row.startsWith('handoff')
  const overlaps = rounds.reduce((sum, round) => sum + round.overlaps, 0)
  if (handoff && overlaps > 0) throw new Error(`${mode}: ${overlaps} overlaps`)
  return {
    row,
    mode,
    'per second': Math.round(median(rounds.map(({ perSecond }) => perSecond))),
    'of bare': ratio((own, bare) => own.perSecond / bare.perSecond),
    'cpu us': Math.round(median(rounds.map(({ cpuUs }) => cpuUs))),
    'bare cpu/cpu': ratio((own, bare) => bare.cpuUs / own.cpuUs),
    'spread %': Number((((most - least) / most) * 100).toFixed(1)),
    'p50 us': handoff ? Math.round(gaps[Math.floor(gaps.length * 0.5)]) : '',
    'p99 us': handoff ? Math.round(gaps[Math.floor(gaps.length * 0.99)]) : '',
  }
}

const rows = []
for (const name of values.rows.split(',')) rows.push(...(await measure(name)))
console.table(rows)
