import { place } from 'holdfast/testing'
import { expect, it } from 'vitest'
import type { Place } from '../../src/core/engine.ts'
import { loadBinding } from '../../src/engines/sqlite/binding.ts'
import { APPLICATION_ID, MIGRATIONS } from '../../src/engines/sqlite/schema.ts'
import { Machine, scratch } from './support.ts'

const SECOND_VERSION = 2

/** A file of the second version: holders and waiters in one table. */
function writeSecondVersion(
  path: string,
  machine: Machine,
  stands: readonly { held: boolean; place: Place; fence: number }[],
): void {
  const connection = loadBinding()(path)
  connection.exec('PRAGMA journal_mode = WAL')
  for (const migration of MIGRATIONS.slice(0, SECOND_VERSION)) connection.exec(migration)
  connection.exec(
    `PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${SECOND_VERSION}`,
  )
  connection.prepare('UPDATE meta SET version = ?, boot = ?').run(SECOND_VERSION, machine.boot)
  const names = [...new Set(stands.map((stand) => stand.place.name))]
  const endsUs = machine.monotonicUs() + 60_000_000
  stands.forEach(({ held, place: { identity, name, permits, about }, fence }, at) => {
    const row = [names.indexOf(name) + 1, identity, held ? 1 : 0, 1, permits, endsUs, at, at, fence]
    connection
      .prepare('INSERT INTO place VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 10000000, 0, 0, ?)')
      .run(...row, about)
  })
  for (const name of names) {
    const there = stands.filter((stand) => stand.place.name === name)
    const holders = there.filter(({ held }) => held)
    const { kind, capacity } = there[0]?.place.shape ?? { kind: 'mutex', capacity: 1 }
    const fence = Math.max(...there.map((stand) => stand.fence))
    const taken = holders.reduce((sum, holder) => sum + holder.place.permits, 0)
    const row = [names.indexOf(name) + 1, name, kind, capacity, fence, 9, 9, taken]
    connection
      .prepare('INSERT INTO lock VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)')
      .run(...row, there.length - holders.length, endsUs)
  }
  connection.close()
}

it('brings holders and waiters of the second version along', async () => {
  using files = scratch()
  const machine = new Machine()
  const semaphore = { kind: 'semaphore', capacity: 3 } as const
  const [holder, waiter] = [place('mutex'), place('mutex')]
  const pair = place('semaphore', { shape: semaphore, permits: 2 })
  const third = place('semaphore', { shape: semaphore })
  writeSecondVersion(files.path, machine, [
    { held: true, place: holder, fence: 70 },
    { held: false, place: waiter, fence: 0 },
    { held: true, place: pair, fence: 80 },
    { held: true, place: third, fence: 81 },
  ])
  const engine = machine.engine(files.path)
  try {
    const standings = await engine.renew([holder, pair, third, waiter])
    expect(standings).toMatchObject([
      { state: 'held', fence: 70 },
      { state: 'held', fence: 80 },
      { state: 'held', fence: 81 },
      { state: 'waiting', ahead: 0, occupant: { identity: holder.identity } },
    ])
    expect((await engine.inspect('semaphore'))?.holders).toMatchObject([
      { identity: pair.identity, permits: 2 },
      { identity: third.identity, permits: 1 },
    ])
    expect(await engine.release(holder)).toBe(true)
    expect((await engine.renew([waiter]))[0]).toMatchObject({ state: 'held' })
    expect(await engine.release(third)).toBe(true)
    const next = place('semaphore', { shape: semaphore })
    expect((await engine.acquire({ ...next, wait: false })).state).toBe('held')
  } finally {
    await engine.close()
  }
})
