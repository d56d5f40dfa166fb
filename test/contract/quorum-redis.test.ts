import { quorum } from 'holdfast/quorum'
import { engineContract, type World } from 'holdfast/testing'
import { afterAll, beforeAll, describe, it } from 'vitest'
import type { Engine } from '../../src/core/engine.ts'
import { openRedis } from '../../src/engines/redis/index.ts'
import { systemClock } from '../../src/system/clock.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { forgetful } from './memory-world.ts'

/** Quorums over real servers, in real time. */
async function quorumWorld(servers: readonly RunningServer[]): Promise<World> {
  const engines: Engine[] = []
  const losing = new Set<Engine>()
  return {
    clock: systemClock,
    async engine() {
      const nodes = await Promise.all(servers.map(({ url }) => openRedis(url)))
      const engine = forgetful(quorum(nodes, { nodeTimeoutMs: 5_000 }), losing)
      engines.push(engine)
      return engine
    },
    async advance(ms) {
      const end = systemClock.now() + ms
      const timeoutMs = ms + 5000
      await until(() => systemClock.now() >= end, { what: `${ms} ms to pass`, timeoutMs })
    },
    async settle(condition) {
      await until(condition, { what: 'the condition of a property' })
    },
    async loseReply(engine) {
      losing.add(engine)
    },
    async stop() {
      for (const engine of engines) await engine.close()
    },
  }
}

describe('a quorum of three servers', () => {
  let servers: RunningServer[]
  beforeAll(async () => {
    servers = await Promise.all([startServer(), startServer(), startServer()])
  })
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.stop()))
  })
  engineContract({ describe, it, name: 'a quorum of redis', start: () => quorumWorld(servers) })
})
