import { randomBytes } from 'node:crypto'
import type { Engine } from 'holdfast'
import { redis } from 'holdfast/redis'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ALL, type Place, type Shape } from '../../src/core/engine.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { describeServers } from '../support/servers-under-test.ts'
import { until } from '../support/until.ts'

const LONG_MS = 60_000
const MUTEX: Shape = { kind: 'mutex', capacity: 1 }
const THREE: Shape = { kind: 'semaphore', capacity: 3 }
const READ_WRITE: Shape = { kind: 'read-write', capacity: ALL }
const KEY = 'holdfast:job'
const FENCE = '{holdfast:job}~fence'

function place(shape: Shape, details: Partial<Place> = {}): Place {
  return {
    name: 'job',
    shape,
    permits: 1,
    identity: randomBytes(16).toString('hex'),
    ttlMs: LONG_MS,
    waitTtlMs: 10_000,
    grantTtlMs: LONG_MS,
    minHoldMs: 0,
    lockDelayMs: 0,
    about: '',
    ...details,
  }
}

const reader = (details: Partial<Place> = {}): Place => place(READ_WRITE, details)
const writer = (details: Partial<Place> = {}): Place =>
  place(READ_WRITE, { permits: ALL, ...details })

async function take(engine: Engine, asked: Place): Promise<number> {
  const standing = await engine.acquire({ ...asked, wait: false })
  if (standing.state !== 'held') throw new Error(`the place is ${standing.state}`)
  return standing.fence
}

async function queue(engine: Engine, asked: Place): Promise<void> {
  const standing = await engine.acquire({ ...asked, wait: true })
  if (standing.state !== 'waiting') throw new Error(`the place is ${standing.state}`)
}

/** How often each command ran since the last reset, inside scripts too. */
async function commandsRun(server: RunningServer): Promise<Map<string, number>> {
  const stats = await server.cli('info', 'commandstats')
  const found = stats.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)
  return new Map([...found].map(([, name = '', calls]) => [name, Number(calls)]))
}

describeServers('permits', (name) => {
  let server: RunningServer
  const open: (() => unknown)[] = []

  beforeAll(async () => {
    server = await startServer({ server: name })
  })
  afterAll(() => server.stop())
  beforeEach(() => server.call('flushall'))
  afterEach(async () => {
    for (const close of open.splice(0).reverse()) await close()
  })

  function process(): Engine {
    const client = new Redis(server.port, '127.0.0.1', { lazyConnect: true })
    const engine = redis(client, { commandTimeoutMs: 20_000 })
    open.push(
      () => client.disconnect(),
      () => engine.close(),
    )
    return engine
  }

  const keysLeft = async (): Promise<string[]> =>
    (await server.cli('keys', '*')).split('\n').filter(Boolean).toSorted()

  it('leave nothing but a fence with a time to live', async () => {
    const [a, b] = [process(), process()]
    const all = [1, 2, 2, 1, 3].map((permits) => place(THREE, { permits }))
    for (const each of all) await a.acquire({ ...each, wait: true })
    await b.inspect('job')
    for (const each of all) expect(await b.release(each)).toBe(true)
    expect(await keysLeft()).toEqual([FENCE])
    expect(await server.call('pttl', FENCE)).toBeGreaterThan(0)
  })

  it('vanish with a group that crashed, keys and all', async () => {
    const a = process()
    for (let each = 0; each < 5; each++) await take(a, reader({ ttlMs: 100 + each }))
    await queue(a, writer({ waitTtlMs: 100 }))
    for (const key of await keysLeft()) {
      expect(await server.call('pttl', key), key).toBeGreaterThan(0)
    }
    const own = ['', '~holders', '~leases'].map((part) => (part ? `{${KEY}}${part}` : KEY))
    await until(async () => (await server.call('exists', ...own)) === 0, { what: 'the keys to go' })
    expect((await a.list({ prefix: '', limit: 100 })).names).toEqual([])
    // The line's own keys stay a little longer, and are no line any more.
    await until(async () => (await a.inspect('job')) === null, { what: 'the waiter to be over' })
  })

  it('are listed with mutexes, and nothing else is', async () => {
    const a = process()
    await take(a, place(THREE, { name: 'semaphore' }))
    await take(a, reader({ name: 'read-write' }))
    await take(a, place({ kind: 'election', capacity: 1 }, { name: 'election' }))
    await take(a, place(MUTEX, { name: 'mutex' }))
    const { names } = await a.list({ prefix: '', limit: 1000 })
    expect(names.toSorted()).toEqual(['election', 'mutex', 'read-write', 'semaphore'])
  })

  it('are no lock that the plain recipe can take', async () => {
    await take(process(), place(THREE))
    expect(await server.call('set', KEY, 'theirs', 'nx', 'px', 1000)).toBeNull()
  })

  describe('of a key that holds something else', () => {
    it.each([
      ['a string', ['set', KEY, 'theirs'], /is no lock.*"holdfast:job", a string/],
      ['a list', ['rpush', KEY, 'theirs'], /is no lock.*"holdfast:job", a list/],
    ])('are refused, and it is left: %s', async (_, command, message) => {
      const a = process()
      await server.call(...command)
      const asked = place(THREE)
      for (const wait of [true, false]) {
        const error: unknown = await a
          .acquire({ ...asked, wait })
          .catch((thrown: unknown) => thrown)
        expect(error).toMatchObject({ code: 'HOLDFAST_SHAPE_MISMATCH', wanted: THREE, found: null })
        expect(String(error)).toMatch(message)
      }
      expect(await a.release(asked)).toBe(false)
      expect(await a.renew([asked])).toEqual([{ state: 'absent' }])
      expect(await keysLeft()).toEqual([KEY])
    })

    it.each(['holders', 'leases', ''])('are free when a part is lost: %s', async (part) => {
      const a = process()
      const [one, two] = [place(THREE, { permits: 2 }), place(THREE)]
      const fence = await take(a, one)
      await take(a, two)
      await server.call('del', part === '' ? KEY : `{${KEY}}~${part}`)
      const next = place(THREE, { permits: 3 })
      expect(await take(a, next)).toBeGreaterThan(fence)
      expect(await a.renew([one, two])).toEqual([{ state: 'absent' }, { state: 'absent' }])
      expect(await a.release(next)).toBe(true)
      expect(await keysLeft()).toEqual([FENCE])
    })
  })

  it('are renewed and given back when the line lost what many had asked for', async () => {
    const a = process()
    const asked = place(THREE, { permits: 3 })
    await take(a, asked)
    const strangers = Array.from({ length: 9000 }, (_, at) => [at + 1, `stranger ${at}`]).flat()
    await server.call('zadd', `{${KEY}}~line`, ...strangers.map(String))
    expect(await a.renew([asked])).toMatchObject([{ state: 'held' }])
    expect(await a.release(asked)).toBe(true)
    const next = place(THREE, { permits: 3 })
    // Each call takes out some of them.
    const taken = async () => (await a.acquire({ ...next, wait: false })).state === 'held'
    await until(taken, { what: 'the line to be clean' })
    await a.release(next)
    expect(await keysLeft()).toEqual([FENCE])
  })

  it('go only by force where a foreign program holds the name', async () => {
    const a = process()
    await server.call('set', KEY, 'theirs')
    const theirs = place(MUTEX, { identity: 'theirs' })
    expect(await a.release(theirs)).toBe(false)
    expect(await a.release(place(MUTEX), { force: true })).toBe(false)
    expect(await server.call('get', KEY)).toBe('theirs')
    const waiter = place(MUTEX)
    await queue(a, waiter)
    expect(await a.release(theirs, { force: true })).toBe(true)
    expect(await server.call('get', KEY)).toBe(waiter.identity)
  })

  it('live exactly as long as the longest of their leases, renewed or not', async () => {
    const a = process()
    const [short, long] = [place(THREE), place(THREE, { ttlMs: 2 * LONG_MS })]
    const own = [KEY, `{${KEY}}~holders`, `{${KEY}}~leases`]
    const lives = async (ms: number): Promise<void> => {
      for (const key of own) {
        const left = Number(await server.call('pttl', key))
        expect(left, key).toBeLessThanOrEqual(ms)
        expect(left, key).toBeGreaterThan(ms - LONG_MS / 2)
      }
    }
    await take(a, short)
    await lives(LONG_MS)
    await take(a, long)
    await lives(2 * LONG_MS)
    await a.renew([short])
    await lives(2 * LONG_MS)
    await a.renew([{ ...short, ttlMs: 3 * LONG_MS }])
    await lives(3 * LONG_MS)
    await a.release(short)
    await lives(2 * LONG_MS)
  })

  it.each([MUTEX, THREE])('are no grant to whoever gives up by force: $kind', async (shape) => {
    const [a, b] = [process(), process()]
    const asked = place(shape, { permits: shape.capacity, minHoldMs: LONG_MS, ttlMs: 50 })
    await take(a, asked)
    const holder = async () => (await b.inspect('job'))?.holders[0]?.identity
    await until(async () => (await holder()) === '', { what: 'the end of the lease' })
    // The same identity comes back, and waits behind what it left taken itself.
    await queue(a, asked)
    expect(await b.release(asked, { force: true })).toBe(true)
    expect(await a.inspect('job')).toBeNull()
    expect(await keysLeft()).toEqual([FENCE])
  })

  it('are not granted as a lock of another kind', async () => {
    const [a, b] = [process(), process()]
    for (const [found, other] of [
      [THREE, MUTEX],
      [MUTEX, THREE],
    ] as const) {
      const [holder, waiter] = [
        place(found, { permits: found.capacity }),
        place(found, { permits: found.capacity }),
      ]
      await take(a, holder)
      await queue(a, waiter)
      await server.call('del', KEY)
      const stranger = place(other)
      expect(await b.renew([stranger])).toEqual([{ state: 'absent' }])
      expect(await b.release(stranger)).toBe(false)
      expect(await server.call('exists', KEY)).toBe(0)
      expect((await b.inspect('job'))?.kind).toBe(found.kind)
      await expect(b.acquire({ ...stranger, wait: true })).rejects.toMatchObject({ found })
      expect((await b.inspect('job'))?.holders.map(({ identity }) => identity)).toEqual([
        waiter.identity,
      ])
      expect(await a.release(waiter)).toBe(true)
    }
  })

  it('are taken by nobody while memory is full, and given back all the same', async () => {
    const a = process()
    const held = place(THREE, { permits: 2, minHoldMs: LONG_MS })
    const fence = await take(a, held)
    await server.call('config', 'set', 'maxmemory', 1)
    try {
      const refused = a.acquire({ ...place(THREE), wait: false })
      await expect(refused).rejects.toMatchObject({ code: 'HOLDFAST_ENGINE_FAILED' })
      const [renewed] = await a.renew([{ ...held, ttlMs: 2 * LONG_MS }])
      expect(renewed).toMatchObject({ state: 'held', fence })
      expect((await a.inspect('job'))?.holders.map(({ permits }) => permits)).toEqual([2])
      // Kept for the minimum hold, by nobody, and then given back.
      expect(await a.release(held)).toBe(true)
      expect((await a.inspect('job'))?.holders.map(({ identity }) => identity)).toEqual([''])
      expect(await a.release({ ...held, identity: '' }, { force: true })).toBe(true)
    } finally {
      await server.call('config', 'set', 'maxmemory', 0)
    }
    expect(await keysLeft()).toEqual([FENCE])
    expect(await take(a, place(THREE, { permits: 3 }))).toBeGreaterThan(fence)
  })

  it('cost as many commands among 5,000 holders as among ten', async () => {
    const a = process()
    const costs: Map<string, number>[] = []
    const calls = [
      (asked: Place) => a.acquire({ ...asked, wait: true }),
      (asked: Place) => a.renew([asked]),
      (asked: Place) => a.release(asked),
    ]
    let held = 0
    for (const holders of [10, 5000]) {
      const more = Array.from({ length: holders - held }, () => reader())
      await Promise.all(more.map((each) => take(a, each)))
      held = holders
      await queue(a, writer({ permits: ALL, identity: 'f'.repeat(32) }))
      expect(await a.release(writer({ identity: 'f'.repeat(32) }))).toBe(true)
      await server.call('config', 'resetstat')
      for (const [at, call] of [...calls, ...calls].entries()) {
        // A renewal that asks for no more than is left would have nothing to write.
        await call(reader({ identity: 'a'.repeat(32), ttlMs: (at + 1) * LONG_MS }))
      }
      for (const call of calls) await call(writer({ identity: 'b'.repeat(32) }))
      const run = await commandsRun(server)
      for (const each of ['info', 'config|resetstat', 'config']) run.delete(each)
      costs.push(run)
    }
    expect(Object.fromEntries(costs[1] ?? [])).toEqual(Object.fromEntries(costs[0] ?? []))
    expect(costs[0]?.get('evalsha')).toBe(9)
    const shown = await a.inspect('job')
    expect(shown?.holders.length).toBe(5000)
  }, 60_000)

  it('go to ten thousand waiting readers at once, a message for each process and go', async () => {
    const [a, b, c] = [process(), process(), process()]
    const first = writer()
    await take(a, first)
    const waiters = Array.from({ length: 10_002 }, (_, at) => {
      const engine = at % 2 === 0 ? b : c
      return { engine, asked: reader({ waitTtlMs: LONG_MS }), granted: 0 }
    })
    // When a process begins to listen, all who wait in it look: the first waits alone.
    for (const { engine, asked } of waiters.splice(0, 2)) await queue(engine, asked)
    await Promise.all(waiters.map(({ engine, asked }) => queue(engine, asked)))
    const signal = new AbortController()
    const news = waiters.map(async (each) => {
      for (;;) {
        const told = await each.engine.wait(each.asked, signal.signal)
        const standing = told.state === 'held' ? told : (await each.engine.renew([each.asked]))[0]
        if (standing?.state !== 'held') continue
        each.granted = standing.fence
        return
      }
    })
    await server.call('config', 'resetstat')
    await a.release(first)
    await Promise.all(news)
    const fences = waiters.map(({ granted }) => granted)
    expect(new Set(fences).size).toBe(10_000)
    expect((await a.inspect('job'))?.waiting).toBe(0)
    const run = await commandsRun(server)
    // Two hundred by one script: the release, and a look for each further two hundred.
    expect(run.get('evalsha')).toBeLessThan(110)
    // A hundred by one message for each process, and a hint to look for each further two hundred.
    expect(run.get('publish')).toBeLessThan(500)
  }, 120_000)
})
