import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createHoldfast, type Holdfast } from 'holdfast'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { connectRedis } from '../../src/engines/redis/index.ts'
import { createClock, systemClock } from '../../src/system/clock.ts'
import { type Proxy, startProxy } from '../support/proxy.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { until } from '../support/until.ts'
import {
  compiledLibrary,
  startWorker,
  type Worker,
  type WorkerOptions,
} from '../support/workers.ts'

type Options = NonNullable<Parameters<typeof connect>[1]>

const HOUR_MS = 3_600_000
const MAX_MS = 2_147_483_647

interface Look {
  held: boolean
  state: string
  remainingMs: number
  aborted: boolean
}

interface Grant {
  at: number
  fence: number
}

let server: RunningServer
const open: AsyncDisposable[] = []

beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.stop())
beforeEach(() => server.call('flushall'))
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]()
})

async function holdfast(options: Options = {}, url = server.url): Promise<Holdfast> {
  const made = await connect(url, options)
  open.push(made)
  return made
}

async function worker(options: Omit<WorkerOptions, 'url'> = {}): Promise<Worker> {
  const made = await startWorker({ url: server.url, ...options })
  open.push(made)
  return made
}

async function proxied(): Promise<Proxy> {
  const proxy = await startProxy({ targetPort: server.port })
  open.push(proxy)
  return proxy
}

async function leftOnServer(lock = 'm'): Promise<number> {
  return Number(await server.call('pttl', `holdfast:${lock}`))
}

/** Like a storage service that keeps the largest fence it saw. */
async function write(fence: number, text: string): Promise<boolean> {
  const check =
    "if tonumber(redis.call('HGET', KEYS[1], 'fence') or 0) > tonumber(ARGV[1]) then return 0 end " +
    "redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'text', ARGV[2]) return 1"
  return (await server.call('eval', check, 1, 'file', fence, text)) === 1
}

describe('a wall clock that is wrong', () => {
  it.each([HOUR_MS, -HOUR_MS])('by %d ms changes nothing', async (wallOffsetMs) => {
    const options = { ttlMs: 1200 }
    const wrong = await worker({ options, wallOffsetMs })
    const right = await holdfast(options)
    const first = await wrong.call<Grant>('acquire', { lock: 'm' })
    expect(await leftOnServer()).toBeLessThanOrEqual(1200)
    // It is kept for longer than its ttl, also when the clock is set back while it is held.
    await wrong.call('setWall', { offsetMs: wallOffsetMs - HOUR_MS })
    const start = performance.now()
    let least = 1200
    await until(
      async () => {
        const { held, remainingMs } = await wrong.call<Look>('look', { as: 'm' })
        least = Math.min(least, held ? remainingMs : 0, await leftOnServer())
        return performance.now() - start > 2 * 1200
      },
      { what: 'two times the ttl', everyMs: 50 },
    )
    expect(least).toBeGreaterThan(0)
    const waiting = right.mutex('m').acquire()
    await until(async () => (await right.inspect('m'))?.waiting === 1, { what: 'the waiter' })
    await wrong.call('release', { as: 'm' })
    const lease = await waiting
    expect(lease.fence).toBeGreaterThan(first.fence)
    // The wrong one waits in the same line, and is granted a lease of the usual length.
    const again = wrong.call<Grant>('acquire', { lock: 'm' })
    await until(async () => (await right.inspect('m'))?.waiting === 1, { what: 'the waiter' })
    await lease.release()
    expect((await again).fence).toBeGreaterThan(lease.fence)
    const { held, remainingMs } = await wrong.call<Look>('look', { as: 'm' })
    expect(held).toBe(true)
    expect(remainingMs).toBeLessThanOrEqual(1200)
  })

  it('set ahead while a lease is held ends the lease early, not late', async () => {
    const own = await worker({ options: { ttlMs: 1200 }, wallOffsetMs: 0 })
    await own.call<Grant>('acquire', { lock: 'm' })
    await own.call('setWall', { offsetMs: HOUR_MS })
    expect(await own.call<Look>('look', { as: 'm' })).toMatchObject({ held: false })
    // What was a pause as far as anybody can tell is followed by a lease as good as any.
    const next = await own.call<Grant>('acquire', { lock: 'n' })
    expect(next.fence).toBeGreaterThan(0)
    expect(await own.call<Look>('look', { as: 'n' })).toMatchObject({ held: true })
  })
})

describe('a holder that stands still', () => {
  it('knows when it goes on that it lost the lock, and its late write is refused', async () => {
    const ttlMs = 1500
    const holder = await worker({ options: { ttlMs } })
    const next = await worker({ options: { ttlMs } })
    const lost = await holder.call<Grant>('acquire', { lock: 'm' })
    expect(await write(lost.fence, 'first')).toBe(true)
    const spun = holder.call<{ lastHeldAt: number }>('spin', { as: 'm', ms: 5000 })
    await holder.said('spinning')
    holder.child.kill('SIGSTOP')
    const stoppedAt = performance.now()
    const won = await next.call<Grant>('acquire', { lock: 'm' })
    await until(() => performance.now() - stoppedAt > 2 * ttlMs, { what: 'two times the ttl' })
    expect(await write(won.fence, 'second')).toBe(true)
    holder.child.kill('SIGCONT')
    const { lastHeldAt } = await spun
    expect(lastHeldAt).toBeGreaterThan(0)
    expect(lastHeldAt).toBeLessThan(won.at)
    expect(await holder.call('look', { as: 'm' })).toMatchObject({
      held: false,
      state: 'lost',
      aborted: true,
    })
    expect(won.fence).toBeGreaterThan(lost.fence)
    expect(await write(lost.fence, 'too late')).toBe(false)
    expect(await server.call('hget', 'file', 'text')).toBe('second')
    expect(await next.call('look', { as: 'm' })).toMatchObject({ held: true })
  })

  it('knows after a blocked event loop, before its next line', async () => {
    const holder = await worker({ options: { ttlMs: 400 } })
    await holder.call('acquire', { lock: 'm' })
    expect(await holder.call('block', { as: 'm', ms: 900 })).toEqual({
      held: false,
      thrown: 'HOLDFAST_LEASE_LOST',
      ownSignal: true,
      aborted: true,
    })
  })

  it('is told by its signal first, before renewals and replies that came meanwhile', async () => {
    const own = await holdfast({ ttlMs: 300 })
    const lease = await own.mutex('m').acquire()
    const { signal } = lease
    const end = performance.now() + 700
    while (performance.now() < end);
    // No question is asked of the lease: the first turn of the timers tells.
    await new Promise((resolve) => setTimeout(resolve, 0))
    expect(signal.aborted).toBe(true)
    expect(signal.reason).toMatchObject({ code: 'HOLDFAST_LEASE_LOST', reason: 'expired' })
  })

  it('counts the time a machine was suspended, in which its monotonic clock stood still', async () => {
    let frozenMs = 0
    const clock = createClock({
      monotonic: () => performance.now() - frozenMs,
      wall: () => Date.now(),
    })
    const engine = await connectRedis(server.url, { clock })
    const own = createHoldfast({ engine, clock })
    open.push(own)
    const lease = await own.mutex('m').acquire({ ttlMs: 500, renew: false })
    const { signal } = lease
    const from = performance.now()
    // A suspended machine runs no timers either.
    const end = from + 1000
    while (performance.now() < end);
    frozenMs = performance.now() - from
    expect(lease.held).toBe(false)
    expect(signal.aborted).toBe(true)
    expect(await leftOnServer()).toBe(-2)
  })
})

describe('the largest times', () => {
  it('are kept as they are, and fire nothing at once', async () => {
    const own = await holdfast({ ttlMs: MAX_MS })
    const lease = await own.mutex('m').acquire({ timeoutMs: MAX_MS })
    expect(lease.remainingMs).toBeGreaterThan(MAX_MS * 0.98)
    expect(await leftOnServer()).toBeGreaterThan(MAX_MS - 60_000)
    let settled = false
    const next = own.mutex('m').acquire({ timeoutMs: MAX_MS, lockDelayMs: 0 })
    const done = next.then(() => {
      settled = true
    })
    await until(async () => (await own.inspect('m'))?.waiting === 1, { what: 'the waiter' })
    await until(() => own.engine.name, { what: 'a turn' })
    expect(settled).toBe(false)
    expect(lease.held).toBe(true)
    await lease.release()
    await done
    expect((await next).held).toBe(true)
    await lease.renew().catch((error: unknown) => {
      expect(error).toMatchObject({ code: 'HOLDFAST_LEASE_LOST' })
    })
  })

  it('renew keeps the largest ttl', async () => {
    const own = await holdfast({ ttlMs: MAX_MS })
    const lease = await own.mutex('m').acquire({ minHoldMs: MAX_MS })
    await server.call('pexpire', 'holdfast:m', 60_000)
    await lease.renew()
    expect(await leftOnServer()).toBeGreaterThan(MAX_MS - 60_000)
  })

  it.each([
    ['memory', 'memory:', ''],
    ['redis, closed', undefined, 'await holdfast.close()'],
  ])('let the process exit: %s', async (_, url, last) => {
    const library = await compiledLibrary()
    const program = `
      const { connect } = await import('${library}/index.js')
      const holdfast = await connect('${url ?? server.url}', { ttlMs: ${MAX_MS} })
      const mutex = holdfast.mutex('m')
      await mutex.acquire()
      for (let at = 0; at < 500; at++) {
        mutex.acquire({ timeoutMs: ${MAX_MS} }).catch(() => {})
        await holdfast.mutex('m' + at).acquire()
      }
      ${last}
      console.log('done')`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let said = ''
    child.stdout.on('data', (chunk) => {
      said += chunk
    })
    const limit = setTimeout(() => child.kill('SIGKILL'), 20_000)
    expect(await once(child, 'exit')).toEqual([0, null])
    clearTimeout(limit)
    expect(said).toBe('done\n')
  })

  it('hold thousands of leases with one timer, and lose none', async () => {
    let timers = 0
    const clock = {
      now: () => systemClock.now(),
      setTimer(action: () => void, delayMs: number) {
        timers += 1
        return systemClock.setTimer(action, delayMs)
      },
    }
    const own = createHoldfast({
      engine: await connectRedis(server.url),
      clock,
      ttlMs: 4000,
      requestTimeoutMs: 10_000,
    })
    open.push(own)
    const lost: unknown[] = []
    own.on('lost', ({ error }) => lost.push(error))
    const start = performance.now()
    const leases = []
    for (let at = 0; at < 2000; at += 100) {
      const some = Array.from({ length: 100 }, (_, more) => own.mutex(`m${at + more}`).acquire())
      leases.push(...(await Promise.all(some)))
    }
    await until(() => performance.now() - start > 2 * 4000, {
      what: 'two times the ttl',
      timeoutMs: 15_000,
      everyMs: 50,
    })
    expect(lost).toEqual([])
    expect(leases.every((lease) => lease.held)).toBe(true)
    // Fewer than one for each lease, although each was renewed several times.
    expect(timers).toBeLessThan(2000)
  })
})

describe('validity', () => {
  it('counts from the request, not from the reply', async () => {
    const proxy = await proxied()
    const options = { ttlMs: 2000, commandTimeoutMs: 5000 }
    const own = await holdfast(options, proxy.url)
    await (await own.mutex('m').acquire()).release()
    proxy.delay({ replyMs: 1200 })
    const lease = await own.mutex('m').acquire({ renew: false })
    expect(lease.remainingMs).toBeLessThan(2000 - 1200)
    expect(lease.remainingMs).toBeLessThanOrEqual(await leftOnServer())
    proxy.delay({ replyMs: 400 })
    await lease.renew()
    expect(lease.remainingMs).toBeLessThan(2000 - 400)
    expect(lease.remainingMs).toBeLessThanOrEqual(await leftOnServer())
  })

  it('is not claimed when the reply outlived the lease', async () => {
    const proxy = await proxied()
    const own = await holdfast({ commandTimeoutMs: 5000, requestTimeoutMs: 1000 }, proxy.url)
    await (await own.mutex('m').acquire()).release()
    proxy.delay({ replyMs: 700 })
    const taken = own.mutex('m').acquire({ ttlMs: 500 })
    await expect(taken).rejects.toMatchObject({ code: 'HOLDFAST_ENGINE_FAILED' })
    await until(async () => (await leftOnServer()) === -2, { what: 'the lock to be given back' })
  })

  it('of a pushed grant counts from the grant, however late its message is', async () => {
    const proxy = await proxied()
    const holder = await holdfast()
    const options = { ttlMs: 6000, commandTimeoutMs: 5000 }
    const own = await holdfast(options, proxy.url)
    const before = await holder.mutex('m').acquire()
    const waits = new Promise((resolve) => own.on('waiting', resolve))
    const waiter = own.mutex('m').acquire({ renew: false })
    // From now on it listens, and no request of its own is under way.
    await waits
    proxy.blackHole('replies', () => true)
    await before.release()
    const releasedAt = performance.now()
    await until(() => performance.now() - releasedAt > 1000, { what: 'the message to be late' })
    proxy.heal()
    const lease = await waiter
    const { remainingMs } = lease
    expect(remainingMs).toBeLessThan(6000 - 1000)
    expect(remainingMs).toBeLessThanOrEqual(await leftOnServer())
    expect(lease.held).toBe(true)
  })

  it('is not added up by renewals', async () => {
    const own = await holdfast({ ttlMs: 5000 })
    const lease = await own.mutex('m').acquire()
    for (let round = 0; round < 20; round++) {
      await Promise.all([lease.renew(), lease.renew()])
      expect(await leftOnServer()).toBeLessThanOrEqual(5000)
      expect(lease.remainingMs).toBeLessThanOrEqual(5000)
    }
    expect(lease.remainingMs).toBeGreaterThan(4000)
  })

  it('is not shortened by renewals', async () => {
    const own = await holdfast({ ttlMs: 5000 })
    const lease = await own.mutex('m').acquire()
    await server.call('pexpire', 'holdfast:m', 60_000)
    await lease.renew()
    expect(await leftOnServer()).toBeGreaterThan(50_000)
    const long = await own.mutex('n').acquire({ minHoldMs: 60_000 })
    await long.renew()
    expect(await leftOnServer('n')).toBeGreaterThan(50_000)
    const delayed = await own.mutex('o').acquire({ lockDelayMs: 60_000 })
    await delayed.renew()
    expect(await leftOnServer('o')).toBeGreaterThan(60_000)
    expect(delayed.remainingMs).toBeLessThanOrEqual(5000)
  })
})
