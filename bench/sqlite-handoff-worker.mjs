/**
 * One process that takes and leaves one lock for a while, and says when. Moments are nanoseconds of
 * the monotonic clock, which all processes of a machine share.
 */
import { closeSync, openSync, watch, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const { mode, folder, library, index, processes, forMs, warmMs, startAt } = JSON.parse(
  process.argv[2],
)
const instant = () => Number(process.hrtime.bigint())

/** The least that can hand a lock on: two tables, a bell per process, and no promises. */
function bare() {
  const sqlite =
    process.getBuiltinModule?.('node:sqlite') ??
    createRequire(import.meta.url)('@photostructure/sqlite')
  const db = new sqlite.DatabaseSync(join(folder, 'bare.db'), { timeout: 0 })
  const bells = Array.from({ length: processes }, (_, at) =>
    openSync(join(folder, `bell-${at}`), 'r+'),
  )
  const byte = Buffer.from('.')
  const begin = db.prepare('BEGIN IMMEDIATE')
  const commit = db.prepare('COMMIT')
  const look = db.prepare('SELECT owner, fence FROM l')
  const own = db.prepare('UPDATE l SET owner = ?, fence = fence + 1')
  const free = db.prepare('UPDATE l SET owner = NULL')
  const join_ = db.prepare('INSERT INTO q (id) VALUES (?)')
  const head = db.prepare('SELECT seq, id FROM q ORDER BY seq LIMIT 1')
  const drop = db.prepare('DELETE FROM q WHERE seq = ?')
  db.exec('PRAGMA synchronous = NORMAL')
  const enter = async () => {
    for (let tries = 0; ; tries++) {
      try {
        return begin.run()
      } catch (error) {
        if (error.errcode !== 5) throw error
        if (tries < 3) await new Promise((resolve) => setImmediate(resolve))
        else await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * 4))
      }
    }
  }
  let wake
  const check = () => {
    if (wake !== undefined && look.get().owner === index) {
      const go = wake
      wake = undefined
      go()
    }
  }
  const watcher = watch(join(folder, `bell-${index}`), check)
  return {
    async acquire() {
      await enter()
      const taken = look.get().owner !== null
      if (taken) join_.run(index)
      else own.run(index)
      commit.run()
      if (!taken) return
      await new Promise((resolve) => {
        wake = resolve
        check()
      })
    },
    async release() {
      await enter()
      const next = head.get()
      if (next === undefined) {
        free.run()
      } else {
        own.run(next.id)
        drop.run(next.seq)
      }
      commit.run()
      if (next !== undefined) writeSync(bells[next.id], byte, 0, 1, 0)
    },
    async close() {
      watcher.close()
      for (const bell of bells) closeSync(bell)
      db.close()
    },
  }
}

/** The engine by itself, as the core calls it. */
async function engine() {
  const { connectSqlite } = await import(`${library}/engines/sqlite/index.js`)
  const { systemRandom } = await import(`${library}/system/clock.js`)
  const made = await connectSqlite(join(folder, 'engine.db'))
  let place
  return {
    async acquire() {
      place = {
        name: 'lock',
        shape: { kind: 'mutex', capacity: 1 },
        permits: 1,
        identity: systemRandom.identity(),
        ttlMs: 10_000,
        waitTtlMs: 10_000,
        grantTtlMs: 10_000,
        minHoldMs: 0,
        lockDelayMs: 0,
        about: '',
      }
      let standing = await made.acquire({ ...place, wait: true })
      while (standing.state !== 'held') {
        standing = await made.wait(place, new AbortController().signal)
        if (standing.state !== 'held') standing = (await made.renew([place]))[0]
      }
    },
    release: () => made.release(place),
    close: () => made.close(),
  }
}

/** The whole library, as a user calls it. */
async function holdfast() {
  const { createHoldfast } = await import(`${library}/index.js`)
  const { connectSqlite } = await import(`${library}/engines/sqlite/index.js`)
  const engine = await connectSqlite(join(folder, 'holdfast.db'))
  const made = createHoldfast({ engine })
  const mutex = made.mutex('lock')
  let lease
  return {
    async acquire() {
      lease = await mutex.acquire()
    },
    release: () => lease.release(),
    close: () => made.close(),
  }
}

const lock = await { bare, engine, holdfast }[mode]()
await new Promise((resolve) => setTimeout(resolve, Math.max(0, startAt - Date.now())))
const turns = []
const warm = instant() + warmMs * 1e6
const end = warm + forMs * 1e6
let before
while (instant() < end) {
  // Code that has just been loaded runs many times slower: that is not what is measured here.
  if (before === undefined && instant() > warm) before = process.cpuUsage()
  await lock.acquire()
  const from = instant()
  const to = instant()
  await lock.release()
  if (before !== undefined) turns.push([from, to])
}
const { user, system } = process.cpuUsage(before)
process.send({ turns, cpuUs: user + system }, () => process.disconnect())
await lock.close()
