import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { Gate } from '../suite/overlap.mjs'
import { interleave, measured } from '../suite/rounds.mjs'
import { startServer } from '../suite/servers.mjs'
import { median } from '../suite/statistics.mjs'

const script = fileURLToPath(new URL('../suite/proxy.mjs', import.meta.url))

async function distantServer(server, delayMs) {
  const child = fork(script, [JSON.stringify({ target: server.port, delayMs })])
  const [port] = await once(child, 'message')
  return { url: `redis://127.0.0.1:${port}`, stop: () => child.kill('SIGKILL') }
}

/** Two ends of one lock that give it to each other. */
async function pairOf(contender, name, url, client) {
  // Longer than it lies between two rounds: not all renew what they hold.
  const to = { url, ttlMs: 300_000 }
  const opened = [await contender.open(to), await contender.open(to)]
  const locks = opened.map((one) => one.lock(name))
  if (contender.token) await client.rpush(name, 'token')
  return { locks, holder: 0, grant: await locks[0].acquire(), gate: new Gate(), opened }
}

/** How long until the other end has it, from the call that releases. */
async function handOff(pair, name, settleMs) {
  const next = 1 - pair.holder
  let at = 0
  const waiting = pair.locks[next].acquire().then((grant) => {
    at = performance.now()
    pair.gate.enter(name, grant?.fence)
    return grant
  })
  await pause(settleMs)
  pair.gate.leave(name)
  const from = performance.now()
  const [grant] = await Promise.all([waiting, pair.locks[pair.holder].release(pair.grant)])
  Object.assign(pair, { holder: next, grant })
  return at - from
}

async function leave({ opened, locks, holder, grant }) {
  // Some would go on renewing it over a closed connection, and throw.
  await locks[holder].release(grant)
  await Promise.all(opened.map((one) => one.close()))
}

/** Without the distance, for the code to be compiled. */
async function warmUp(contender, server, forMs) {
  const name = `warm ${contender.name}`
  const pair = await pairOf(contender, name, server.url, server.client)
  for (const from = performance.now(); performance.now() < from + forMs; ) {
    await handOff(pair, name, 0)
  }
  await leave(pair)
}

async function roundTrip(client) {
  const from = performance.now()
  await client.ping()
  return performance.now() - from
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
  const client = new Redis(far.url)
  const contenders = bench.pick(
    ({ name, kind, polling }) =>
      name === 'BLPOP token' ||
      kind === 'holdfast' ||
      (polling && (!bench.quick || bench.slowPeer({ kind, name }))),
  )
  const pairs = new Map()
  const times = bench.quick ? 6 : 10
  const settleMs = 4 * delayMs + 4
  try {
    for (const one of contenders) {
      if (one.kind !== 'peer') await warmUp(one, server, bench.warmMs / 5)
      pairs.set(one.name, await pairOf(one, one.name, far.url, server.client))
    }
    const results = await interleave({
      contenders,
      rounds: bench.rounds(7, 21),
      roundsOf: ({ kind }) => (kind === 'peer' ? bench.fewRounds(1, 3) : Number.POSITIVE_INFINITY),
      warmUp: 3,
      ...bench.pace,
      async turn({ name }) {
        const pair = pairs.get(name)
        const took = []
        const trips = []
        for (let at = 0; at < times; at++) {
          trips.push(await roundTrip(client))
          took.push(await handOff(pair, name, settleMs))
        }
        pair.gate.check(name)
        return { ms: median(took), roundTrips: median(took) / median(trips) }
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
    client.disconnect()
    for (const pair of pairs.values()) await leave(pair)
    far.stop()
    await server.stop()
  }
}

export const distance1 = distanceRow(1)
export const distance5 = distanceRow(5)
