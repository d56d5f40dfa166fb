import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { place } from 'holdfast/testing'
import { expect, it } from 'vitest'
import { loadBinding } from '../../src/engines/sqlite/binding.ts'
import { connectSqlite } from '../../src/engines/sqlite/index.ts'
import { randomFrom, seed, until } from '../support/until.ts'
import { type Process, scratch, startProcess } from './support.ts'

const FOR_MS = Number(process.env['HOLDFAST_STORM_MS'] ?? 6_000)
const PROCESSES = 8
const LOCKS = 50
const TTL_MS = 5_000

interface Turn {
  readonly lock: string
  readonly fence: number
  readonly from: number
  to?: number
  value?: number
}

it('survives a storm of processes that are killed at random', async () => {
  const random = randomFrom(seed(import.meta.url))
  using place = scratch()
  const { folder, path } = place
  for (let lock = 0; lock < LOCKS; lock++) writeFileSync(join(folder, `lock-${lock}`), '0 0')
  let endMs = Number.POSITIVE_INFINITY
  const problems: string[] = []
  let kills = 0
  const send = (started: Process): Process => {
    const forMs = Math.max(1, endMs - performance.now())
    const storm = {
      folder,
      locks: LOCKS,
      ttlMs: TTL_MS,
      forMs,
      random: Math.floor(random() * 2 ** 32),
    }
    started.call('storm', storm).catch((error: Error) => {
      if (error.message !== 'the process has ended') problems.push(error.message)
    })
    return started
  }
  const start = () => startProcess(path)
  const processes = await Promise.all(Array.from({ length: PROCESSES }, start))
  endMs = performance.now() + FOR_MS
  for (const each of processes) send(each)
  while (performance.now() < endMs) {
    await pause(100 + random() * 300)
    const victim = Math.floor(random() * PROCESSES)
    await processes[victim]?.kill()
    kills += 1
    processes[victim] = send(await start())
  }
  for (const each of processes) await each.kill()
  expect(problems).toEqual([])
  const turns = readTurns(folder)
  expect(turns.length).toBeGreaterThan(200)
  let longestMs = 0
  let orphans = 0
  for (let lock = 0; lock < LOCKS; lock++) {
    const name = `lock-${lock}`
    const own = turns.filter((turn) => turn.lock === name).sort((a, b) => a.from - b.from)
    checkLock(folder, name, own)
    for (const keptMs of orphanedMs(own)) {
      orphans += 1
      longestMs = Math.max(longestMs, keptMs)
    }
  }
  // Whoever was killed while it held was followed by another before its lease was over.
  expect(longestMs).toBeLessThan(TTL_MS)
  await checkFile(path)
  console.log(
    `${turns.length} turns of ${LOCKS} locks, ${kills} processes killed, ${orphans} of them with a ` +
      `lock, which the next had after ${Math.round(longestMs)} ms at most (leases: ${TTL_MS} ms); ` +
      'no update lost, no turns at once, fences rose, integrity_check ok',
  )
}, 300_000)

function readTurns(folder: string): Turn[] {
  const turns: Turn[] = []
  for (const name of readdirSync(folder).filter((each) => each.startsWith('journal-'))) {
    for (const line of readFileSync(join(folder, name), 'utf8').split('\n')) {
      const [what, lock = '', fence, at, value] = line.split(' ')
      if (what === 'start') turns.push({ lock, fence: Number(fence), from: Number(at) })
      const last = turns.at(-1)
      if (what !== 'done' || last === undefined) continue
      last.to = Number(at)
      last.value = Number(value)
    }
  }
  return turns
}

/** How long locks stayed taken from the grants of holders that were killed. */
function orphanedMs(turns: readonly Turn[]): number[] {
  return turns.flatMap((turn, index) => {
    const next = turns[index + 1]
    return turn.to === undefined && next !== undefined ? [(next.from - turn.from) / 1e6] : []
  })
}

/** Fences rise in the order of time, no two turns overlap, and no update was lost. */
function checkLock(folder: string, lock: string, turns: readonly Turn[]): void {
  const values = turns.flatMap(({ value }) => (value === undefined ? [] : [value]))
  expect(new Set(values).size, `an update of ${lock} was lost`).toBe(values.length)
  const unknown = turns.length - values.length
  const [total = 0] = readFileSync(join(folder, lock), 'utf8').split(' ').map(Number)
  expect(total).toBeGreaterThanOrEqual(values.length)
  expect(total).toBeLessThanOrEqual(values.length + unknown)
  for (const [index, turn] of turns.entries()) {
    const before = turns[index - 1]
    if (before === undefined) continue
    expect(turn.fence, `the fence of ${lock} fell`).toBeGreaterThan(before.fence)
    expect(turn.from, `two had ${lock}`).toBeGreaterThanOrEqual(before.to ?? before.from)
  }
}

/** The file is sound, and nobody who died keeps a lock. */
async function checkFile(path: string): Promise<void> {
  const engine = await connectSqlite(path)
  try {
    for (let lock = 0; lock < LOCKS; lock++) {
      const name = `lock-${lock}`
      await until(
        async () => {
          const asked = place(name)
          const standing = await engine.acquire({ ...asked, wait: false })
          return standing.state === 'held' && (await engine.release(asked))
        },
        { what: `${name} to be free`, timeoutMs: 5_000 },
      )
    }
  } finally {
    await engine.close()
  }
  const connection = loadBinding()(path)
  const sound = connection.prepare('PRAGMA integrity_check').all()
  const left = connection
    .prepare('SELECT (SELECT count(*) FROM waiter) + sum(taken + waiting) AS n FROM lock')
    .get()
  connection.close()
  expect(sound.map((row) => Object.values(row)[0])).toEqual(['ok'])
  expect(left?.['n']).toBe(0)
}
