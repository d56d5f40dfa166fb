import { connect, createHoldfast, type Holdfast } from 'holdfast'
import { redis } from 'holdfast/redis'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { isPartOfLock, lockKeys, slotOf } from '../../src/engines/redis/keys.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { describeServers } from '../support/servers-under-test.ts'
import { until } from '../support/until.ts'

const NAMES = [
  'plain',
  'with space',
  'quotes \' and " and `',
  'line\r\nbreak\n',
  'nul\0inside\0',
  '{"json":[1,null]}',
  '[1]',
  'glob*?[a-z]\\*',
  '100%s%d%00',
  'ünïcödé €😀 \u2028',
  '{tag}',
  'a{tag}b',
  '{}',
  '{}{x}',
  'a}b',
  'a}b{c',
  '}{',
  '{',
  '}',
  '{{x}}',
  'a{b}c{d}',
  '{a}~fence',
  '~line',
  '-1',
  'x'.repeat(1024),
  '{'.repeat(1024),
  '}'.repeat(1024),
  '€'.repeat(341),
]

describeServers('names', (name) => {
  let server: RunningServer
  let own: Holdfast
  const open: AsyncDisposable[] = []

  beforeAll(async () => {
    // A cluster of one node refuses what spans two slots.
    server = await startServer({ server: name, args: ['--cluster-enabled', 'yes'] })
    await server.call('cluster', 'addslotsrange', 0, 16_383)
    await until(async () => (await server.cli('cluster', 'info')).includes('cluster_state:ok'), {
      what: 'the cluster to be up',
    })
  })
  afterAll(() => server.stop())
  beforeEach(async () => {
    await server.call('flushall')
    own = await connect(server.url, { label: 'quote " and \n {}' })
    open.push(own)
  })
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]()
  })

  it.each([
    ['', 'plain', 'ABC', '6'],
    ['', '{user}.x', '{', '}'],
  ])('give the same slot as the server says', async (...texts) => {
    for (const text of [...texts, ...NAMES].filter((each) => !/[{}]/.test(each))) {
      expect(slotOf(text), JSON.stringify(text)).toBe(await server.call('cluster', 'keyslot', text))
    }
  })

  it.each(['', 'holdfast:', 'a}', '{p}', '{'])(
    'keep one lock in one slot, prefix %j',
    async (prefix) => {
      const seen = new Map<string, string>()
      for (const lock of NAMES) {
        for (const clientPrefix of ['', 'app:', '}', '{t}', 'a}{t}']) {
          if (isPartOfLock(prefix + lock)) {
            expect(() => lockKeys(prefix, lock, clientPrefix)).toThrow(RangeError)
            continue
          }
          const keys = Object.values(lockKeys(prefix, lock, clientPrefix))
          expect(new Set(keys).size).toBe(7)
          const slots = await Promise.all(
            keys.map((key) => server.call('cluster', 'keyslot', clientPrefix + key)),
          )
          expect(new Set(slots).size, JSON.stringify([clientPrefix, prefix, lock])).toBe(1)
          if (clientPrefix !== '') continue
          for (const key of keys) {
            expect(seen.get(key), `${key} of ${lock}`).toBeUndefined()
            seen.set(key, lock)
          }
        }
      }
    },
    60_000,
  )

  it('serve their lock, whatever they are made of', async () => {
    for (const lock of NAMES) {
      const mutex = own.mutex(lock)
      const first = await mutex.acquire()
      expect(await server.call('get', `holdfast:${lock}`)).toBe(first.identity)
      expect(await mutex.tryAcquire()).toBeNull()
      const next = mutex.acquire({ timeoutMs: 5000 })
      await until(async () => (await own.inspect(lock))?.waiting === 1, { what: 'the waiter' })
      const { names } = await own.list({ prefix: lock, limit: 10_000 })
      expect(names).toContain(lock)
      await first.renew()
      expect(await first.release()).toBe(true)
      const lease = await next
      expect(lease.fence).toBeGreaterThan(first.fence)
      expect((await own.inspect(lock))?.holders[0]?.about.label).toBe('quote " and \n {}')
      await lease.release()
      expect(await own.inspect(lock)).toBeNull()
    }
  }, 60_000)

  it.each(['', '{p}', 'glob*'])('are listed without records behind prefix %j', async (prefix) => {
    await using made = await connect(server.url, { prefix })
    for (const lock of ['a', 'b{c}', 'd}']) {
      await made.mutex(lock).acquire()
      await made.mutex(`${lock} left`).run(() => {})
    }
    expect((await made.list()).names.toSorted()).toEqual(['a', 'b{c}', 'd}'])
  })

  it('are listed by exactly their beginning', async () => {
    for (const lock of NAMES) await own.mutex(lock).acquire()
    for (const prefix of ['', 'glob*?[', '*', '[1', '{', '\\', 'a}', 'nul\0']) {
      const found = new Set<string>()
      let cursor: string | undefined
      do {
        const page = await own.list({ prefix, limit: 50, ...(cursor ? { cursor } : {}) })
        for (const each of page.names) found.add(each)
        cursor = page.cursor
      } while (cursor !== undefined)
      const expected = NAMES.filter((each) => each.startsWith(prefix))
      expect([...found].toSorted()).toEqual(expected.toSorted())
    }
  })

  it.each(['app:', '{app}:', 'a}b'])(
    'go behind the key prefix of the client, %s',
    async (keyPrefix) => {
      const client = new Redis(server.port, '127.0.0.1', { keyPrefix, lazyConnect: true })
      await using made = createHoldfast({ engine: redis(client) })
      for (const lock of ['m', 'a{b}c', 'a}b']) {
        const lease = await made.mutex(lock).acquire({ ttlMs: 60_000 })
        const next = made.mutex(lock).acquire()
        await until(async () => (await made.inspect(lock))?.waiting === 1, { what: 'the waiter' })
        const keys = (await server.cli('keys', '*')).split('\n')
        expect(keys).toContain(`${keyPrefix}holdfast:${lock}`)
        expect(keys.filter((key) => !key.startsWith(keyPrefix))).toEqual([])
        const slots = await Promise.all(keys.map((key) => server.call('cluster', 'keyslot', key)))
        const fences = keys.filter((key) => key.includes('~fence')).length
        expect(new Set(slots).size).toBeLessThanOrEqual(fences)
        await lease.renew()
        expect(await lease.release()).toBe(true)
        expect(await (await next).release()).toBe(true)
        expect(await server.call('exists', `${keyPrefix}holdfast:${lock}`)).toBe(0)
        expect(
          await made
            .mutex(lock)
            .tryAcquire()
            .then((again) => again?.release()),
        ).toBe(true)
      }
      client.disconnect()
    },
  )

  it('used and left keep nothing but a fence with a time to live', async () => {
    for (let at = 0; at < 200; at++) {
      const lease = await own.mutex(`job ${at}`).acquire()
      if (at % 10 === 0) {
        const next = own.mutex(`job ${at}`).acquire()
        await until(async () => (await own.inspect(`job ${at}`))?.waiting === 1, { what: 'it' })
        await lease.release()
        await (await next).release()
      } else await lease.release()
    }
    const keys = (await server.cli('keys', '*')).split('\n')
    expect(keys.length).toBe(200)
    for (const key of keys) {
      expect(key).toMatch(/^\{holdfast:job \d+\}~fence$/)
      const left = Number(await server.call('pttl', key))
      expect(left).toBeGreaterThan(0)
      expect(left).toBeLessThanOrEqual(86_400_000)
    }
    expect((await own.list()).names).toEqual([])
  })
})

describe('keys of waiters that vanished', () => {
  it('carry a time to live too', async () => {
    await using server = await startServer()
    const own = await connect(server.url)
    await own.mutex('m').acquire()
    const waiting = own.mutex('m').acquire()
    waiting.catch(() => {})
    await until(async () => (await own.inspect('m'))?.waiting === 1, { what: 'the waiter' })
    const keys = (await server.cli('keys', '*')).split('\n')
    expect(keys.length).toBe(5)
    for (const key of keys) expect(Number(await server.call('pttl', key))).toBeGreaterThan(0)
    await own.close()
  })
})
