import { Redis } from 'ioredis'

/*
 * The packages that users have, each on a client of its own. All wait for as long as it takes;
 * between two tries they pause as they do by default, or about 1 ms.
 */

const FOREVER = 1_000_000_000

function connected(url) {
  const client = new Redis(url)
  return { client, close: async () => client.disconnect() }
}

async function openRedlock4({ url, ttlMs = 10_000, pause }) {
  const { default: Redlock } = await import('redlock-4')
  const { client, close } = connected(url)
  const often = pause && { retryDelay: pause, retryJitter: 1 }
  const redlock = new Redlock([client], { retryCount: -1, ...often })
  return {
    lock: (name) => ({
      acquire: () => redlock.lock(name, ttlMs),
      release: (lock) => lock.unlock(),
    }),
    close,
  }
}

async function openRedlock5({ url, ttlMs = 10_000, pause }) {
  const { default: Redlock } = await import('redlock-5')
  return openRedlock(Redlock, url, ttlMs, pause)
}

async function openSesamecare({ url, ttlMs = 10_000, pause }) {
  const { Redlock } = await import('@sesamecare-oss/redlock')
  return openRedlock(Redlock, url, ttlMs, pause)
}

function openRedlock(Redlock, url, ttlMs, pause) {
  const { client, close } = connected(url)
  const often = pause && { retryDelay: pause, retryJitter: 1 }
  const redlock = new Redlock([client], { retryCount: -1, ...often })
  redlock.on('error', () => {})
  return {
    lock: (name) => ({
      acquire: () => redlock.acquire([name], ttlMs),
      release: (lock) => lock.release(),
      /** Held and renewed until `signal` aborts. */
      keep: (signal) => redlock.using([name], ttlMs, () => aborted(signal)),
    }),
    close,
  }
}

async function openRedisSemaphore({ url, ttlMs = 10_000, pause }) {
  const { Mutex } = await import('redis-semaphore')
  const { client, close } = connected(url)
  const often = pause && { retryInterval: pause }
  const options = { lockTimeout: ttlMs, acquireTimeout: Number.POSITIVE_INFINITY, ...often }
  return {
    lock: (name) => ({
      async acquire() {
        const mutex = new Mutex(client, name, options)
        await mutex.acquire()
        return mutex
      },
      release: (mutex) => mutex.release(),
      async keep(signal) {
        const mutex = new Mutex(client, name, options)
        await mutex.acquire()
        await aborted(signal)
        await mutex.release()
      },
    }),
    close,
  }
}

async function openVerrou({ url, ttlMs = 10_000, pause }) {
  const { LockFactory } = await import('@verrou/core')
  const { redisStore } = await import('@verrou/core/drivers/redis')
  const { client, close } = connected(url)
  const store = redisStore({ connection: client }).factory()
  const factory = new LockFactory(store, pause ? { retry: { delay: pause } } : {})
  return {
    lock: (name) => ({
      async acquire() {
        const lock = factory.createLock(name, ttlMs)
        if (!(await lock.acquire())) throw new Error(`${name} is taken`)
        return lock
      },
      release: (lock) => lock.release(),
    }),
    close,
  }
}

async function openUniversal({ url, ttlMs = 10_000, pause }) {
  const { createLock, IoredisAdapter } = await import('redlock-universal')
  const { client, close } = connected(url)
  const often = pause && { retryDelay: pause }
  const options = { adapter: new IoredisAdapter(client), ttl: ttlMs, retryAttempts: FOREVER }
  return {
    lock(name) {
      const lock = createLock({ ...options, key: name, ...often })
      return {
        acquire: () => lock.acquire(),
        release: (handle) => lock.release(handle),
        keep: (signal) => lock.using(() => aborted(signal)),
      }
    },
    close,
  }
}

function aborted(signal) {
  return new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}

const packages = [
  { name: 'redlock 4', open: openRedlock4, sends: [] },
  { name: 'redlock 5 beta', open: openRedlock5, sends: [] },
  { name: '@sesamecare-oss/redlock', open: openSesamecare, sends: [] },
  { name: 'redis-semaphore', open: openRedisSemaphore, sends: ['set'] },
  { name: '@verrou/core', open: openVerrou, sends: ['set'] },
  { name: 'redlock-universal', open: openUniversal, sends: ['set'] },
]

/** Both ways of waiting of each package. */
export const peerContenders = packages.flatMap(({ name, open, sends }) => [
  { name, kind: 'peer', polling: 'defaults', sends, open },
  {
    name: `${name}, aggressive`,
    kind: 'peer',
    polling: 'aggressive',
    sends,
    open: (options) => open({ ...options, pause: 1 }),
  },
])
