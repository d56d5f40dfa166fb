import { setTimeout as pause } from 'node:timers/promises'
import { Crew } from '../suite/crew.mjs'
import { interleave, measured, ratio } from '../suite/rounds.mjs'
import { startServer } from '../suite/servers.mjs'

/* What it costs that locks are held and waited for, while nothing or little happens. */

/** Resolves when clients have gone quiet, or after `mostMs` where they never do. */
async function settled(server, sends, mostMs) {
  const until = performance.now() + mostMs
  let before = -1
  while (performance.now() < until) {
    const now = (await server.usage()).commands(sends)
    if (now === before) return
    before = now
    await pause(100)
  }
}

async function rateOf(server, sends, windowMs) {
  const before = await server.usage()
  const from = performance.now()
  await pause(windowMs)
  const after = await server.usage()
  const seconds = (performance.now() - from) / 1000
  return (after.commands(sends) - before.commands(sends)) / seconds
}

const WAITERS = 100

async function commandsOfWaiters(contender, processes, windowMs) {
  const server = await startServer()
  const crew = await Crew.start(contender, processes, { url: server.url })
  try {
    const lanes = WAITERS / processes
    // One has it before any other asks.
    await crew.order('wait', (index) => ({ name: 'idle', lanes: 0, hold: index === 0 }))
    await crew.order('wait', { name: 'idle', lanes, hold: false })
    await settled(server, contender.sends, 2000)
    return await rateOf(server, contender.sends, windowMs)
  } finally {
    crew.kill()
    await server.stop()
  }
}

export const waiting = {
  name: 'waiting',
  title: '100 waiters while nothing happens',
  columns: [
    { key: 'one', label: 'commands/s, one process', digits: 2 },
    { key: 'ten', label: 'commands/s, ten processes', digits: 2 },
  ],
  chart: { better: 'lower', log: true },
  notes: ['The floor is 0: a blocked client of the BLPOP token sends nothing.'],
  async run(bench) {
    const contenders = bench.pick(
      ({ name, kind, polling }) => name === 'BLPOP token' || kind === 'holdfast' || polling,
      { slow: true },
    )
    const quiet = contenders.filter(({ kind }) => kind === 'holdfast')
    bench.note('Holdfast')
    const windowMs = bench.quick ? 6000 : 30_000
    // They send so little that they do not disturb each other, each on a server of its own.
    const rates = await Promise.all(
      quiet.map(async (contender) => {
        const [one, ten] = await Promise.all(
          [1, 10].map((processes) => commandsOfWaiters(contender, processes, windowMs)),
        )
        return { contender: contender.name, kind: contender.kind, values: { one, ten } }
      }),
    )
    const peers = contenders.filter(({ kind }) => kind === 'peer')
    for (const peer of bench.quick ? peers.filter((one) => bench.slowPeer(one)) : peers) {
      bench.note(peer.name)
      const one = await commandsOfWaiters(peer, 1, 2000)
      const ten = bench.quick ? Number.NaN : await commandsOfWaiters(peer, 10, 2000)
      rates.push({ contender: peer.name, kind: peer.kind, values: { one, ten } })
    }
    const verdicts = rates
      .filter(({ kind }) => kind === 'holdfast')
      .flatMap(({ contender, values: { one, ten } }) => [
        { what: `${contender}, one process`, reach: '<= 5', got: one, met: one <= 5 },
        { what: `${contender}, ten processes`, reach: '<= 20', got: ten, met: ten <= 20 },
      ])
    return { entries: rates, verdicts }
  },
}

const LOCKS = 1000

async function commandsOfHolders(contender, ttls, ttlMs) {
  const server = await startServer()
  const crew = await Crew.start(contender, 1, { url: server.url, ttlMs })
  try {
    await crew.order('keep', { locks: LOCKS })
    await pause(ttlMs)
    const perSecond = await rateOf(server, contender.sends, ttls * ttlMs)
    // What lies beside a lock, such as the record of its fence, is no lock.
    const held = (await server.client.keys('*')).filter((key) => !key.includes('~')).length
    return { perTtl: (perSecond * ttlMs) / 1000 / LOCKS, held }
  } finally {
    crew.kill()
    await server.stop()
  }
}

/** The peers that renew what they hold. */
const RENEWING = [
  'redlock 5 beta',
  '@sesamecare-oss/redlock',
  'redis-semaphore',
  'redlock-universal',
]

export const renewals = {
  name: 'renewals',
  title: '1,000 held locks renewed',
  columns: [
    { key: 'perTtl', label: 'commands per lock and ttl', digits: 4 },
    { key: 'held', label: 'still held at the end' },
  ],
  chart: { better: 'lower', log: true },
  async run(bench) {
    const contenders = bench.pick(
      ({ name, kind }) => kind === 'holdfast' || RENEWING.includes(name),
    )
    const measure = bench.quick ? [1, 3000] : [3, 10_000]
    bench.note('all at once, each on a server of its own')
    const entries = await Promise.all(
      contenders.map(async (one) => {
        const { perTtl, held } = await commandsOfHolders(one, ...measure)
        if (held < LOCKS && one.kind === 'holdfast') {
          throw new Error(`${one.name}: only ${held} of ${LOCKS} locks were kept`)
        }
        return { contender: one.name, kind: one.kind, values: { perTtl, held } }
      }),
    )
    const verdicts = entries
      .filter(({ kind }) => kind === 'holdfast')
      .map(({ contender, values: { perTtl } }) => {
        return { what: contender, reach: '<= 0.02', got: perTtl, met: perTtl <= 0.02 }
      })
    return { entries, verdicts }
  },
}

const SIZES = [10, 100, 1000, 5000]

/** The peers whose line is formed too; they are slow, and one tells it. */
const GROWING = ['redlock 5 beta', 'redis-semaphore']

export const growth = {
  name: 'growth',
  title: 'Time per grant in a line of 10, 100, 1,000 and 5,000 waiters of one process',
  ratio: 'of the time with 10 waiters, in the same round',
  columns: [
    { key: 'usPerGrant', label: 'µs per grant', digits: 1 },
    { key: 'commands', label: 'commands per grant', digits: 3 },
  ],
  chart: { better: 'lower', lines: 'waiters', key: 'usPerGrant', log: true },
  notes: ['Whoever has had the lock stands in line again: the line never gets shorter.'],
  async run(bench) {
    const contenders = bench.pick(
      ({ name, kind }) =>
        name === 'local queue + raw' ||
        kind === 'holdfast' ||
        (GROWING.includes(name) && !bench.quick),
      { slow: true },
    )
    const lines = contenders.flatMap((contender) =>
      SIZES.map((size) => ({ name: `${contender.name}, ${size}`, contender, size })),
    )
    const server = await startServer()
    const crews = new Map()
    try {
      const results = await interleave({
        contenders: lines,
        rounds: bench.rounds(2, 7),
        roundsOf: ({ contender }) =>
          contender.kind === 'peer' ? bench.fewRounds(1, 1) : Number.POSITIVE_INFINITY,
        warmUp: 1,
        ...bench.pace,
        turn: ({ contender, size }) => moveLine({ bench, server, crews, contender, size }),
      })
      return assessGrowth(lines, results)
    } finally {
      await Promise.all([...crews.values()].map((crew) => crew.stop()))
      await server.stop()
    }
  },
}

async function moveLine({ bench, server, crews, contender, size }) {
  const { name, kind, sends } = contender
  let crew = crews.get(name)
  if (!crew) crews.set(name, (crew = await Crew.start(contender, 1, { url: server.url })))
  const peer = kind === 'peer'
  await crew.order('stand', { name: `${name} ${size}`, lanes: size })
  await settled(server, sends, peer ? 1000 : 10_000)
  const before = await server.usage()
  const grants = bench.quick ? 1000 : 5000
  const report = await crew.contend('move', { grants, capMs: peer ? 3000 : 60_000 })
  const after = await server.usage()
  const done = Math.max(1, report.grants)
  if (peer) {
    // Whoever polls would take a long time to scatter.
    crew.kill()
    crews.delete(name)
    await server.clear()
  } else {
    await crew.order('scatter', {})
  }
  return {
    usPerGrant: (report.ms / done) * 1000,
    commands: (after.commands(sends) - before.commands(sends)) / done,
  }
}

function assessGrowth(lines, results) {
  const verdicts = []
  const entries = lines.map(({ name, contender, size }) => {
    const smallest = `${contender.name}, ${SIZES[0]}`
    const times = ratio(results, name, smallest, 'usPerGrant')
    const commands = measured(results, name, 'commands')
    if (contender.kind === 'holdfast' && size === SIZES.at(-1)) {
      const first = measured(results, smallest, 'commands').median
      const grown = commands.median / first
      verdicts.push(
        {
          what: `${contender.name}, time`,
          reach: '<= 1.5',
          got: times.median,
          met: times.median <= 1.5,
        },
        { what: `${contender.name}, commands`, reach: 'flat', got: grown, met: grown <= 1.05 },
      )
    }
    return {
      contender: name,
      series: contender.name,
      at: size,
      kind: contender.kind,
      values: { usPerGrant: measured(results, name, 'usPerGrant'), commands },
      ratio: times,
    }
  })
  return { entries, verdicts }
}
