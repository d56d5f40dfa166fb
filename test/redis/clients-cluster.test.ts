import { createHoldfast, type Holdfast } from 'holdfast'
import { redis } from 'holdfast/redis'
import { Cluster } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Claim } from '../../src/core/engine.ts'
import { portFor, type RedisClient } from '../../src/engines/redis/clients/detect.ts'
import type { RedisPort } from '../../src/engines/redis/port.ts'
import { systemClock, systemRandom } from '../../src/system/clock.ts'
import { type ClusterNode, type RunningCluster, startCluster } from '../support/cluster.ts'
import { until } from '../support/until.ts'
import { clientKinds, failureOf, openPort } from './clients-support.ts'
import { clusterWorld, combinations, type TestClient } from './clients-topologies.ts'

let cluster: RunningCluster
beforeAll(async () => {
  cluster = await startCluster({ replicas: 1, nodeTimeoutMs: 30_000 })
})
afterAll(() => cluster.stop())

const clients = combinations.filter(({ topology }) => topology === 'cluster')
const opened: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close()
  for (const { server } of await cluster.primaries()) await server.call('flushall')
})

/** Sums up one number over all nodes. */
async function sum(section: string, pattern: RegExp): Promise<number> {
  const infos = cluster.nodes.map(({ server }) => server.cli('info', section))
  const counts = (await Promise.all(infos)).map((info) => Number(pattern.exec(info)?.[1] ?? 0))
  return counts.reduce((all, count) => all + count, 0)
}

async function other(than: ClusterNode): Promise<ClusterNode> {
  const found = (await cluster.primaries()).find(({ id }) => id !== than.id)
  if (!found) throw new Error('there is only one primary')
  return found
}

describe.each(clients)('locks on a Cluster through $title', ({ make }) => {
  let user: TestClient
  const open = async (): Promise<Holdfast> => {
    user = await make(clusterWorld(cluster))
    const holdfast = createHoldfast({ engine: redis(user.client), ttlMs: 5000 })
    opened.push(holdfast, user)
    return holdfast
  }
  const names = Array.from({ length: 20 }, (_, index) => `lock ${index} {${index % 3 ? index : ''}`)
  const keyOf = (name: string) => `${user.keyPrefix}holdfast:${name}`

  it('are handed over by one message that stays in the shard', async () => {
    const [first, second] = [await open(), await open()]
    for (const name of names.slice(0, 6)) {
      const lease = await first.mutex(name).acquire()
      const waiting = second.mutex(name).acquire({ timeoutMs: 20_000 })
      await until(async () => (await first.inspect(name))?.waiting === 1, { what: 'the waiter' })
      const before = await sum('commandstats', /cmdstat_spublish:calls=(\d+)/)
      await lease.release()
      const next = await waiting
      expect(next.fence).toBeGreaterThan(lease.fence)
      expect(await sum('commandstats', /cmdstat_spublish:calls=(\d+)/)).toBe(before + 1)
      await next.release()
    }
    expect(await sum('commandstats', /cmdstat_publish:calls=(\d+)/)).toBe(0)
    const channels = await sum('stats', /pubsubshard_channels:(\d+)/)
    expect(channels).toBeGreaterThan(0)
    expect(channels).toBeLessThanOrEqual(3)
  })

  it('keep all keys of a lock in one slot, whatever its name', async () => {
    const holdfast = await open()
    for (const name of [...names, '}{', '{}x', 'a{b}c{d}', '{', '}']) {
      await holdfast.mutex(name).run(async ({ fence }) => {
        expect(await cluster.call(keyOf(name), 'exists', keyOf(name))).toBe(1)
        expect(fence).toBeGreaterThan(0)
      })
    }
  })

  it('are listed from all primaries, page by page', async () => {
    const holdfast = await open()
    for (const name of names) await holdfast.mutex(name).acquire()
    const found: string[] = []
    for await (const name of allNames(holdfast)) found.push(name)
    expect(found.sort()).toEqual([...names].sort())
  })

  it('are renewed together, slot by slot, while the primary of others is frozen', async () => {
    user = await make(clusterWorld(cluster))
    const engine = redis(user.client, { commandTimeoutMs: 2000 })
    opened.push(engine, user)
    const claims = names.map(claimFor)
    const states = async () => (await engine.renew(claims)).map(({ state }) => state)
    for (const claim of claims) expect(await engine.acquire(claim)).toMatchObject({ state: 'held' })
    expect(await states()).toEqual(names.map(() => 'held'))
    const owners = await Promise.all(names.map((name) => cluster.primaryOf(keyOf(name))))
    const frozen = owners[0]
    frozen?.server.pause()
    try {
      const expected = owners.map(({ id }) => (id === frozen?.id ? 'unknown' : 'held'))
      expect(expected).toContain('held')
      expect(await states()).toEqual(expected)
    } finally {
      frozen?.server.resume()
    }
    await until(async () => (await states()).every((state) => state === 'held'), {
      what: 'all of them to be renewed again',
    })
  })

  it('move with their slot to another primary', async () => {
    const [first, second] = [await open(), await open()]
    const name = 'moving'
    const lease = await first.mutex(name).acquire()
    const waiting = second.mutex(name).acquire({ timeoutMs: 20_000 })
    await until(async () => (await first.inspect(name))?.waiting === 1, { what: 'the waiter' })
    const source = await cluster.primaryOf(keyOf(name))
    const target = await other(source)
    const migration = await cluster.migrate(await cluster.slotOf(keyOf(name)), target)
    await migration.moveKeys()
    await migration.finish()
    await lease.renew()
    expect(lease.held).toBe(true)
    await lease.release()
    const next = await waiting
    expect(next.fence).toBeGreaterThan(lease.fence)
    await next.release()
    expect(await second.mutex(name).tryAcquire()).not.toBe(null)
  })
})

function claimFor(name: string): Claim {
  return {
    name,
    shape: { kind: 'mutex', capacity: 1 },
    permits: 1,
    identity: systemRandom.identity(),
    ttlMs: 60_000,
    waitTtlMs: 10_000,
    grantTtlMs: 10_000,
    minHoldMs: 0,
    lockDelayMs: 0,
    about: '{}',
    wait: false,
  }
}

async function* allNames(holdfast: Holdfast): AsyncGenerator<string> {
  for (let cursor: string | undefined; ; ) {
    const page = await holdfast.list({ prefix: 'lock', limit: 3, ...(cursor ? { cursor } : {}) })
    yield* page.names
    if (page.cursor === undefined) return
    cursor = page.cursor
  }
}

describe.each(clients)('redirections on a Cluster through $title', ({ make }) => {
  it('are followed: ASK for one command, MOVED for good', async () => {
    const user = await make(clusterWorld(cluster))
    const port = portFor(user.client, { clock: systemClock, connectTimeoutMs: 5000 })
    opened.push(port, user)
    let answered = ''
    const run = (name: string, ...args: (string | number)[]) =>
      port.command(name, args, {
        timeoutMs: 5000,
        key: '{asked}',
        answered: (server) => {
          answered = server
        },
      })
    await run('set', '{asked}', 'x')
    const key = `${user.keyPrefix}{asked}`
    const source = port.serverOf('{asked}')
    expect(answered).toBe(source)
    const target = await other(await cluster.primaryOf(key))
    const migration = await cluster.migrate(await cluster.slotOf(key), target)
    // Of a lock that is on its way some keys are here and some are nowhere.
    const both = await failureOf(run('eval', 'return 1', 2, '{asked}', '{asked}-none'))
    expect(both.failure).toMatchObject({ kind: 'unavailable', mayHaveRun: false })
    await migration.moveKeys()
    expect(await run('get', '{asked}')).toBe('x')
    expect(port.serverOf('{asked}')).toBe(source)
    // What the answer says of the time is not of the server that is said to serve the key.
    expect(answered).toBe(`127.0.0.1:${target.server.port}`)
    await migration.finish()
    expect(await run('get', '{asked}')).toBe('x')
    expect(port.serverOf('{asked}')).toBe(`127.0.0.1:${target.server.port}`)
  })
})

it('a node that leaves is told as a break: another server may come back there', async () => {
  const client = new Cluster([...cluster.addresses], { lazyConnect: true })
  const port = portFor(client, { clock: systemClock, connectTimeoutMs: 5000 })
  opened.push(port)
  const broken: string[] = []
  port.onBreak((server) => broken.push(server))
  const get = () => port.command('get', ['left'], { timeoutMs: 5000, key: 'left' })
  await get()
  const left = port.serverOf('left')
  const old = await cluster.primaryOf('left')
  const [replica] = await cluster.replicasOf(old)
  await replica?.server.call('cluster', 'failover')
  await until(async () => (await cluster.primaryOf('left')) === replica, { what: 'the switch' })
  await until(async () => (await get()) === null && broken.length > 0, { what: 'the news of it' })
  expect(broken).toEqual([left])
  await until(async () => (await cluster.replicasOf(replica ?? old)).includes(old), {
    what: 'the old primary to follow',
  })
})

it.each(['a{b', '{}', '{'])('a key prefix %j with an open brace is refused', (keyPrefix) => {
  const client = new Cluster([{ host: '127.0.0.1', port: 1 }], { lazyConnect: true, keyPrefix })
  expect(() => redis(client)).toThrow(TypeError)
  expect(() => redis(client)).toThrow(/opening brace without a hash tag.* Close it/)
})

it('a key prefix that is a hash tag keeps all locks in one slot', async () => {
  const options = { lazyConnect: true, keyPrefix: '{app}:' }
  const client: RedisClient = new Cluster([...cluster.addresses], options)
  const holdfast = createHoldfast({ engine: redis(client) })
  opened.push(holdfast)
  for (const name of ['a', 'b{c}', '}']) {
    await holdfast.mutex(name).run(async () => {
      expect(await cluster.call('app', 'exists', `{app}:holdfast:${name}`)).toBe(1)
    })
  }
})

it('nodes that are reached at other addresses than they tell are translated', async () => {
  const seen: string[] = []
  const natMap = (told: string) => {
    seen.push(told)
    return { host: 'localhost', port: Number(told.split(':').at(-1)) }
  }
  const client = new Cluster([...cluster.addresses], { lazyConnect: true, natMap })
  const port: RedisPort = portFor(client, { clock: systemClock, connectTimeoutMs: 5000 })
  opened.push(port)
  expect(await port.command('set', ['a', 'x'], { timeoutMs: 5000, key: 'a' })).toBe('OK')
  expect(port.serverOf('a')).toMatch(/^localhost:/)
  expect(seen.length).toBeGreaterThan(0)
})

it.each(clientKinds)('$title for one node of a Cluster says what is wrong', async (kind) => {
  const owner = await cluster.primaryOf('k')
  const { server } = await other(owner)
  await using port = await openPort(kind, { port: server.port })
  const { failure } = await failureOf(port.run('get', 'k'))
  expect(failure).toMatchObject({ kind: 'unavailable', mayHaveRun: false })
  expect(failure.message).toMatch(/hand in a Cluster client/)
})
