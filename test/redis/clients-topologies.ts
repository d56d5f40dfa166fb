import { GlideClusterClient } from '@valkey/valkey-glide'
import { Cluster as Cluster6, Redis as Ioredis6 } from 'ioredis'
import { Cluster as Cluster5, Redis as Ioredis5 } from 'ioredis5'
import { createCluster as createCluster6, createSentinel as createSentinel6 } from 'redis'
import { createCluster as createCluster5, createSentinel as createSentinel5 } from 'redis5'
import type { RedisClient } from '../../src/engines/redis/clients/detect.ts'
import type { RedisPort } from '../../src/engines/redis/port.ts'
import { type RunningCluster, startCluster } from '../support/cluster.ts'
import { type RunningSentinel, startSentinel } from '../support/sentinel.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { clientKinds } from './clients-support.ts'

export type Topology = RedisPort['topology']

type Address = { host: string; port: number }

/** Servers of one topology, and what tests do to them. */
export interface World {
  readonly topology: Topology
  readonly servers: readonly RunningServer[]
  /** Where a client begins: nodes, Sentinels, or the one server. */
  readonly addresses: readonly Address[]
  /** The server that has this key now. */
  serverOf(key: string): Promise<RunningServer>
  stop(): Promise<void>
}

/** Its servers may freeze for long before others take over. */
export async function startWorld(topology: Topology): Promise<World> {
  switch (topology) {
    case 'single':
      return singleWorld(await startServer())
    case 'cluster':
      return clusterWorld(await startCluster({ replicas: 1, nodeTimeoutMs: 30_000 }))
    case 'sentinel':
      return sentinelWorld(await startSentinel({ replicas: 1, downAfterMs: 30_000 }))
  }
}

function singleWorld(server: RunningServer): World {
  const { host, port } = server
  return {
    topology: 'single',
    servers: [server],
    addresses: [{ host, port }],
    serverOf: async () => server,
    stop: () => server.stop(),
  }
}

export function clusterWorld(cluster: RunningCluster): World {
  return {
    topology: 'cluster',
    servers: cluster.nodes.map(({ server }) => server),
    addresses: cluster.addresses,
    serverOf: async (key) => (await cluster.primaryOf(key)).server,
    stop: () => cluster.stop(),
  }
}

export function sentinelWorld(sentinel: RunningSentinel): World {
  return {
    topology: 'sentinel',
    servers: sentinel.servers,
    addresses: sentinel.addresses,
    serverOf: () => sentinel.primary(),
    stop: () => sentinel.stop(),
  }
}

export interface TestClient {
  readonly client: RedisClient
  /** Empty where the library can put nothing in front of keys. */
  readonly keyPrefix: string
  close(): unknown
}

/** One library in one version on one topology. */
export interface Combination {
  readonly title: string
  readonly topology: Topology
  /** A client as a user makes it who would rather read from replicas; never connected by itself. */
  readonly make: (world: World) => Promise<TestClient>
}

const KEY_PREFIX = 'app:'

function ioredisCluster(title: string, Cluster: typeof Cluster6): Combination {
  return {
    title,
    topology: 'cluster',
    async make({ addresses }) {
      const client = new Cluster([...addresses], {
        lazyConnect: true,
        keyPrefix: KEY_PREFIX,
        scaleReads: 'slave',
      })
      client.on('error', () => {})
      return { client, keyPrefix: KEY_PREFIX, close: () => client.disconnect() }
    },
  }
}

function ioredisSentinel(title: string, Redis: typeof Ioredis6): Combination {
  return {
    title,
    topology: 'sentinel',
    async make({ addresses }) {
      const client = new Redis({
        sentinels: [...addresses],
        name: 'holdfast',
        role: 'slave',
        lazyConnect: true,
        keyPrefix: KEY_PREFIX,
      })
      client.on('error', () => {})
      return { client, keyPrefix: KEY_PREFIX, close: () => client.disconnect() }
    },
  }
}

function nodeRedisCluster(
  title: string,
  createCluster: typeof createCluster6,
  keyPrefix: string,
): Combination {
  return {
    title,
    topology: 'cluster',
    async make({ addresses }) {
      const client = createCluster({
        rootNodes: addresses.map((socket) => ({ socket })),
        useReplicas: true,
        ...(keyPrefix === '' ? {} : { keyPrefix }),
      })
      client.on('error', () => {})
      return { client, keyPrefix, close() {} }
    },
  }
}

function nodeRedisSentinel(
  title: string,
  createSentinel: typeof createSentinel6,
  connected: boolean,
): Combination {
  return {
    title,
    topology: 'sentinel',
    async make({ addresses }) {
      const client = createSentinel({
        name: 'holdfast',
        sentinelRootNodes: [...addresses],
        replicaPoolSize: 1,
      })
      client.on('error', () => {})
      if (connected) await client.connect()
      return { client, keyPrefix: '', close: () => connected && client.destroy() }
    },
  }
}

const glideCluster: Combination = {
  title: 'valkey-glide 2',
  topology: 'cluster',
  async make({ addresses }) {
    const client = await GlideClusterClient.createClient({
      addresses: [...addresses],
      readFrom: 'preferReplica',
      lazyConnect: true,
    })
    return { client, keyPrefix: '', close: () => client.close() }
  },
}

const singles = clientKinds.map(
  (kind): Combination => ({
    title: kind.title,
    topology: 'single',
    async make({ addresses: [address] }) {
      const port = address?.port ?? 0
      const user = await kind.make({ port, keyPrefix: KEY_PREFIX })
      const keyPrefix = kind.hasKeyPrefix ? KEY_PREFIX : ''
      return { client: user.client, keyPrefix, close: () => user.close() }
    },
  }),
)

/** Every library in every version on every topology that it serves. */
export const combinations: readonly Combination[] = [
  ...singles,
  ioredisCluster('ioredis 6', Cluster6),
  ioredisCluster('ioredis 5', Cluster5 as unknown as typeof Cluster6),
  nodeRedisCluster('node-redis 6', createCluster6, KEY_PREFIX),
  nodeRedisCluster('node-redis 5', createCluster5 as unknown as typeof createCluster6, ''),
  glideCluster,
  ioredisSentinel('ioredis 6', Ioredis6),
  ioredisSentinel('ioredis 5', Ioredis5 as unknown as typeof Ioredis6),
  nodeRedisSentinel('node-redis 6', createSentinel6, false),
  nodeRedisSentinel('node-redis 6, connected', createSentinel6, true),
  nodeRedisSentinel(
    'node-redis 5, connected',
    createSentinel5 as unknown as typeof createSentinel6,
    true,
  ),
]

export const topologies: readonly Topology[] = ['single', 'cluster', 'sentinel']
