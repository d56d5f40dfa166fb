import { join } from 'node:path'
import { otherFolder, sourceOf } from '../suite/library.mjs'
import { door } from './holdfast.mjs'
import { bareHandoff, barePairs } from './sqlite-bare.mjs'

/* Contenders on a file. `open` gets the folder, and which of how many processes this is. */

/** The engine by itself, as the core calls it. */
async function openEngine({ folder }, library) {
  const { connectSqlite } = await door('engines/sqlite/index.js', library)
  const { systemRandom } = await sourceOf('system/clock.ts')
  const engine = await connectSqlite(fileIn(folder, 'engine', library))
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

async function openHoldfast({ folder }, library) {
  const { createHoldfast } = await door('index.js', library)
  const { connectSqlite } = await door('engines/sqlite/index.js', library)
  const engine = await connectSqlite(fileIn(folder, 'holdfast', library))
  const holdfast = createHoldfast({ engine })
  return {
    lock(name) {
      const mutex = holdfast.mutex(name)
      return { acquire: () => mutex.acquire(), release: (lease) => lease.release() }
    },
    close: () => holdfast.close(),
  }
}

/** Each build has a file of its own. */
function fileIn(folder, name, library) {
  return join(folder, `${name}${library === undefined ? '' : '-other'}.db`)
}

/** A bare one has one lock, or one for each process, whatever the name. */
const bare = (make) => async (job) => {
  const { close, ...lock } = make({ folder: job.folder, index: job.index, processes: job.size })
  return { lock: () => lock, close }
}

const other = otherFolder()

export const sqliteContenders = [
  { name: 'bare transactions', kind: 'floor', engine: 'sqlite', open: bare(barePairs) },
  { name: 'bare hand-off', kind: 'floor', engine: 'sqlite', open: bare(bareHandoff) },
  {
    name: 'holdfast, SQLite engine alone',
    kind: 'holdfast',
    engine: 'sqlite',
    open: (at) => openEngine(at),
  },
  {
    name: 'holdfast on SQLite',
    kind: 'holdfast',
    engine: 'sqlite',
    open: (at) => openHoldfast(at),
  },
  ...(other === undefined
    ? []
    : [
        {
          name: 'other build, SQLite engine alone',
          kind: 'holdfast',
          engine: 'sqlite',
          open: (at) => openEngine(at, other),
        },
        {
          name: 'other build on SQLite',
          kind: 'holdfast',
          engine: 'sqlite',
          open: (at) => openHoldfast(at, other),
        },
      ]),
]
