import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Engine } from 'holdfast'
import { connectSqlite } from 'holdfast/sqlite'
import type { World } from 'holdfast/testing'
import { systemClock } from '../../src/system/clock.ts'
import { until } from '../support/until.ts'
import { forgetful } from './memory-world.ts'

/** Engines on one file, in real time, each with a connection and a bell of its own. */
export async function sqliteWorld(): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-sqlite-'))
  const engines: Engine[] = []
  const losing = new Set<Engine>()
  return {
    clock: systemClock,
    async engine() {
      const engine = forgetful(await connectSqlite(join(folder, 'locks.db')), losing)
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
      await rm(folder, { recursive: true, force: true })
    },
  }
}
