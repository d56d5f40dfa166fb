import { Gate } from '../suite/overlap.mjs'
import { interleave, measured, ratio } from '../suite/rounds.mjs'
import { startServer } from '../suite/servers.mjs'

/** Each contender with the floor that uses the same client. */
const floorOf = ({ name }) => (name.endsWith('node-redis') ? 'raw, node-redis' : 'raw, ioredis')

/**
 * @param {object} bench
 * @param {(opened: object, gate: Gate) => (forMs: number) => Promise<number>} play makes of an
 *   opened contender what it does in one round, which gives the number of pairs
 */
async function takeAndRelease(bench, { rounds, forMs, play }) {
  const server = await startServer()
  const contenders = bench.pick(
    ({ kind, name, polling }) =>
      name.startsWith('raw, ') || kind === 'holdfast' || polling === 'defaults',
  )
  try {
    const playing = new Map()
    for (const contender of contenders) {
      const gate = new Gate()
      const opened = await contender.open({ url: server.url })
      playing.set(contender.name, { opened, gate, go: play(opened, gate) })
    }
    const results = await interleave({
      contenders,
      rounds,
      warmUp: 10,
      ...bench.pace,
      async turn(contender) {
        const { gate, go } = playing.get(contender.name)
        const before = await server.usage()
        const from = performance.now()
        const pairs = await go(forMs)
        const perSecond = (pairs / (performance.now() - from)) * 1000
        const after = await server.usage()
        gate.check(contender.name)
        const { sends } = contender
        return {
          perSecond,
          commands: (after.commands(sends) - before.commands(sends)) / pairs,
          busyUs: (after.busyUs(sends) - before.busyUs(sends)) / pairs,
          cpuUs: (after.cpuUs - before.cpuUs) / pairs,
        }
      },
    })
    for (const { opened } of playing.values()) await opened.close()
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
      play: (opened, gate) => {
        const lock = opened.lock('pairs')
        return (forMs) => loop(lock, 'pairs', gate, performance.now() + forMs)
      },
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

async function loop(lock, name, gate, end) {
  let pairs = 0
  for (; performance.now() < end; pairs++) {
    const grant = await lock.acquire()
    gate.enter(name, grant?.fence)
    gate.leave(name)
    await lock.release(grant)
  }
  return pairs
}

const KEYS = 1000
const LANES = 64

/** Makes 64 lanes that take the locks in turn. */
function lanesOver(opened, gate) {
  const locks = Array.from({ length: KEYS }, (_, at) => opened.lock(`key ${at}`))
  // In turn, so that no two lanes have the same at once: the raw pair cannot wait.
  let next = 0
  return async (forMs) => {
    const end = performance.now() + forMs
    let pairs = 0
    const lane = async () => {
      while (performance.now() < end) {
        const at = next
        next = (next + 1) % KEYS
        const grant = await locks[at].acquire()
        gate.enter(at, grant?.fence)
        gate.leave(at)
        await locks[at].release(grant)
        pairs += 1
      }
    }
    await Promise.all(Array.from({ length: LANES }, lane))
    return pairs
  }
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
      play: lanesOver,
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
      play: lanesOver,
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
