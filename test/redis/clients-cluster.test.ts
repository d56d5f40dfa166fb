import { Cluster } from 'ioredis'
import { Cluster as Cluster5 } from 'ioredis5'
import { createCluster } from 'redis'
import { createCluster as createCluster5 } from 'redis5'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { portFor, type RedisClient } from '../../src/engines/redis/clients/detect.ts'
import type { RedisPort } from '../../src/engines/redis/port.ts'
import { systemClock } from '../../src/system/clock.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { clientKinds, failureOf, openPort } from './clients-support.ts'

let server: RunningServer
beforeAll(async () => {
  server = await startServer({
    args: ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'],
  })
  await server.call('cluster', 'addslotsrange', 0, 16383)
  await until(async () => (await server.cli('cluster', 'info')).includes('cluster_state:ok'), {
    what: 'the Cluster of one node to be complete',
  })
})
afterAll(() => server.stop())

const at = () => ({ host: '127.0.0.1', port: server.port })
const clients: readonly (readonly [string, () => RedisClient])[] = [
  ['ioredis 6', () => new Cluster([at()], { lazyConnect: true, keyPrefix: 'app:' })],
  ['ioredis 5', () => new Cluster5([at()], { lazyConnect: true, keyPrefix: 'app:' })],
  ['node-redis 6', () => createCluster({ rootNodes: [{ url: server.url }], keyPrefix: 'app:' })],
  ['node-redis 5', () => createCluster5({ rootNodes: [{ url: server.url }] })],
]

async function openConnections(): Promise<number> {
  return (await server.cli('client', 'list')).trim().split('\n').length - 1
}

describe.each(clients)('a Cluster through %s', (_, make) => {
  const withPort = async (use: (port: RedisPort) => Promise<void>): Promise<void> => {
    const port = portFor(make(), { clock: systemClock, connectTimeoutMs: 2000 })
    try {
      await use(port)
    } finally {
      await port.close()
    }
  }

  it('takes commands and scripts, and leaves nothing open', async () => {
    await withPort(async (port) => {
      expect(port.topology).toBe('cluster')
      const options = { timeoutMs: 1000, key: 'a' }
      expect(await port.command('set', ['a', 'x'], options)).toBe('OK')
      const script = "return { KEYS[1], redis.call('get', KEYS[1]) }"
      const key = `${port.keyPrefix}a`
      expect(await port.command('eval', [script, 1, 'a'], options)).toEqual([key, 'x'])
      const { failure } = await failureOf(
        port.command('evalsha', ['0'.repeat(40), 1, 'a'], options),
      )
      expect(failure).toMatchObject({ kind: 'noscript', mayHaveRun: false })
    })
    await until(async () => (await openConnections()) === 0, { what: 'the connections to go' })
  })

  it('hears what is published, also after its connection was killed', async () => {
    await withPort(async (port) => {
      const heard: string[] = []
      let ups = 0
      port.subscribe('news', {
        message: (text) => heard.push(text),
        ready: () => {
          ups += 1
        },
        broken() {},
      })
      await port.command('set', ['a', 'x'], { timeoutMs: 1000, key: 'a' })
      await until(() => ups === 1, { what: 'the subscription' })
      await server.call('publish', 'news', 'one')
      await server.call('client', 'kill', 'type', 'pubsub')
      await until(() => ups === 2, { what: 'the subscription to heal' })
      await server.call('publish', 'news', 'two')
      await until(() => heard.length === 2, { what: 'both messages' })
    })
  })
})

it.each(clientKinds)(
  '$title on a single node of a Cluster works or says what is wrong',
  async (kind) => {
    await using port = await openPort(kind, { port: server.port })
    await server.call('cluster', 'delslots', 0)
    try {
      const { failure } = await failureOf(port.run('get', 'k'))
      expect(failure).toMatchObject({ kind: 'unavailable', mayHaveRun: false })
    } finally {
      await server.call('cluster', 'addslots', 0)
    }
  },
)
