/**
 * How fast a quorum takes and releases, next to the same commands sent raw to the same servers.
 * `node bench/quorum.mjs [nodes] [turns of a run] [at once] [folder of the built library]`
 * Servers are started by it, from the binaries that the tests use. Runs of both kinds alternate, so
 * that whatever else the machine does strikes both.
 */

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { findAnyServer } from '../scripts/servers.mjs'

const [nodes = '3', turns = '800', parallel = '16', library] = process.argv.slice(2)
const built = library ?? fileURLToPath(new URL('../dist', import.meta.url))
const { connect } = await import(`${built}/index.js`)
const { acquire, release } = await import(`${built}/engines/redis/scripts.generated.js`)

const { bin } = await findAnyServer()
const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'))
const servers = Array.from({ length: Number(nodes) }, (_, at) => {
  const port = 10_500 + at + Math.floor(Math.random() * 400)
  const fixed = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '']
  const child = spawn(bin, fixed, { stdio: 'ignore' })
  return { port, stop: () => child.kill('SIGKILL') }
})
const urls = servers.map(({ port }) => `redis://127.0.0.1:${port}`)
const clients = urls.map((url) => new Redis(url, { retryStrategy: () => 20 }).on('error', () => {}))
for (const client of clients) await client.ping()
const holdfast = await connect(`quorum:${urls.join(',')}`)
const majority = Math.floor(clients.length / 2) + 1
for (const client of clients) {
  await client.call('script', 'load', acquire.source)
  await client.call('script', 'load', release.source)
}

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

async function raw(name) {
  const identity = String(Math.random()).slice(2).padEnd(32, '0')
  const keys = keysOf(name)
  const times = [10_000, 10_000, 10_000, 0, 0, 86_400_000, Number.MAX_SAFE_INTEGER]
  const taking = [...keys, identity, ...times, 1, '', 'channel', '{}', 0]
  const leaving = [...keys, identity, 0, 86_400_000, 0, 0]
  const all = (script, args) =>
    clients.map((client) => client.call('evalsha', script.sha1, 5, ...args))
  await some(all(acquire, taking), majority)
  await some(all(release, leaving), majority)
}

async function quorum(name) {
  const lease = await holdfast.mutex(name).acquire()
  await lease.release()
}

async function measure(turn) {
  const times = []
  const commandsBefore = await commandsRun()
  const cpuBefore = process.cpuUsage()
  const from = performance.now()
  await Promise.all(
    Array.from({ length: Number(parallel) }, async (_, lane) => {
      for (let at = lane; at < Number(turns); at += Number(parallel)) {
        const start = performance.now()
        await turn(`lock ${lane}`)
        times.push(performance.now() - start)
      }
    }),
  )
  const perSecond = (Number(turns) / (performance.now() - from)) * 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  const cpuUs = (user + system) / Number(turns)
  const commands = ((await commandsRun()) - commandsBefore) / clients.length / Number(turns)
  return { perSecond, p50: middle(times), cpuUs, commands }
}

/** How many scripts all servers have run. */
async function commandsRun() {
  const stats = await Promise.all(clients.map((client) => client.info('commandstats')))
  return stats.reduce((sum, each) => sum + Number(/evalsha:calls=(\d+)/.exec(each)?.[1] ?? 0), 0)
}

function middle(numbers, part = 0.5) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length * part)]
}

/** Many short runs, so that each is compared with one from the same moment. */
const ROUNDS = 41

const runs = { raw: [], quorum: [] }
for (let round = -2; round < ROUNDS; round++) {
  const pair = [await measure(raw), await measure(quorum)]
  // The first ones compile and connect.
  if (round < 0) continue
  runs.raw.push(pair[0])
  runs.quorum.push(pair[1])
}
console.table(
  Object.entries(runs).map(([what, list]) => ({
    what,
    'turns per second': Math.round(middle(list.map((each) => each.perSecond))),
    'p50 ms': Number(middle(list.map((each) => each.p50)).toFixed(2)),
    'client CPU us per turn': Math.round(middle(list.map((each) => each.cpuUs))),
    'commands per node and turn': Number(middle(list.map((each) => each.commands)).toFixed(3)),
  })),
)
const ratios = runs.quorum.map(({ perSecond }, at) => perSecond / runs.raw[at].perSecond)
const [low, half, high] = [0.25, 0.5, 0.75].map((part) => middle(ratios, part).toFixed(2))
console.log(`quorum / raw: ${half} (half of the runs: ${low} to ${high})`)

await holdfast.close()
for (const client of clients) client.disconnect()
for (const server of servers) server.stop()
rmSync(folder, { recursive: true, force: true })
