import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'

/* The floors: the least that can do the work, and no promises. */

const COMPARE_AND_DELETE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`

export async function openRawIoredis({ url, ttlMs = 10_000 }) {
  const client = new Redis(url)
  const sha = await client.script('LOAD', COMPARE_AND_DELETE)
  return {
    client,
    lock: (name) => ({
      async acquire() {
        const identity = randomUUID()
        const taken = await client.set(name, identity, 'PX', ttlMs, 'NX')
        if (taken !== 'OK') throw new Error(`${name} is taken`)
        return identity
      },
      release: (identity) => client.evalsha(sha, 1, name, identity),
    }),
    close: async () => client.disconnect(),
  }
}

async function openRawNodeRedis({ url, ttlMs = 10_000 }) {
  const { createClient } = await import('redis')
  const client = createClient({ url }).on('error', () => {})
  await client.connect()
  const sha = await client.scriptLoad(COMPARE_AND_DELETE)
  return {
    lock: (name) => ({
      async acquire() {
        const identity = randomUUID()
        const taken = await client.set(name, identity, {
          condition: 'NX',
          expiration: { type: 'PX', value: ttlMs },
        })
        if (taken !== 'OK') throw new Error(`${name} is taken`)
        return identity
      },
      release: (identity) => client.evalSha(sha, { keys: [name], arguments: [identity] }),
    }),
    close: async () => client.destroy(),
  }
}

/** One token in a list: whoever pops it has the lock, whoever pushes it passes it on. */
async function openToken({ url }) {
  const client = new Redis(url)
  return {
    lock: (name) => ({
      acquire: () => client.blpop(name, 0),
      release: () => client.rpush(name, 'token'),
    }),
    close: async () => client.disconnect(),
  }
}

/** A line in this process, and the raw pair for each of its places. */
async function openQueue(options) {
  const raw = await openRawIoredis(options)
  const lines = new Map()
  const next = (line) => {
    const first = line.shift()
    if (first) first()
    else line.busy = false
  }
  return {
    lock(name) {
      const lock = raw.lock(name)
      if (!lines.has(name)) lines.set(name, Object.assign([], { busy: false }))
      const line = lines.get(name)
      return {
        async acquire() {
          if (line.busy) await new Promise((resolve) => line.push(resolve))
          line.busy = true
          return await lock.acquire()
        },
        async release(identity) {
          await lock.release(identity)
          next(line)
        },
      }
    },
    close: raw.close,
  }
}

export const rawContenders = [
  { name: 'raw, ioredis', kind: 'floor', sends: ['set'], open: openRawIoredis },
  { name: 'raw, node-redis', kind: 'floor', sends: ['set'], open: openRawNodeRedis },
  { name: 'BLPOP token', kind: 'floor', sends: [], open: openToken, token: true },
  { name: 'local queue + raw', kind: 'floor', sends: ['set'], open: openQueue },
]
