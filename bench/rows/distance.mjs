import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Crew } from '../suite/crew.mjs'
import { interleave, measured } from '../suite/rounds.mjs'
import { startServer } from '../suite/servers.mjs'

const script = fileURLToPath(new URL('../suite/proxy.mjs', import.meta.url))

async function distantServer(server, delayMs) {
  const child = fork(script, [JSON.stringify({ target: server.port, delayMs })])
  const [port] = await once(child, 'message')
  return { url: `redis://127.0.0.1:${port}`, stop: () => child.kill('SIGKILL') }
}

function distanceRow(delayMs) {
  return {
    name: `distance-${delayMs}`,
    long: delayMs > 1,
    title: `Hand-off at a distance of ${delayMs} ms each way, from release to grant`,
    columns: [
      { key: 'roundTrips', label: 'round trips', digits: 2 },
      { key: 'ms', label: 'ms', digits: 2 },
    ],
    chart: { better: 'lower', log: true },
    notes: ['A round trip is the PING of an idle connection over the same network.'],
    run: (bench) => measureDistance(bench, delayMs),
  }
}

async function measureDistance(bench, delayMs) {
  const server = await startServer()
  const far = await distantServer(server, delayMs)
  const contenders = bench.pick(
    ({ name, kind, polling }) =>
      name === 'BLPOP token' ||
      kind === 'holdfast' ||
      (polling && (!bench.quick || bench.slowPeer({ kind, name }))),
  )
  const crews = new Map()
  const times = bench.quick ? 6 : 10
  const settleMs = 4 * delayMs + 4
  /** Both ends in one process, and a process for each contender. */
  const start = async (contender) => {
    const { name, kind, token } = contender
    // Longer than it lies between two rounds: not all renew what they hold.
    const crew = await Crew.start(contender, 1, { url: server.url, ttlMs: 300_000 })
    crews.set(name, crew)
    const near = `near ${name}`
    if (token) for (const list of [near, name]) await server.client.rpush(list, 'token')
    if (kind === 'peer') return
    // Without the distance, for the code to be compiled: a hand-off takes a millisecond or two.
    const warm = { url: server.url, times: bench.warmMs / 10, settleMs: 0 }
    await crew.order('give', { ...warm, name: near })
  }
  try {
    for (const contender of contenders) await start(contender)
    const results = await interleave({
      contenders,
      rounds: bench.rounds(7, 21),
      roundsOf: ({ kind }) => (kind === 'peer' ? bench.fewRounds(1, 3) : Number.POSITIVE_INFINITY),
      ...bench.pace,
      async turn({ name }) {
        const [report] = await crews
          .get(name)
          .order('give', { name, url: far.url, times, settleMs })
        return { ms: report.ms, roundTrips: report.ms / report.tripMs }
      },
    })
    const entries = contenders.map(({ name, kind }) => ({
      contender: name,
      kind,
      values: {
        roundTrips: measured(results, name, 'roundTrips'),
        ms: measured(results, name, 'ms'),
      },
    }))
    const verdicts = entries
      .filter(({ kind }) => kind === 'holdfast')
      .map(({ contender, values }) => {
        const got = values.roundTrips.median
        return { what: contender, reach: '<= 1.1 round trips', got, met: got <= 1.1 }
      })
    return { entries, verdicts }
  } finally {
    await Promise.all([...crews.values()].map((crew) => crew.stop()))
    far.stop()
    await server.stop()
  }
}

export const distance1 = distanceRow(1)
export const distance5 = distanceRow(5)
