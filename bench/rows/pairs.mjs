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
      warmUp: bench.quick ? 3 : 10,
      progress: bench.progress,
      async turn(contender) {
        const { gate, go } = playing.get(contender.name)
        const before = await server.usage()
        const from = performance.now()
        const pairs = await go(forMs)
        const perSecond = (pairs / (performance.now() - from)) * 1000
        const after = await server.usage()
        gate.check(contender.name)
        const sends = contender.sends
        return { perSecond, commands: (after.commands(sends) - before.commands(sends)) / pairs }
      },
    })
    for (const { opened } of playing.values()) await opened.close()
    return contenders.map((contender) => ({
      contender: contender.name,
      kind: contender.kind,
      values: {
        perSecond: measured(results, contender.name, 'perSecond'),
        commands: measured(results, contender.name, 'commands'),
      },
      ratio: ratio(results, contender.name, floorOf(contender), 'perSecond'),
    }))
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
      rounds: bench.rounds(15, 61),
      forMs: bench.quick ? 30 : 60,
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

export const manyKeys = {
  name: 'many-keys',
  title: '64 in flight over 1,000 locks',
  ratio: 'of the speed of the raw pairs on the same client',
  columns,
  chart: { better: 'higher' },
  async run(bench) {
    const entries = await takeAndRelease(bench, {
      rounds: bench.rounds(15, 61),
      forMs: bench.quick ? 40 : 80,
      play: (opened, gate) => {
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
      },
    })
    const verdicts = entries
      .filter(({ kind }) => kind === 'holdfast')
      .map(({ contender, ratio }) => ({
        what: contender,
        reach: '>= 0.90 of raw',
        got: ratio.median,
        met: ratio.median >= 0.9,
      }))
    return { entries, verdicts }
  },
}
