import { join } from 'node:path'
import { sourceOf } from '../suite/library.mjs'
import { door } from './holdfast.mjs'
import { bareHandoff, barePairs } from './sqlite-bare.mjs'

/* Contenders on a file. `open` gets the folder, and which of how many processes this is. */

/** The engine by itself, as the core calls it. */
async function openEngine({ folder }) {
  const { connectSqlite } = await door('engines/sqlite/index.js')
  const { systemRandom } = await sourceOf('system/clock.ts')
  const engine = await connectSqlite(join(folder, 'engine.db'))
  const { signal } = new AbortController()
  return {
    lock: (name) => ({
      async acquire() {
        const place = placeOf(name, systemRandom.identity())
        let standing = await engine.acquire({ ...place, wait: true })
        while (standing.state !== 'held') {
          standing = await engine.wait(place, signal)
          if (standing.state !== 'held') standing = (await engine.renew([place]))[0]
        }
        return { place, fence: standing.fence }
      },
      release: ({ place }) => engine.release(place),
    }),
    close: () => engine.close(),
  }
}

function placeOf(name, identity) {
  const times = { ttlMs: 10_000, waitTtlMs: 10_000, grantTtlMs: 10_000 }
  const shape = { kind: 'mutex', capacity: 1 }
  return { name, shape, permits: 1, identity, ...times, minHoldMs: 0, lockDelayMs: 0, about: '' }
}

async function openHoldfast({ folder }) {
  const { createHoldfast } = await door('index.js')
  const { connectSqlite } = await door('engines/sqlite/index.js')
  const engine = await connectSqlite(join(folder, 'holdfast.db'))
  const holdfast = createHoldfast({ engine })
  return {
    lock(name) {
      const mutex = holdfast.mutex(name)
      return { acquire: () => mutex.acquire(), release: (lease) => lease.release() }
    },
    close: () => holdfast.close(),
  }
}

/** A bare one has one lock, or one for each process, whatever the name. */
const bare = (make) => async (job) => {
  const { close, ...lock } = make({ folder: job.folder, index: job.index, processes: job.size })
  return { lock: () => lock, close }
}

export const sqliteContenders = [
  { name: 'bare transactions', kind: 'floor', engine: 'sqlite', open: bare(barePairs) },
  { name: 'bare hand-off', kind: 'floor', engine: 'sqlite', open: bare(bareHandoff) },
  { name: 'holdfast, SQLite engine alone', kind: 'holdfast', engine: 'sqlite', open: openEngine },
  { name: 'holdfast on SQLite', kind: 'holdfast', engine: 'sqlite', open: openHoldfast },
]
