import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { clients, open, take } from '../support/holdfasts.ts'
import { connect } from '../support/raw-redis.ts'
import { watch } from '../support/rig.ts'
import { freePort, type RunningServer, startReplica, startServer } from '../support/servers.ts'
import { describeServers } from '../support/servers-under-test.ts'
import { until } from '../support/until.ts'

const LONG_MS = 120_000

interface Refusal {
  /** The word that the server's error begins with. */
  readonly word: string
  readonly args?: readonly string[]
  /** It does not pass by itself, so that nothing is repeated: the lock ends with its lease. */
  readonly lasting?: true
  readonly begin: (server: RunningServer) => Promise<unknown>
  readonly end: (server: RunningServer) => Promise<unknown>
}

const set = async (server: RunningServer, name: string, value: string | number) =>
  await server.call('config', 'set', name, value)

const refusals: readonly Refusal[] = [
  {
    word: 'READONLY',
    begin: async (server) => await server.call('replicaof', '127.0.0.1', await freePort()),
    end: (server) => server.call('replicaof', 'no', 'one'),
  },
  {
    word: 'MASTERDOWN',
    args: ['--replica-serve-stale-data', 'no'],
    begin: async (server) => await server.call('replicaof', '127.0.0.1', await freePort()),
    end: (server) => server.call('replicaof', 'no', 'one'),
  },
  {
    word: 'NOREPLICAS',
    begin: (server) => set(server, 'min-replicas-to-write', 1),
    end: (server) => set(server, 'min-replicas-to-write', 0),
  },
  {
    word: 'MISCONF',
    async begin(server) {
      await set(server, 'save', '3600 1')
      // The dump cannot be put where a folder is.
      await mkdir(join(server.dir, 'dump.rdb', 'in-the-way'), { recursive: true })
      await server.call('bgsave')
      await until(
        async () =>
          (await server.cli('info', 'persistence')).includes('rdb_last_bgsave_status:err'),
        { what: 'the save to fail' },
      )
    },
    async end(server) {
      await rm(join(server.dir, 'dump.rdb'), { recursive: true })
      await set(server, 'save', '')
    },
  },
  {
    word: 'BUSY',
    args: ['--lua-time-limit', '20'],
    async begin(server) {
      const raw = await connect(server.port)
      raw.call('eval', 'while true do end', 0).then(
        () => raw.close(),
        () => raw.close(),
      )
      await until(
        async () =>
          await server.cli('ping').then(
            () => false,
            () => true,
          ),
        {
          what: 'the script to keep the server busy',
        },
      )
    },
    end: (server) => server.call('script', 'kill'),
  },
  {
    word: 'NOPERM',
    lasting: true,
    begin: (server) => server.call('acl', 'setuser', 'default', '-evalsha', '-eval'),
    end: (server) => server.call('acl', 'setuser', 'default', '+evalsha', '+eval'),
  },
]

describeServers('a server that refuses', (name) => {
  describe.each(refusals)('with $word', ({ word, args = [], lasting, begin, end }) => {
    const way = clients[word.length % clients.length] ?? 'ioredis'

    it('takes no lease away, is no rival, and gets the release in the end', async () => {
      await using server = await startServer({ server: name, args })
      const settings = { ttlMs: LONG_MS, requestTimeoutMs: 300 }
      await using one = await open(way, { port: server.port }, settings)
      const held = await take(one.holdfast, 'held', { ttlMs: 5000 })
      const left = await take(one.holdfast, 'left', lasting ? { ttlMs: 2000 } : {})
      const next = watch(one.holdfast.mutex('left').acquire({ ttlMs: 5000 }))
      await until(() => one.told.includes('waiting: left'), { what: 'the next to wait' })

      await begin(server)
      const refused = { code: 'HOLDFAST_ENGINE_FAILED', message: expect.stringContaining(word) }
      // The lock is taken, but this server is not the one to say so.
      await expect(one.holdfast.mutex('held').tryAcquire()).rejects.toMatchObject(refused)
      await expect(one.holdfast.mutex('free').tryAcquire()).rejects.toMatchObject(refused)
      await expect(held.renew()).rejects.toMatchObject(refused)
      await expect(left.release()).rejects.toMatchObject(refused)
      await until(() => one.told.includes('jeopardy: held'), { what: 'its own renewal to fail' })
      expect([held.held, held.signal.aborted]).toEqual([true, false])
      await end(server)

      await until(() => next.settled, { what: 'the release to arrive' })
      expect(next.error).toBeUndefined()
      expect(next.value?.held).toBe(true)
      await until(async () => await held.renew().then(() => true), { what: 'a renewal' })
      expect([held.held, held.state]).toEqual([true, 'held'])
      await take(one.holdfast, 'free')
    })
  })

  it('because its memory is full still renews and releases', async () => {
    await using server = await startServer({ server: name })
    const settings = { ttlMs: LONG_MS, requestTimeoutMs: 300 }
    await using one = await open('ioredis', { port: server.port }, settings)
    const other = await take(one.holdfast, 'other')
    const waiting = watch(one.holdfast.mutex('other').acquire({ ttlMs: 900 }))
    await until(() => one.told.includes('waiting: other'), { what: 'the wait' })
    const lease = await take(one.holdfast, 'job', { ttlMs: 900 })
    await set(server, 'maxmemory', 1)
    const refused = { code: 'HOLDFAST_ENGINE_FAILED', message: expect.stringContaining('OOM') }
    await expect(one.holdfast.mutex('free').tryAcquire()).rejects.toMatchObject(refused)
    await expect(one.holdfast.mutex('other').acquire({ timeoutMs: 1000 })).rejects.toMatchObject(
      refused,
    )
    // Renewed in one request with a waiting place, whose upkeep takes memory.
    const end = performance.now() + 1800
    await until(() => performance.now() > end, { what: 'two lives of the lease' })
    expect(one.told.filter((each) => /^(lost|jeopardy)/.test(each))).toEqual([])
    expect(lease.held).toBe(true)
    expect(await lease.release()).toBe(true)
    expect(await server.call('exists', 'holdfast:job')).toBe(0)
    expect(waiting.settled).toBe(false)
    expect(await other.release()).toBe(true)
    await until(() => waiting.settled, { what: 'the waiter to be served' })
    expect(waiting.error).toBeUndefined()
    expect(waiting.value?.held).toBe(true)
  })

  it('while it loads its data is unavailable, and then serves the lock it kept', async () => {
    const args = ['--key-load-delay', '3000', '--loading-process-events-interval-bytes', '1024']
    await using server = await startServer({ server: name, args })
    await using one = await open('ioredis', { port: server.port }, { requestTimeoutMs: 200 })
    const lease = await take(one.holdfast, 'job', { ttlMs: LONG_MS })
    await server.call(
      'eval',
      "for i = 1, 400 do redis.call('SET', i, string.rep('x', 1024)) end",
      0,
    )
    await server.restart({ keepData: true, whileLoading: true })
    const refused = { code: 'HOLDFAST_ENGINE_FAILED', message: expect.stringContaining('LOADING') }
    await expect(one.holdfast.mutex('job').tryAcquire()).rejects.toMatchObject(refused)
    await until(async () => await lease.renew().then(() => true), { what: 'the data to be loaded' })
    expect(lease.held).toBe(true)
    expect(await one.holdfast.mutex('job').tryAcquire()).toBeNull()
  })
})

describe('a replica', () => {
  let told: unknown[]
  beforeEach(() => {
    told = []
  })

  it('says nothing about who holds a lock, even when it has old data', async () => {
    await using primary = await startServer()
    await using replica = await startReplica(primary)
    await using there = await open('ioredis', { port: replica.port }, { requestTimeoutMs: 200 })
    await using here = await open('ioredis', { port: primary.port }, { ttlMs: LONG_MS })
    const taken = await take(here.holdfast, 'taken')
    await until(async () => (await replica.call('exists', 'holdfast:taken')) === 1, {
      what: 'the replica to follow',
    })
    for (const lock of ['taken', 'free']) {
      const call = there.holdfast.mutex(lock).tryAcquire()
      await call.then(
        (answer) => told.push(answer),
        (error: unknown) => told.push((error as { code: string }).code),
      )
    }
    expect(told).toEqual(['HOLDFAST_ENGINE_FAILED', 'HOLDFAST_ENGINE_FAILED'])
    await expect(there.holdfast.mutex('taken').acquire({ timeoutMs: 200 })).rejects.toMatchObject({
      code: 'HOLDFAST_ENGINE_FAILED',
    })
    expect(taken.held).toBe(true)
  })

  it('does not take a lease away that it has not heard of', async () => {
    await using other = await startServer()
    await using server = await startServer()
    const settings = { requestTimeoutMs: 200, ttlMs: 20_000 }
    await using one = await open('ioredis', { port: server.port }, settings)
    const lease = await take(one.holdfast, 'job')
    const left = await take(one.holdfast, 'left')
    // It becomes a replica of a server that knows no lock at all.
    await server.call('replicaof', other.host, other.port)
    await until(async () => (await server.cli('dbsize')) === '0', { what: 'it to be in step' })
    const refused = { code: 'HOLDFAST_ENGINE_FAILED' }
    await expect(lease.renew()).rejects.toMatchObject(refused)
    expect([lease.held, lease.signal.aborted]).toEqual([true, false])
    await expect(left.release()).rejects.toMatchObject(refused)
  })
})
