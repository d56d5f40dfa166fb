import type { Engine } from 'holdfast'
import { redis } from 'holdfast/redis'
import type { World } from 'holdfast/testing'
import { Cluster } from 'ioredis'
import { connectRedis } from '../../src/engines/redis/index.ts'
import { systemClock } from '../../src/system/clock.ts'
import type { RunningCluster } from '../support/cluster.ts'
import { type ProxiedRequest, type Proxy, startProxy } from '../support/proxy.ts'
import type { RunningServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

const realTime = {
  clock: systemClock,
  async advance(ms: number) {
    const end = systemClock.now() + ms
    await until(() => systemClock.now() >= end, {
      what: `${ms} ms to pass`,
      timeoutMs: ms + 5000,
    })
  },
  async settle(condition: () => boolean | Promise<boolean>) {
    await until(condition, { what: 'the condition of a property' })
  },
}

/** Engines on one real server, each over a proxy of its own that can lose a reply. */
export async function redisWorld(server: RunningServer): Promise<World> {
  const engines = new Map<Engine, Proxy>()
  return {
    ...realTime,
    async engine() {
      const proxy = await startProxy({ targetPort: server.port })
      const engine = await connectRedis(proxy.url)
      engines.set(engine, proxy)
      return engine
    },
    async loseReply(engine) {
      engines.get(engine)?.cutAfterServer('evalsha')
    },
    async stop() {
      for (const [engine, proxy] of engines) {
        await engine.close()
        await proxy.stop()
      }
    },
  }
}

/** Engines on one real Cluster, each over proxies of its own, one in front of every node. */
export async function redisClusterWorld({ nodes }: RunningCluster): Promise<World> {
  const engines = new Map<Engine, { client: Cluster; proxies: Proxy[] }>()
  return {
    ...realTime,
    async engine() {
      const proxies = await Promise.all(nodes.map(({ port }) => startProxy({ targetPort: port })))
      const [seed] = proxies
      const natMap = Object.fromEntries(
        nodes.flatMap(({ server, port }, at) => {
          const proxy = proxies[at]
          return proxy ? [[`${server.host}:${port}`, { host: proxy.host, port: proxy.port }]] : []
        }),
      )
      const client = new Cluster([{ host: seed?.host, port: seed?.port }], {
        lazyConnect: true,
        natMap,
      })
      const engine = redis(client)
      engines.set(engine, { client, proxies })
      return engine
    },
    async loseReply(engine) {
      let isLost = false
      // Whichever node it comes from, but only one.
      const next = ({ args: [name] }: ProxiedRequest): boolean => {
        if (isLost || name?.toLowerCase() !== 'evalsha') return false
        isLost = true
        return true
      }
      for (const proxy of engines.get(engine)?.proxies ?? []) proxy.cutAfterServer(next)
    },
    async stop() {
      for (const [engine, { client, proxies }] of engines) {
        await engine.close()
        client.disconnect()
        await Promise.all(proxies.map((proxy) => proxy.stop()))
      }
    },
  }
}
