import { setTimeout as wait } from 'node:timers/promises'
import type { connect as Connect } from 'holdfast'
import type { RunningServer } from '../support/servers.ts'
import { moment } from './crew.ts'
import type { Ground } from './ground.ts'
import type { Scenario } from './scenario.ts'

type Holdfast = Awaited<ReturnType<typeof Connect>>

/** How often everybody is given the time of a lease before what is left counts as left behind. */
const LOOKS = 4

/**
 * What is still there when everybody has gone: a lock that cannot be taken, a place in a line, a
 * key other than the record of the last fence. The dead stay in a line until somebody looks after
 * their time is over, so each lock is taken again until nothing is left, a few times at most.
 */
export async function leftovers(
  ground: Ground,
  library: string,
  locks: readonly string[],
  scenario: Scenario,
): Promise<string[]> {
  const { connect } = (await import(`${library}/index.js`)) as { connect: typeof Connect }
  const patient = { commandTimeoutMs: 10_000, nodeTimeoutMs: 10_000, requestTimeoutMs: 20_000 }
  const holdfast = await connect(ground.straightUrl, { ttlMs: 10_000, ...patient })
  try {
    for (let looks = 1; ; looks += 1) {
      await wait(scenario.ttlMs)
      const left = await look(holdfast, locks, scenario)
      left.push(...(await keysLeft(ground)))
      if (left.length === 0 || looks === LOOKS) return left
    }
  } finally {
    await holdfast.close()
  }
}

async function look(
  holdfast: Holdfast,
  locks: readonly string[],
  { ttlMs, work: { capacity } }: Scenario,
): Promise<string[]> {
  const left: string[] = []
  for (const lock of locks) {
    const from = moment()
    try {
      const shared = capacity > 1 && holdfast.semaphore(lock, { capacity })
      const one = shared || holdfast.mutex(lock)
      const lease = await one.acquire({ timeoutMs: 2 * ttlMs + 5000 })
      await lease.release()
    } catch (error) {
      left.push(
        `${lock} could not be taken in ${(moment() - from).toFixed(0)} ms: ${String(error)}`,
      )
    }
    const report = await holdfast.inspect(lock)
    if (report !== null) left.push(`${lock}: ${JSON.stringify(report)}`)
  }
  const { names } = await holdfast.list()
  return [...left, ...names.map((name) => `listed: ${name}`)]
}

/** What stays for a day, not for ever: the last fence of a lock, who uses a quorum by what list. */
const KEPT = /^\{.*\}~fence|^\{holdfast:quorum\}~(users|lists)$/

async function keysLeft(ground: Ground): Promise<string[]> {
  const servers = await ground.primaries()
  const left = await Promise.all(
    servers.map(async (server) => {
      const keys = (await server.cli('keys', '*holdfast:*')).split('\n')
      const forEver = async (key: string) => Number(await server.cli('pttl', key)) === -1
      const stays = await Promise.all(
        keys.map(async (key) => key !== '' && (!KEPT.test(key) || (await forEver(key)))),
      )
      const wrong = keys.filter((_, at) => stays[at])
      return await Promise.all(wrong.map((key) => describe(server, key)))
    }),
  )
  return left.flat()
}

async function describe(server: RunningServer, key: string): Promise<string> {
  const isSet = (await server.cli('type', key)) === 'zset'
  const members = isSet ? await server.cli('zrange', key, 0, 2, 'withscores') : ''
  const [seconds] = (await server.cli('time')).split('\n')
  const about = `${await server.cli('pttl', key)} ms, at ${seconds}`
  return `${key} on ${server.port} (${about}) ${members.replaceAll('\n', ' ')}`
}
