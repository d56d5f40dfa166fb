import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SimulatedClock, type World } from 'holdfast/testing'
import { expect, it } from 'vitest'
import { loadBinding } from '../../src/engines/sqlite/binding.ts'
import { SqliteEngine } from '../../src/engines/sqlite/engine.ts'
import { MachineClock } from '../../src/engines/sqlite/machine-clock.ts'
import { forgetful } from '../contract/memory-world.ts'
import { until } from '../support/until.ts'
import { engineModel } from './model.ts'

const runs = Number(process.env['HOLDFAST_MODEL_RUNS'] ?? 150)

/** A real file and real bells in simulated time: lives end at once, however slow the machine is. */
async function simulatedWorld(path: string, clock: SimulatedClock): Promise<World> {
  const engines: SqliteEngine[] = []
  const losing = new Set<ReturnType<typeof forgetful>>()
  return {
    clock,
    async engine() {
      const engine = new SqliteEngine({
        binding: loadBinding(),
        path,
        clock,
        machine: new MachineClock({
          monotonicUs: () => Math.floor(clock.now() * 1000),
          uptimeUs: () => clock.now() * 1000,
          wallMs: () => clock.now(),
          boot: 'the boot of the model',
        }),
        wallMicros: () => 1.8e15 + Math.floor(clock.now() * 1000),
        random: Math.random,
        commandTimeoutMs: 10_000,
        fenceTtlMs: 86_400_000,
      })
      await engine.open()
      engines.push(engine)
      return forgetful(engine, losing)
    },
    advance: (ms) => clock.advance(ms),
    async settle(condition) {
      await until(condition, { what: 'the news of a grant' })
    },
    async loseReply(engine) {
      losing.add(engine)
    },
    async stop() {
      for (const engine of engines) await engine.close()
    },
  }
}

it(
  'agrees with the line on random histories',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-model-'))
    // One file for all histories, and one time: names are what keeps them apart.
    const clock = new SimulatedClock(1_000)
    try {
      const report = await engineModel({
        name: 'sqlite',
        start: () => simulatedWorld(join(folder, 'locks.db'), clock),
        kinds: ['mutex', 'semaphore', 'read-write', 'election'],
        runs,
        file: 'test/model/sqlite.test.ts',
      })
      expect(report.blurred).toBe(0)
      expect(report.steps).toBeGreaterThan(runs * 5)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
  60_000 + runs * 500,
)
