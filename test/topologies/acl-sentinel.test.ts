import { readFileSync } from 'node:fs'
import { GlideClient } from '@valkey/valkey-glide'
import { connect, createHoldfast, type Holdfast } from 'holdfast'
import { type RedisClient, redis } from 'holdfast/redis'
import { createSentinel } from 'redis'
import { createSentinel as createSentinel5 } from 'redis5'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type RunningSentinel, startSentinel } from '../support/sentinel.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

const page = readFileSync(new URL('../../docs/acl.md', import.meta.url), 'utf8')
const rules = (/```acl\n([^`]+)```/.exec(page)?.[1] ?? '').split(/\s+/).filter(Boolean)

/** What the table says for a row: rights at the servers, and at the Sentinels. */
function rightsFor(row: string): { own: string[]; sentinels: string[] } {
  const line = page.split('\n').find((each) => each.startsWith(`| ${row} `)) ?? ''
  const [, , own = '', sentinels = ''] = line.replaceAll('\\|', '!').split('|')
  const read = (cell: string) =>
    (cell.match(/[+&]\+?[a-z!*-]+/g) ?? []).map((each) => each.replace('!', '|'))
  return { own: read(own), sentinels: read(sentinels) }
}

/** Without these, clients go on. */
const dispensable = ['+client|id', '&+switch-master', '+subscribe']

async function refused(servers: readonly RunningServer[]): Promise<string[]> {
  const logs = await Promise.all(servers.map((server) => server.call('acl', 'log')))
  const told = logs.flatMap((log) =>
    (log as unknown[][]).map((entry) => {
      const field = (name: string) => String(entry[entry.indexOf(name) + 1])
      return `${field('reason')} ${field('object')}`
    }),
  )
  // Clients tell their names in vain.
  return [...new Set(told)].filter((each) => !each.startsWith('command client|set'))
}

async function handOver(a: Holdfast, b: Holdfast): Promise<void> {
  const lease = await a.mutex('job').acquire({ timeoutMs: 2000 })
  const next = b.mutex('job').acquire({ timeoutMs: 10_000, ttlMs: 3000 })
  next.catch(() => {})
  await until(async () => (await a.inspect('job'))?.waiting === 1, { what: 'a waiter' })
  await lease.renew()
  expect(await lease.release()).toBe(true)
  expect(await (await next).release()).toBe(true)
}

describe('a user with few rights', () => {
  let group: RunningSentinel
  let single: RunningServer
  const made: { close(): unknown }[] = []
  beforeAll(async () => {
    group = await startSentinel({ replicas: 1 })
    single = await startServer()
  })
  afterEach(() => {
    for (const client of made.splice(0)) client.close()
  })
  afterAll(async () => {
    await group.stop()
    await single.stop()
  })

  const everyone = () => [...group.servers, single, ...group.sentinels]

  async function allow(own: readonly string[], sentinels: readonly string[]): Promise<void> {
    const reset = ['reset', 'on', '>pw']
    for (const server of everyone()) {
      const isSentinel = group.sentinels.includes(server)
      const given = isSentinel ? ['resetchannels', ...sentinels] : [...rules, ...own]
      await server.call('acl', 'setuser', 'worker', ...reset, ...given)
      await server.call('acl', 'log', 'reset')
      if (!isSentinel) await server.call('script', 'flush').catch(() => {})
    }
  }

  const access = { username: 'worker', password: 'pw' }
  const over = (client: RedisClient) =>
    createHoldfast({ engine: redis(client), requestTimeoutMs: 500 })

  const throughNodeRedis = (create: typeof createSentinel) => async (): Promise<Holdfast> => {
    const client = create({
      name: group.name,
      sentinelRootNodes: group.addresses.map((address) => ({ ...address })),
      nodeClientOptions: access,
      sentinelClientOptions: access,
      maxCommandRediscovers: 1,
    })
    client.on('error', () => {})
    made.push({ close: () => client.isOpen && client.destroy() })
    await client.connect()
    return over(client)
  }

  async function throughUrl(): Promise<Holdfast> {
    const hosts = group.addresses.map(({ host, port }) => `${host}:${port}`).join(',')
    const query = 'sentinelUsername=worker&sentinelPassword=pw'
    const options = { requestTimeoutMs: 500 }
    return await connect(`redis+sentinel://worker:pw@${hosts}/${group.name}?${query}`, options)
  }

  async function throughGlide(): Promise<Holdfast> {
    const addresses = [{ host: single.host, port: single.port }]
    const client = await GlideClient.createClient({ addresses, credentials: access })
    made.push(client)
    return over(client)
  }

  const ways = [
    ['Sentinel through ioredis', 'a URL', throughUrl],
    ['Sentinel through node-redis', 'node-redis 6', throughNodeRedis(createSentinel)],
    [
      'Sentinel through node-redis',
      'node-redis 5',
      throughNodeRedis(createSentinel5 as unknown as typeof createSentinel),
    ],
    ['GLIDE', 'GLIDE', throughGlide],
  ] as const

  it.each(ways)('can do everything with those of docs/acl.md for %s: %s', async (row, _, open) => {
    const { own, sentinels } = rightsFor(row)
    expect(own.length).toBeGreaterThan(0)
    await allow(own, sentinels)
    await using a = await open()
    await using b = await open()
    await handOver(a, b)
    expect(await refused(everyone())).toEqual([])
  })

  const each = ways
    .filter(([, title]) => title !== 'node-redis 5')
    .flatMap(([row, , open]) => {
      const { own, sentinels } = rightsFor(row)
      return [...own, ...sentinels].map((right) => [row, right, open] as const)
    })
  it.each(each)('is refused something for %s without %s', async (row, right, open) => {
    const without = (rights: readonly string[]) => rights.filter((one) => one !== right)
    const { own, sentinels } = rightsFor(row)
    await allow(without(own), without(sentinels))
    const done = async () => {
      await using a = await open()
      await using b = await open()
      await handOver(a, b)
    }
    const problem: unknown = await done().catch((error: unknown) => error)
    const told = (await refused(everyone())).join()
    expect(told, String(problem)).toContain(right === '&*' ? 'channel ' : right.slice(1))
    if (dispensable.includes(right)) expect(problem).toBeUndefined()
  })
})
