import { Crew } from '../suite/crew.mjs'
import { handOvers } from '../suite/hand-overs.mjs'
import { interleave, measured, ratio } from '../suite/rounds.mjs'
import { startServer } from '../suite/servers.mjs'
import { jain } from '../suite/statistics.mjs'

const FLOOR = 'BLPOP token'

function handOverRow(processes) {
  return {
    name: `handover-${processes}`,
    long: processes < 8,
    title: `${processes} processes on one lock: hand-overs from process to process`,
    ratio: `of the hand-overs of a ${FLOOR} pass`,
    columns: [
      { key: 'perSecond', label: 'hand-overs/s' },
      { key: 'grants', label: 'grants/s' },
      { key: 'jain', label: 'Jain fairness', digits: 4 },
      { key: 'gapUs', label: 'gap p50 µs' },
      { key: 'gap99Us', label: 'gap p99 µs' },
      { key: 'commands', label: 'commands per grant', digits: 2 },
      { key: 'cpuUs', label: 'client CPU µs per grant' },
    ],
    chart: { better: 'higher', log: true },
    run: (bench) => measureHandOvers(bench, processes),
  }
}

async function measureHandOvers(bench, processes) {
  const server = await startServer()
  const contenders = bench.pick(
    (one) => one.name === FLOOR || one.kind === 'holdfast' || bench.slowPeer(one),
    { slow: true },
  )
  const crews = new Map()
  const fastMs = bench.quick ? 250 : 500
  const peerRounds = bench.fewRounds(1, 3)
  const played = new Map()
  /** Hundreds of processes that only exist would cost those that go on playing. */
  const dismiss = async (name) => {
    played.set(name, (played.get(name) ?? 0) + 1)
    if (played.get(name) < peerRounds) return
    await crews.get(name).stop()
    crews.delete(name)
  }
  try {
    for (const contender of contenders) {
      bench.note(`starting ${processes} processes of ${contender.name}`)
      if (contender.token) await server.client.rpush(contender.name, 'token')
      const crew = await Crew.start(contender, processes, { url: server.url })
      crews.set(contender.name, crew)
      await warmUp(crew, contender.kind === 'peer' ? 500 : bench.warmMs)
    }
    const results = await interleave({
      contenders,
      rounds: bench.rounds(9, 21),
      roundsOf: ({ kind }) => (kind === 'peer' ? peerRounds : Number.POSITIVE_INFINITY),
      warmUp: 0,
      ...bench.pace,
      async turn(contender) {
        const forMs = contender.kind === 'peer' ? 1000 : fastMs
        const before = await server.usage()
        const round = await crews
          .get(contender.name)
          .contend('play', { name: contender.name, forMs })
        const after = await server.usage()
        const { sends } = contender
        const commands =
          (after.commands(sends) - before.commands(sends)) / Math.max(1, round.turns.length)
        if (contender.kind === 'peer') await dismiss(contender.name)
        return { ...handOvers(round, processes, forMs), commands }
      },
    })
    return assess(contenders, results, processes)
  } finally {
    await Promise.all([...crews.values()].map((crew) => crew.stop()))
    await server.stop()
  }
}

/**
 * First each process on a lock of its own with two lanes, which uses the whole machine, then all on
 * one.
 */
async function warmUp(crew, forMs) {
  const { name, token } = crew.contender
  if (!token) {
    await crew.apart('play', (index) => ({ name: `warm ${index}`, lanes: 2, forMs }))
  }
  await crew.contend('play', { name, forMs: token ? forMs : forMs / 3 })
}

function assess(contenders, results, processes) {
  const verdicts = []
  const entries = contenders.map(({ name, kind }) => {
    const of = (key) => measured(results, name, key)
    const own = results.get(name)
    // Over all rounds: one round alone may begin with one process more.
    const shares = own[0].shares.map((_, at) => own.reduce((sum, one) => sum + one.shares[at], 0))
    const fairness = jain(shares)
    const ratios = ratio(results, name, FLOOR, 'perSecond')
    const gaps = ratio(results, name, FLOOR, 'gapUs')
    if (kind === 'holdfast') {
      verdicts.push(
        { what: name, reach: '>= 0.85', got: ratios.median, met: ratios.median >= 0.85 },
        { what: `${name}, Jain`, reach: '>= 0.99', got: fairness, met: fairness >= 0.99 },
        { what: `${name}, gap p50`, reach: '<= 1.2', got: gaps.median, met: gaps.median <= 1.2 },
      )
    }
    const keys = ['perSecond', 'grants', 'gapUs', 'gap99Us', 'commands', 'cpuUs']
    const values = Object.fromEntries(keys.map((key) => [key, of(key)]))
    return { contender: name, kind, values: { ...values, jain: fairness }, ratio: ratios }
  })
  return { entries, verdicts, processes }
}

export const handover2 = handOverRow(2)
export const handover8 = handOverRow(8)

const WAITERS = 1000
const QUEUE = 'local queue + raw'

export const waiters1000 = {
  name: 'waiters-1000',
  title: '1,000 waiters of one process, each has the lock once',
  ratio: `of the time per grant of a ${QUEUE}`,
  columns: [
    { key: 'usPerGrant', label: 'µs per grant', digits: 1 },
    { key: 'commands', label: 'commands per grant', digits: 3 },
    { key: 'done', label: 'served' },
    { key: 'cpuUs', label: 'client CPU µs per grant' },
  ],
  chart: { better: 'lower', log: true, key: 'usPerGrant' },
  async run(bench) {
    const server = await startServer()
    const contenders = bench.pick(
      (one) => one.name === QUEUE || one.kind === 'holdfast' || bench.slowPeer(one),
      { slow: true, handover: true },
    )
    const crews = new Map()
    const peerMs = bench.quick ? 1500 : 4000
    try {
      const results = await interleave({
        contenders,
        rounds: bench.rounds(9, 31),
        roundsOf: ({ kind }) =>
          kind === 'peer' ? bench.fewRounds(1, 2) : Number.POSITIVE_INFINITY,
        warmUp: bench.quick ? 3 : 6,
        ...bench.pace,
        turn: (one) => burst(one, crews, server, one.kind === 'peer' ? peerMs : 60_000),
      })
      return assessWaiters(contenders, results)
    } finally {
      await Promise.all([...crews.values()].map((crew) => crew.stop()))
      await server.stop()
    }
  },
}

async function burst(contender, crews, server, capMs) {
  const { name, kind, sends } = contender
  let crew = crews.get(name)
  if (!crew) crews.set(name, (crew = await Crew.start(contender, 1, { url: server.url })))
  const before = await server.usage()
  const { turns, ms, cpuUs } = await crew.contend('burst', { name, lanes: WAITERS, capMs })
  const after = await server.usage()
  const done = turns.length
  if (done < WAITERS) {
    // The rest still polls: a new process, and a new lock, for the next round.
    crew.kill()
    crews.delete(name)
    await server.clear()
  }
  if (kind !== 'peer' && done < WAITERS) throw new Error(`${name} served ${done} in ${capMs} ms`)
  return {
    usPerGrant: (ms / Math.max(1, done)) * 1000,
    commands: (after.commands(sends) - before.commands(sends)) / Math.max(1, done),
    cpuUs: cpuUs / Math.max(1, done),
    done,
  }
}

function assessWaiters(contenders, results) {
  const verdicts = []
  const entries = contenders.map(({ name, kind, handover }) => {
    const keys = ['usPerGrant', 'commands', 'cpuUs', 'done']
    const values = Object.fromEntries(keys.map((key) => [key, measured(results, name, key)]))
    const times = ratio(results, name, QUEUE, 'usPerGrant')
    if (kind === 'holdfast') {
      const [most, commands] = handover ? [0.1, 0.1] : [1.2, 2.05]
      const sent = values.commands.median
      verdicts.push(
        { what: name, reach: `<= ${most}`, got: times.median, met: times.median <= most },
        { what: `${name}, commands`, reach: `<= ${commands}`, got: sent, met: sent <= commands },
      )
    }
    return { contender: name, kind, values, ratio: times }
  })
  return { entries, verdicts }
}
