import { readFileSync } from 'node:fs'
import { GlideClusterClient } from '@valkey/valkey-glide'
import { connect, createHoldfast, type Holdfast } from 'holdfast'
import { redis } from 'holdfast/redis'
import { createCluster } from 'redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningCluster, startCluster } from '../support/cluster.ts'
import { until } from '../support/until.ts'

const page = readFileSync(new URL('../../docs/acl.md', import.meta.url), 'utf8')
const rules = (/```acl\n([^`]+)```/.exec(page)?.[1] ?? '').split(/\s+/).filter(Boolean)
const row = (first: string): string =>
  new RegExp(`^\\| ${first} +\\|(.*)\\|$`, 'm').exec(page)?.[1]?.replaceAll('\\|', '|') ?? ''
const rightsIn = (text = ''): string[] => text.match(/\+[a-z|]+/g) ?? []
const [, forAll, dropped] = /^(.*);(.*)$/.exec(row('Cluster')) ?? []
const forGlide = rightsIn(row('GLIDE'))
const added = rightsIn(forAll)
const all = [...rules.filter((rule) => !rightsIn(dropped).includes(rule)), ...added]

const GLIDE = 'valkey-glide'

/** Clients tell their names in vain, and connect() goes without the look for warnings. */
const CLIENTS_OWN = /^command (client\|set|info$)/

/** What the servers refused, as "command spublish" or "channel holdfast:...". */
async function refused(cluster: RunningCluster, tolerated = /^$/): Promise<string[]> {
  const logs = await Promise.all(cluster.nodes.map(({ server }) => server.call('acl', 'log')))
  const entries = logs.flatMap((log) => log as unknown[][])
  const told = entries.map((entry) => {
    const field = (name: string) => String(entry[entry.indexOf(name) + 1])
    return `${field('reason')} ${field('object')}`
  })
  return [...new Set(told)].filter((each) => !tolerated.test(each))
}

describe('a user of a Cluster with few rights', () => {
  let cluster: RunningCluster
  let users = 0
  const own: GlideClusterClient[] = []
  beforeAll(async () => {
    cluster = await startCluster()
  })
  afterAll(async () => {
    for (const client of own) client.close()
    await cluster.stop()
  })

  async function newUser(given: readonly string[]): Promise<string> {
    users += 1
    const name = `user${users}`
    for (const { server } of cluster.nodes) {
      await server.call('acl', 'setuser', name, 'reset', 'on', '>pw', ...given)
      await server.call('acl', 'log', 'reset')
      await server.call('script', 'flush')
    }
    return name
  }

  async function fromUrl(username: string): Promise<Holdfast> {
    const hosts = cluster.addresses.map(({ host, port }) => `${host}:${port}`).join(',')
    return await connect(`redis+cluster://${username}:pw@${hosts}`)
  }

  /** Takes, hands over and renews on every primary, and on a slot that is on its way. */
  async function exercise(open: (username: string) => Promise<Holdfast>, user: string) {
    await using a = await open(user)
    await using b = await open(user)
    const names = new Map<number, string>()
    for (let at = 0; names.size < cluster.nodes.length; at += 1) {
      const { port } = await cluster.primaryOf(`holdfast:${user} ${at}`)
      names.set(port, `${user} ${at}`)
    }
    for (const name of [...names.values(), `a{${user}}c`, `${user}}{`]) await handOver(a, b, name)
    const semaphore = a.semaphore(`${user} shared`, { capacity: 2 })
    const lease = await semaphore.acquire()
    await lease.renew()
    expect(await lease.release()).toBe(true)
    await a.list()
    await onItsWay(a, `${user} moves`)
  }

  async function handOver(a: Holdfast, b: Holdfast, name: string): Promise<void> {
    const lease = await a.mutex(name).acquire({ timeoutMs: 2000 })
    const next = b.mutex(name).acquire({ timeoutMs: 10_000, ttlMs: 3000 })
    next.catch(() => {})
    await until(async () => (await a.inspect(name))?.waiting === 1, { what: 'a waiter' })
    await lease.renew()
    expect(await lease.release()).toBe(true)
    expect(await (await next).release()).toBe(true)
  }

  async function onItsWay(one: Holdfast, name: string): Promise<void> {
    const key = `holdfast:${name}`
    const source = await cluster.primaryOf(key)
    const target = cluster.nodes.find((node) => node !== source) ?? source
    const migration = await cluster.migrate(await cluster.slotOf(key), target)
    await target.server.call('config', 'resetstat')
    const taken = one.mutex(name).acquire({ timeoutMs: 10_000 })
    taken.catch(() => {})
    await until(
      async () => (await target.server.cli('info', 'commandstats')).includes('cmdstat_asking:'),
      { what: 'the new owner to be asked' },
    )
    await migration.moveKeys()
    await migration.finish()
    expect(await (await taken).release()).toBe(true)
  }

  const ways: readonly (readonly [string, (username: string) => Promise<Holdfast>])[] = [
    ['a URL', fromUrl],
    [
      'node-redis',
      async (username) => {
        const rootNodes = cluster.addresses.map(({ host, port }) => ({
          url: `redis://${host}:${port}`,
        }))
        const client = createCluster({ rootNodes, defaults: { username, password: 'pw' } })
        return createHoldfast({ engine: redis(client) })
      },
    ],
    [
      GLIDE,
      async (username) => {
        const addresses = cluster.addresses.map((address) => ({ ...address }))
        const credentials = { username, password: 'pw' }
        const client = await GlideClusterClient.createClient({ addresses, credentials })
        own.push(client)
        return createHoldfast({ engine: redis(client) })
      },
    ],
  ]

  it.each(ways)('can do everything with those of docs/acl.md through %s', async (way, open) => {
    await exercise(open, await newUser(way === GLIDE ? [...all, ...forGlide] : all))
    expect(await refused(cluster, way === GLIDE ? /^command client\|set/ : CLIENTS_OWN)).toEqual([])
  })

  it('reads rights from the page', () => {
    expect(added).toContain('+cluster|slots')
    expect(forGlide).toEqual(['+info', '+client|id'])
    expect(rightsIn(dropped)).toEqual(['+publish', '+subscribe'])
  })

  it.each(added)('is refused something without %s', async (right) => {
    const user = await newUser(all.filter((rule) => rule !== right))
    const problem: unknown = await exercise(fromUrl, user).catch((error: unknown) => error)
    expect(await refused(cluster), String(problem)).toContain(`command ${right.slice(1)}`)
  })
})
