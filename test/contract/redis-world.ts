import type { Engine } from 'holdfast'
import type { World } from 'holdfast/testing'
import { connectRedis } from '../../src/engines/redis/index.ts'
import { systemClock } from '../../src/system/clock.ts'
import { type Proxy, startProxy } from '../support/proxy.ts'
import type { RunningServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

/** Engines on one real server, each over a proxy of its own that can lose a reply. */
export async function redisWorld(server: RunningServer): Promise<World> {
  const engines = new Map<Engine, Proxy>()
  return {
    clock: systemClock,
    async engine() {
      const proxy = await startProxy({ targetPort: server.port })
      const engine = await connectRedis(proxy.url)
      engines.set(engine, proxy)
      return engine
    },
    async advance(ms) {
      const end = systemClock.now() + ms
      await until(() => systemClock.now() >= end, {
        what: `${ms} ms to pass`,
        timeoutMs: ms + 5000,
      })
    },
    async settle(condition) {
      await until(condition, { what: 'the condition of a property' })
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
