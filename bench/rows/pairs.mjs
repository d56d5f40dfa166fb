import { Crew } from '../suite/crew.mjs'
import { interleave, measured, ratio } from '../suite/rounds.mjs'
import { startServer } from '../suite/servers.mjs'

const MANY = { locks: 1000, lanes: 64 }

/** Each contender with the floor that uses the same client. */
const floorOf = ({ name }) => (name.endsWith('node-redis') ? 'raw, node-redis' : 'raw, ioredis')

/**
 * Each contender in a process of its own, as in a program that has one client and one lock library:
 * with several of each in one process, all of them would be slower.
 *
 * @param {object} bench
 * @param {{ rounds: number, forMs: number, locks: number, lanes: number }} how
 */
async function takeAndRelease(bench, { rounds, forMs, locks, lanes }) {
  const server = await startServer()
  const contenders = bench.pick(
    ({ kind, name, polling }) =>
      name.startsWith('raw, ') || kind === 'holdfast' || polling === 'defaults',
  )
  const crews = new Map()
  const play = ({ name }, ms) => crews.get(name).free({ locks, lanes, forMs: ms })
  try {
    const starts = contenders.map(async (one) => {
      crews.set(one.name, await Crew.start(one, 1, { url: server.url }))
    })
    // Those that start later than one that fails are to be stopped as well.
    await Promise.allSettled(starts)
    await Promise.all(starts)
    // Many at once, so that all code is soon compiled.
    for (const crew of crews.values()) await crew.free({ ...MANY, forMs: bench.warmMs / 10 })
    const results = await interleave({
      contenders,
      rounds,
      ...bench.pace,
      async turn(contender) {
        const { sends } = contender
        const before = await server.usage()
        const { pairs, ms } = await play(contender, forMs)
        const after = await server.usage()
        return {
          perSecond: (pairs / ms) * 1000,
          commands: (after.commands(sends) - before.commands(sends)) / pairs,
          busyUs: (after.busyUs(sends) - before.busyUs(sends)) / pairs,
          cpuUs: (after.cpuUs - before.cpuUs) / pairs,
        }
      },
    })
    return contenders.map((contender) => {
      const { name, kind } = contender
      const keys = ['perSecond', 'commands', 'busyUs', 'cpuUs']
      const ratios = Object.fromEntries(
        keys.map((key) => [key, ratio(results, name, floorOf(contender), key)]),
      )
      const values = Object.fromEntries(keys.map((key) => [key, measured(results, name, key)]))
      return { contender: name, kind, values, ratio: ratios.perSecond, ratios }
    })
  } finally {
    await Promise.all([...crews.values()].map((crew) => crew.stop()))
    await server.stop()
  }
}

const columns = [
  { key: 'perSecond', label: 'pairs/s' },
  { key: 'commands', label: 'commands per pair', digits: 3 },
]

export const pairs = {
  name: 'pairs',
  title: 'Take and release one free lock, one after another',
  ratio: 'of the speed of the raw pair on the same client',
  columns,
  chart: { better: 'higher' },
  async run(bench) {
    const entries = await takeAndRelease(bench, {
      rounds: bench.rounds(13, 61),
      forMs: bench.quick ? 25 : 60,
      locks: 1,
      lanes: 1,
    })
    const verdicts = entries
      .filter(({ kind }) => kind === 'holdfast')
      .flatMap(({ contender, ratio, values }) => [
        { what: contender, reach: '>= 0.92 of raw', got: ratio.median, met: ratio.median >= 0.92 },
        {
          what: `${contender}, commands`,
          reach: 'exactly 2',
          got: values.commands.median,
          met: values.commands.median === 2,
        },
      ])
    return { entries, verdicts }
  },
}

export const manyKeys = {
  name: 'many-keys',
  title: '64 in flight over 1,000 locks',
  ratio: 'of the speed of the raw pairs on the same client',
  columns,
  chart: { better: 'higher' },
  async run(bench) {
    const entries = await takeAndRelease(bench, {
      rounds: bench.rounds(11, 61),
      forMs: bench.quick ? 40 : 80,
      ...MANY,
    })
    const verdicts = entries
      .filter(({ kind }) => kind === 'holdfast')
      .map(({ contender, ratio }) => {
        const got = ratio.median
        return { what: contender, reach: '>= 0.90 of raw', got, met: got >= 0.9 }
      })
    return { entries, verdicts }
  },
}

export const serverCpu = {
  name: 'server-cpu',
  title: 'Server time of one take and release, with 64 in flight over 1,000 locks',
  ratio: 'of the time in commands of the raw pair',
  columns: [
    { key: 'busyUs', label: 'µs in commands', digits: 1 },
    { key: 'cpuUs', label: 'µs CPU of the whole server', digits: 1 },
  ],
  chart: { better: 'lower' },
  notes: [
    'In commands: what INFO commandstats tells of those that the client sent. The whole server ' +
      'also reads, writes and parses.',
  ],
  async run(bench) {
    const measured = await takeAndRelease(bench, {
      rounds: bench.rounds(7, 41),
      forMs: bench.quick ? 50 : 100,
      ...MANY,
    })
    const entries = measured.map((entry) => ({ ...entry, ratio: entry.ratios.busyUs }))
    const verdicts = entries
      .filter(({ kind }) => kind === 'holdfast')
      .flatMap(({ contender, ratios: { busyUs, cpuUs } }) => {
        const [inCommands, whole] = [busyUs.median, cpuUs.median]
        return [
          {
            what: `${contender}, in commands`,
            reach: '<= 2.5',
            got: inCommands,
            met: inCommands <= 2.5,
          },
          { what: `${contender}, whole server`, reach: '<= 2.5', got: whole, met: whole <= 2.5 },
        ]
      })
    return { entries, verdicts }
  },
}
