import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lay } from '../contenders/sqlite-bare.mjs'
import { Crew } from '../suite/crew.mjs'
import { handOvers } from '../suite/hand-overs.mjs'
import { interleave, measured, ratio } from '../suite/rounds.mjs'

function sqliteRow({ name, title, processes, floor, play, columns, key, reach, long }) {
  return {
    name,
    long,
    title,
    ratio: `of the speed of the ${floor}`,
    columns: [...columns, { key: 'cpuUs', label: 'CPU µs of each' }],
    chart: { better: 'higher' },
    run: (bench) => measure(bench, { processes, floor, play, columns, key, reach }),
  }
}

async function measure(bench, { processes, floor, play, columns, key, reach }) {
  const contenders = bench.pick(({ name, kind }) => name === floor || kind !== 'floor', {
    engine: 'sqlite',
  })
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'))
  const crews = new Map()
  const forMs = bench.quick ? 200 : 600
  try {
    lay(folder, processes)
    for (const one of contenders) {
      bench.note(`starting ${one.name}`)
      crews.set(one.name, await Crew.start(one, processes, { folder }))
    }
    await warmUp([...crews.values()], play, bench)
    const results = await interleave({
      contenders,
      rounds: bench.rounds(5, 21),
      warmUp: 1,
      ...bench.pace,
      turn: ({ name }) => play(crews.get(name), forMs),
    })
    const entries = contenders.map(({ name, kind }) => {
      const keys = [...columns.map((column) => column.key), 'cpuUs']
      const values = Object.fromEntries(keys.map((one) => [one, measured(results, name, one)]))
      return { contender: name, kind, values, ratio: ratio(results, name, floor, key) }
    })
    const verdicts = entries
      .filter(({ contender }) => contender === 'holdfast on SQLite')
      .map(({ contender, ratio: { median } }) => {
        return { what: contender, reach: `>= ${reach}`, got: median, met: median >= reach }
      })
    return { entries, verdicts }
  } finally {
    await Promise.all([...crews.values()].map((crew) => crew.stop()))
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * By turns, as they are measured: code that rests while all the others warm up is thrown away, and
 * whoever began would be the coldest.
 */
async function warmUp(crews, play, bench) {
  const forMs = bench.quick ? bench.warmMs / 1.5 : bench.warmMs
  const parts = Math.max(1, Math.round(forMs / 1000))
  for (let part = 0; part < parts; part++) {
    bench.note(`warming up, ${part + 1} of ${parts}`)
    for (const crew of crews) await play(crew, forMs / parts)
  }
}

async function playPairs(crew, forMs) {
  const apart = await crew.apart('play', (index) => ({ name: `lock-${index}`, forMs }))
  const pairs = apart.reduce((sum, { turns }) => sum + turns.length, 0)
  const cpuUs = apart.reduce((sum, one) => sum + one.cpuUs, 0) / pairs
  return { perSecond: (pairs / forMs) * 1000, cpuUs }
}

const pairs = {
  floor: 'bare transactions',
  play: playPairs,
  columns: [{ key: 'perSecond', label: 'pairs/s' }],
  key: 'perSecond',
  reach: 0.8,
}

export const sqlite1 = sqliteRow({
  ...pairs,
  name: 'sqlite-1',
  title: 'A lock in a file, taken and released by one process',
  processes: 1,
})

export const sqlite8 = sqliteRow({
  ...pairs,
  name: 'sqlite-8',
  title: 'Locks in a file, taken and released by 8 processes, each its own',
  processes: 8,
})

export const sqliteHandover8 = sqliteRow({
  name: 'sqlite-handover-8',
  long: true,
  title: '8 processes on one lock in a file: hand-overs from process to process',
  processes: 8,
  floor: 'bare hand-off',
  play: async (crew, forMs) =>
    handOvers(await crew.contend('play', { name: 'lock', forMs }), 8, forMs),
  columns: [
    { key: 'perSecond', label: 'hand-overs/s' },
    { key: 'jain', label: 'Jain fairness of a round', digits: 4 },
    { key: 'gapUs', label: 'gap p50 µs' },
    { key: 'gap99Us', label: 'gap p99 µs' },
  ],
  key: 'perSecond',
  reach: 0.6,
})
