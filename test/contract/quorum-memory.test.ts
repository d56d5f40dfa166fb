import { MemoryStore, memory } from 'holdfast/memory'
import { quorum } from 'holdfast/quorum'
import { engineContract, SimulatedClock, seededRandom, settled, type World } from 'holdfast/testing'
import { describe, it } from 'vitest'
import type { Engine } from '../../src/core/engine.ts'
import { forgetful } from './memory-world.ts'

const STEP_MS = 7
const LIMIT_MS = 20_000

/** Quorums of three stores whose calendars are far apart, in simulated time. */
async function quorumWorld(): Promise<World> {
  const clock = new SimulatedClock(1_000)
  const stores = [0, 40_000, -3_000_000].map(
    (skew) =>
      new MemoryStore({ clock, nowMicros: () => 1.8e15 + skew + Math.floor(clock.now()) * 1000 }),
  )
  const random = seededRandom(1)
  const engines: Engine[] = []
  const losing = new Set<Engine>()
  return {
    clock,
    async engine() {
      const nodes = stores.map((store) => memory({ store }))
      const engine = forgetful(quorum(nodes, { clock, random }), losing)
      engines.push(engine)
      return engine
    },
    advance: (ms) => clock.advance(ms),
    async settle(condition) {
      const endMs = clock.now() + LIMIT_MS
      await settled()
      while (!(await condition())) {
        if (clock.now() > endMs) throw new Error(`nothing happened for ${LIMIT_MS} ms`)
        await clock.advance(STEP_MS)
      }
    },
    async loseReply(engine) {
      losing.add(engine)
    },
    async stop() {
      for (const engine of engines) await engine.close()
      if (clock.timers > 0) throw new Error(`${clock.timers} timers were left`)
    },
  }
}

engineContract({ describe, it, name: 'a quorum of memory', start: quorumWorld })
