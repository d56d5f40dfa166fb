import { createHoldfast, type Holdfast, type Lease } from 'holdfast'
import { type RedisClient, redis } from 'holdfast/redis'
import { Redis as Ioredis6 } from 'ioredis'
import { Redis as Ioredis5 } from 'ioredis5'
import Ioredis50 from 'ioredis50'
import { createSentinel as createSentinel6 } from 'redis'
import { createSentinel as createSentinel5 } from 'redis5'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startProxy } from '../support/proxy.ts'
import { detachReplicas, type RunningSentinel, startSentinel } from '../support/sentinel.ts'
import type { RunningServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

/** One library with a lease, whose connections can be told apart at a server. */
interface User {
  readonly title: string
  readonly holdfast: Holdfast
  readonly lease: Lease
  close(): Promise<void>
}

type Make = (title: string, group: RunningSentinel) => Promise<[RedisClient, () => unknown]>

const throughIoredis =
  (Redis: typeof Ioredis6): Make =>
  async (connectionName, { name, addresses }) => {
    const client = new Redis({ name, sentinels: [...addresses], connectionName, lazyConnect: true })
    return [client, () => client.disconnect()]
  }

const throughNodeRedis =
  (createSentinel: typeof createSentinel6): Make =>
  async (title, { name, addresses }) => {
    const client = createSentinel({
      name,
      sentinelRootNodes: [...addresses],
      nodeClientOptions: { name: title },
    })
    client.on('error', () => {})
    await client.connect()
    return [client, () => client.destroy()]
  }

const ioredis: readonly (readonly [string, typeof Ioredis6])[] = [
  ['ioredis-6', Ioredis6],
  ['ioredis-5', Ioredis5 as unknown as typeof Ioredis6],
  ['ioredis-5.0', Ioredis50 as unknown as typeof Ioredis6],
]

const kinds: readonly (readonly [string, Make])[] = [
  ...ioredis.map(([title, Redis]) => [title, throughIoredis(Redis)] as const),
  ['node-redis-6', throughNodeRedis(createSentinel6)],
  ['node-redis-5', throughNodeRedis(createSentinel5 as unknown as typeof createSentinel6)],
]

/** Holdfast's own connection has only asked for the role yet, or told its name after that. */
async function isConnected(server: RunningServer, title: string): Promise<boolean> {
  const list = (await server.cli('client', 'list')).split('\n')
  return list.some(
    (line) => line.includes(` name=${title} `) && /cmd=(role|info|client\|setname)\b/.test(line),
  )
}

describe('a primary that was stopped and comes back as a second one', () => {
  let group: RunningSentinel
  let old: RunningServer
  let now: RunningServer
  const users: User[] = []

  beforeAll(async () => {
    group = await startSentinel({ replicas: 1, downAfterMs: 1000 })
    old = await group.primary()
    const made = await Promise.all(
      kinds.map(async ([title, make]) => {
        const [client, end] = await make(title, group)
        // Nothing is sent by itself while the primary is stopped, so that no silence gives it away.
        const holdfast = createHoldfast({ engine: redis(client), ttlMs: 120_000 })
        await (await holdfast.mutex(`first of ${title}`).acquire()).release()
        return { title, holdfast, end }
      }),
    )
    await detachReplicas(old)
    for (const { title, holdfast, end } of made) {
      const lease = await holdfast.mutex(`kept by ${title}`).acquire()
      const close = async (): Promise<void> => {
        await holdfast.close()
        await end()
      }
      users.push({ title, holdfast, lease, close })
    }
    old.pause()
    now = await group.promoted(old)
  })
  afterAll(async () => {
    for (const user of users) await user.close()
    await group.stop()
  })

  it('is left by every client as soon as the Sentinels have another', async () => {
    for (const { title } of users) {
      await until(() => isConnected(now, title), { what: `${title} to come to the new primary` })
    }
    old.resume()
    for (const { title, holdfast } of users) {
      const lease = await holdfast.mutex(`second of ${title}`).acquire({ timeoutMs: 5000 })
      expect(await now.call('get', `holdfast:second of ${title}`)).toBe(lease.identity)
      expect(await old.call('exists', `holdfast:second of ${title}`)).toBe(0)
    }
    // The Sentinels have not made it a replica meanwhile: it would have granted all that.
    expect(await old.cli('info', 'replication')).toContain('role:master')
    for (const { title, lease } of users) {
      expect(await old.call('get', `holdfast:kept by ${title}`)).toBe(lease.identity)
    }
  })

  it('keeps no lease alive: its holder is told, and others go on at the new one', async () => {
    for (const { title, holdfast, lease } of users) {
      await expect(lease.renew()).rejects.toMatchObject({ code: 'HOLDFAST_LEASE_LOST' })
      expect(lease.signal.aborted).toBe(true)
      const next = await holdfast.mutex(`kept by ${title}`).acquire({ timeoutMs: 5000 })
      expect(next.fence).toBeGreaterThan(lease.fence)
      expect(await next.release()).toBe(true)
    }
  })

  it.each(ioredis)('is reached by %s where natMap says', async (_, Redis) => {
    await using proxy = await startProxy({ targetPort: now.port })
    const { host, port } = proxy
    const natMap = { [`${now.host}:${now.port}`]: { host, port } }
    const { name, addresses } = group
    const client = new Redis({ name, sentinels: [...addresses], natMap, lazyConnect: true })
    await using holdfast = createHoldfast({ engine: redis(client) })
    await (await holdfast.mutex('mapped').acquire()).release()
    expect(proxy.counters.connections).toBeGreaterThan(0)
    client.disconnect()
  })
})
