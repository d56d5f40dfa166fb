import { MemoryStore, memory } from 'holdfast/memory'
import { SimulatedClock, settled, type World } from 'holdfast/testing'
import type { Engine } from '../../src/core/engine.ts'
import { EngineError } from '../../src/core/errors.ts'

const STEP_MS = 7
const LIMIT_MS = 20_000

/** Memory engines in simulated time: a run is the same every time, and takes no time at all. */
export async function memoryWorld(): Promise<World> {
  const clock = new SimulatedClock(1_000)
  const store = new MemoryStore({ clock, nowMicros: () => 1.8e15 + Math.floor(clock.now()) * 1000 })
  const engines: Engine[] = []
  const losing = new Set<Engine>()
  return {
    clock,
    async engine() {
      const engine = forgetful(memory({ store }), losing)
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

/** Carries out the next call of an engine that is losing, and forgets the answer. */
export function forgetful(engine: Engine, losing: Set<Engine>): Engine {
  const proxy: Engine = new Proxy(engine, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key)
      if (typeof member !== 'function') return member
      return async (...args: unknown[]) => {
        const lost = losing.delete(proxy)
        const call = Reflect.apply(member, target, args) as Promise<unknown>
        if (!lost) return await call
        await call.catch(() => undefined)
        throw new EngineError({
          engine: engine.name,
          operation: String(key),
          outcome: 'unknown',
          transient: true,
          problem: 'the answer was lost',
        })
      }
    },
  })
  return proxy
}
