import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { findAnyServer, obtain } from '../../scripts/servers.mjs'

/** Commands that clients send. What scripts run inside the server counts as part of the script. */
const SENT = [
  'evalsha',
  'eval',
  'blpop',
  'rpush',
  'ping',
  'wait',
  'subscribe',
  'ssubscribe',
  'unsubscribe',
  'script|load',
  'script|exists',
  'client|setinfo',
  'hello',
]

export async function findServer() {
  return await obtain('redis-7.0').catch(() => findAnyServer())
}

async function freePort() {
  const probe = createServer()
  // Below the ports that the system gives to outgoing connections.
  probe.listen(11_000 + Math.floor(Math.random() * 20_000), '127.0.0.1')
  await Promise.race([once(probe, 'listening'), once(probe, 'error')])
  const { port } = probe.address() ?? {}
  probe.close()
  return port ?? (await freePort())
}

/** A server of this run alone, without persistence. */
export async function startServer() {
  const { bin, name, version } = await findServer()
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'))
  const port = await freePort()
  const fixed = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '']
  const child = spawn(bin, fixed, { stdio: 'ignore' })
  const stopNow = () => child.kill('SIGKILL')
  process.once('exit', stopNow)
  const client = new Redis(port, '127.0.0.1', { retryStrategy: () => 20 }).on('error', () => {})
  await client.ping()
  return {
    name,
    version,
    port,
    url: `redis://127.0.0.1:${port}`,
    client,
    /** Forgets everything; scripts stay known. */
    clear: () => client.flushall(),
    usage: async () => await usage(client),
    async stop() {
      process.off('exit', stopNow)
      client.disconnect()
      const gone = once(child, 'exit')
      stopNow()
      await gone
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/**
 * What the server has done so far. `commands(more)` counts what clients sent: the usual ones and
 * those in `more`, which must be commands that the contender sends and that no script of its runs.
 */
async function usage(client) {
  const [stats, cpu] = await Promise.all([client.info('commandstats'), client.info('cpu')])
  const calls = new Map()
  for (const [, name, count, us] of stats.matchAll(/cmdstat_([^:]+):calls=(\d+),usec=(\d+)/g)) {
    calls.set(name, { count: Number(count), us: Number(us) })
  }
  const seconds = (key) => Number(new RegExp(`${key}:([\\d.]+)`).exec(cpu)?.[1] ?? 0)
  const names = (more) => [...new Set([...SENT, ...more])]
  const sum = (more, of) => names(more).reduce((all, name) => all + (of(calls.get(name)) ?? 0), 0)
  return {
    commands: (more = []) => sum(more, (call) => call?.count),
    /** Microseconds in which the server ran them. */
    busyUs: (more = []) => sum(more, (call) => call?.us),
    cpuUs: (seconds('used_cpu_user') + seconds('used_cpu_sys')) * 1e6,
  }
}
