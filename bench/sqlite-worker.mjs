/**
 * One process that takes and leaves a lock for as long as it is told, and says when. Moments are
 * nanoseconds of the monotonic clock, which all processes of a machine share.
 */
import { join } from 'node:path'
import { bareHandoff, barePairs } from './sqlite-bare.mjs'

const job = JSON.parse(process.argv[2])
const { row, mode, folder, library, index } = job
const name = row === 'handoff' ? 'lock' : `lock-${index}`
const instant = () => Number(process.hrtime.bigint())

/** The engine by itself, as the core calls it. */
async function engine() {
  const { connectSqlite } = await import(`${library}/engines/sqlite/index.js`)
  const { systemRandom } = await import(`${library}/system/clock.js`)
  const made = await connectSqlite(join(folder, 'engine.db'))
  const { signal } = new AbortController()
  let place
  return {
    async acquire() {
      place = {
        name,
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
        standing = await made.wait(place, signal)
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
  const made = createHoldfast({ engine: await connectSqlite(join(folder, 'holdfast.db')) })
  const mutex = made.mutex(name)
  let lease
  return {
    async acquire() {
      lease = await mutex.acquire()
    },
    release: () => lease.release(),
    close: () => made.close(),
  }
}

const bare = row === 'handoff' ? bareHandoff : barePairs
const lock = await { bare, engine, holdfast }[mode](job)

async function play({ startAt, forMs }) {
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, startAt - Date.now())))
  const turns = []
  const before = process.cpuUsage()
  const end = instant() + forMs * 1e6
  while (instant() < end) {
    await lock.acquire()
    const from = instant()
    const to = instant()
    await lock.release()
    turns.push([from, to])
  }
  const { user, system } = process.cpuUsage(before)
  process.send({ turns, cpuUs: user + system })
}

async function obey(round) {
  if (round !== null) return await play(round)
  await lock.close()
  process.disconnect()
}

process.on('message', (round) => void obey(round))
process.send('ready')
