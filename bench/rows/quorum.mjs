import { Redis } from 'ioredis'
import { door } from '../contenders/holdfast.mjs'
import { sourceOf } from '../suite/library.mjs'
import { Gate } from '../suite/overlap.mjs'
import { interleave, measured, ratio } from '../suite/rounds.mjs'
import { startServer } from '../suite/servers.mjs'

const FLOOR = 'same commands, raw'
const LANES = 16

/** Resolves when so many have, as a quorum does. */
function some(promises, count) {
  return new Promise((resolve, reject) => {
    let done = 0
    for (const promise of promises) promise.then(() => ++done === count && resolve(), reject)
  })
}

function keysOf(name) {
  const lock = `raw:${name}`
  return [lock, ...['fence', 'line', 'alive', 'places'].map((each) => `{${lock}}~${each}`)]
}

/** The scripts of the engine, sent to all servers, and nothing else. */
async function openRaw(urls) {
  const { acquire, release } = await sourceOf('engines/redis/scripts.generated.ts')
  const clients = urls.map((url) => new Redis(url))
  for (const client of clients) {
    await client.script('LOAD', acquire.source)
    await client.script('LOAD', release.source)
  }
  const majority = Math.floor(clients.length / 2) + 1
  const all = (script, args) => {
    const sent = clients.map((client) => client.evalsha(script.sha1, 5, ...args))
    return some(sent, majority)
  }
  return {
    async pair(name) {
      const identity = String(Math.random()).slice(2).padEnd(32, '0')
      const keys = keysOf(name)
      const times = [Number.MAX_SAFE_INTEGER, 10_000, 10_000, 86_400_000]
      await all(acquire, [...keys, identity, ...times, '0 {}', '10000 10000 1 - channel'])
      await all(release, [...keys, identity, 86_400_000])
    },
    close: async () => {
      for (const client of clients) client.disconnect()
    },
  }
}

async function openQuorum(urls) {
  const { connect } = await door('index.js')
  const holdfast = await connect(`quorum:${urls.join(',')}`)
  const gate = new Gate()
  return {
    async pair(name) {
      const lease = await holdfast.mutex(name).acquire()
      gate.enter(name, lease.fence)
      gate.leave(name)
      await lease.release()
    },
    check: () => gate.check('holdfast, quorum'),
    close: () => holdfast.close(),
  }
}

async function play({ pair, check }, pairs) {
  const before = process.cpuUsage()
  const from = performance.now()
  const lane = async (own) => {
    for (let at = own; at < pairs; at += LANES) await pair(`lock ${own}`)
  }
  await Promise.all(Array.from({ length: LANES }, (_, own) => lane(own)))
  const perSecond = (pairs / (performance.now() - from)) * 1000
  const { user, system } = process.cpuUsage(before)
  check?.()
  return { perSecond, cpuUs: (user + system) / pairs }
}

function quorumRow(nodes) {
  return {
    name: `quorum-${nodes}`,
    long: nodes > 3,
    title: `A quorum of ${nodes} servers: take and release, ${LANES} locks at once`,
    ratio: 'of the speed of the same commands sent raw to all servers',
    columns: [
      { key: 'perSecond', label: 'pairs/s' },
      { key: 'commands', label: 'commands per pair and server', digits: 3 },
      { key: 'cpuUs', label: 'client CPU µs per pair' },
    ],
    chart: { better: 'higher' },
    run: (bench) => measureQuorum(bench, nodes),
  }
}

async function measureQuorum(bench, nodes) {
  const servers = []
  for (let at = 0; at < nodes; at++) servers.push(await startServer())
  const urls = servers.map(({ url }) => url)
  const contenders = [
    { name: FLOOR, kind: 'floor', opened: await openRaw(urls) },
    { name: 'holdfast, quorum', kind: 'holdfast', opened: await openQuorum(urls) },
  ]
  const commandsRun = async () => {
    const usages = await Promise.all(servers.map((server) => server.usage()))
    return usages.reduce((sum, usage) => sum + usage.commands(), 0) / nodes
  }
  const pairs = bench.quick ? 480 : 800
  try {
    const results = await interleave({
      contenders,
      rounds: bench.rounds(11, 61),
      warmUp: 8,
      ...bench.pace,
      async turn({ opened }) {
        const before = await commandsRun()
        const round = await play(opened, pairs)
        return { ...round, commands: ((await commandsRun()) - before) / pairs }
      },
    })
    const entries = contenders.map(({ name, kind }) => {
      const keys = ['perSecond', 'commands', 'cpuUs']
      const values = Object.fromEntries(keys.map((key) => [key, measured(results, name, key)]))
      return { contender: name, kind, values, ratio: ratio(results, name, FLOOR, 'perSecond') }
    })
    const got = entries[1].ratio.median
    const verdicts = [{ what: 'holdfast, quorum', reach: '>= 0.8', got, met: got >= 0.8 }]
    return { entries, verdicts }
  } finally {
    for (const { opened } of contenders) await opened.close()
    for (const server of servers) await server.stop()
  }
}

export const quorum3 = quorumRow(3)
export const quorum5 = quorumRow(5)
