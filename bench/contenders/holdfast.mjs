import { pathToFileURL } from 'node:url'
import { libraryFolder, otherFolder } from '../suite/library.mjs'

/** Loads a door of a build. */
export async function door(path, folder = libraryFolder()) {
  return await import(pathToFileURL(`${folder}/${path}`).href)
}

function opened(holdfast, lockOptions) {
  return {
    holdfast,
    lock(name) {
      const mutex = holdfast.mutex(name, lockOptions)
      return {
        acquire: () => mutex.acquire(),
        release: (lease) => lease.release(),
      }
    },
    close: () => holdfast.close(),
  }
}

async function openHoldfast({ url, ttlMs = 10_000 }, { folder, lock } = {}) {
  const { connect } = await door('index.js', folder)
  return opened(await connect(url, { ttlMs }), lock)
}

async function openOnNodeRedis({ url, ttlMs = 10_000 }) {
  const { createHoldfast } = await door('index.js')
  const { redis } = await door('engines/redis/index.js')
  const { createClient } = await import('redis')
  const client = createClient({ url }).on('error', () => {})
  await client.connect()
  const made = opened(createHoldfast({ engine: redis(client), ttlMs }))
  return {
    ...made,
    async close() {
      await made.close()
      client.destroy()
    },
  }
}

const other = otherFolder()

export const holdfastContenders = [
  { name: 'holdfast, ioredis', kind: 'holdfast', sends: [], open: (at) => openHoldfast(at) },
  { name: 'holdfast, node-redis', kind: 'holdfast', sends: [], open: openOnNodeRedis },
  {
    name: 'holdfast, handover',
    kind: 'holdfast',
    sends: [],
    handover: true,
    open: (at) => openHoldfast(at, { lock: { handover: true } }),
  },
  ...(other === undefined
    ? []
    : [
        {
          name: 'other build, ioredis',
          kind: 'holdfast',
          sends: [],
          open: (at) => openHoldfast(at, { folder: other }),
        },
      ]),
]
