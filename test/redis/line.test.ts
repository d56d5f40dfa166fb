import { connect, type Holdfast, type Lease } from 'holdfast'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Proxy, startProxy } from '../support/proxy.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { describeServers } from '../support/servers-under-test.ts'
import { until } from '../support/until.ts'
import { type Interval, startWorker, type Worker } from '../support/workers.ts'

type Options = NonNullable<Parameters<typeof connect>[1]>

interface Grant {
  at: number
  fence: number
}

const NS = 1_000_000
const instant = (): number => Number(process.hrtime.bigint())

/** Waits until what is counted stands still: the first waiters of a process also subscribe. */
async function rest(count: () => unknown): Promise<void> {
  let last = ''
  let since = performance.now()
  await until(
    () => {
      const now = JSON.stringify(count())
      if (now !== last) since = performance.now()
      last = now
      return performance.now() - since > 150
    },
    { what: 'the waiters to come to rest' },
  )
}

describeServers('the line', (name) => {
  let server: RunningServer
  const open: AsyncDisposable[] = []
  const holdfast = async (options: Options = {}, url = server.url): Promise<Holdfast> => {
    const made = await connect(url, options)
    open.push(made)
    return made
  }
  const worker = async (options: object = {}): Promise<Worker> => {
    const made = await startWorker({ url: server.url, options })
    open.push(made)
    return made
  }
  const proxied = async (): Promise<Proxy> => {
    const proxy = await startProxy({ targetPort: server.port })
    open.push(proxy)
    return proxy
  }
  const waiting = (on: Holdfast, lock: string, count: number): Promise<boolean> =>
    until(async () => ((await on.inspect(lock))?.waiting ?? 0) === count, {
      what: `${count} waiters at ${lock}`,
    })

  /** A place is seen a moment before its process can be told of a grant. */
  const listening = (count: number): Promise<boolean> =>
    until(
      async () => {
        const channels = await server.call('pubsub', 'channels', 'holdfast:grants:*')
        return Array.isArray(channels) && channels.length === count
      },
      { what: `${count} processes that listen` },
    )

  beforeAll(async () => {
    server = await startServer({ server: name })
  })
  afterAll(() => server.stop())
  beforeEach(() => server.call('flushall'))
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]()
  })

  describe('over several processes', () => {
    it('passes dead heads by at once, and serves the living in their order', async () => {
      const own = await holdfast()
      let lease = await own.mutex('m').acquire()
      const workers = await Promise.all(Array.from({ length: 10 }, () => worker()))
      const granted: number[] = []
      const acquired: Promise<Grant>[] = []
      for (const [at, each] of workers.entries()) {
        const grant = each.call<Grant>('acquire', { lock: 'm' })
        grant.then(
          () => granted.push(at),
          () => {},
        )
        acquired.push(grant)
        await waiting(own, 'm', at + 1)
      }
      // Heads die while the lock is held, before each of three handoffs.
      let releasedAt = 0
      const handoffs: number[] = []
      for (const dead of [[0, 1], [3], [5, 6, 7]]) {
        for (const at of dead) await workers[at]?.kill()
        const next = Math.max(...dead) + 1
        releasedAt = instant()
        if (next === 2) expect(await lease.release()).toBe(true)
        else await workers[next - 1 - dead.length]?.call('release', { as: 'm' })
        const grant = await acquired[next]
        handoffs.push(((grant?.at ?? 0) - releasedAt) / NS)
      }
      await workers[8]?.call('release', { as: 'm' })
      await acquired[9]
      await workers[9]?.call('release', { as: 'm' })
      expect(granted).toEqual([2, 4, 8, 9])
      // A waiter counts as alive for 10 s: none of that was spent on the dead.
      expect(Math.max(...handoffs)).toBeLessThan(10_000)
      lease = await own.mutex('m').acquire()
      expect(lease.held).toBe(true)
    })

    it('passes the grant on when the granted process is dead but reachable', async () => {
      const own = await holdfast({ ttlMs: 1500 })
      const lease = await own.mutex('m').acquire()
      const doomed = await worker({ ttlMs: 1500 })
      const grant = doomed.call('acquire', { lock: 'm' })
      grant.catch(() => {})
      await waiting(own, 'm', 1)
      await listening(1)
      // The next process is found by a push too: its own look would come only after seconds.
      const next = (await holdfast({ ttlMs: 60_000 })).mutex('m').acquire()
      await waiting(own, 'm', 2)
      await listening(2)
      doomed.child.kill('SIGSTOP')
      await lease.release()
      expect((await own.inspect('m'))?.waiting).toBe(1)
      await doomed.kill()
      expect((await next).held).toBe(true)
    })

    it('gives every process its turn, and nobody two at once', async () => {
      const workers = await Promise.all(Array.from({ length: 4 }, () => worker()))
      const done = await Promise.all(
        workers.map((each) =>
          each.call<{ intervals: Interval[] }>('turns', {
            lock: 'm',
            turns: 60,
            holdMs: 1,
          }),
        ),
      )
      const lists = done.map(({ intervals }) => intervals)
      const all = lists.flat().toSorted((a, b) => a.from - b.from)
      for (const [at, { from, fence }] of all.entries()) {
        const before = all[at - 1]
        if (before === undefined) continue
        expect(from).toBeGreaterThanOrEqual(before.to)
        expect(fence).toBeGreaterThan(before.fence)
      }
      // While all of them compete, each gets its share.
      const start = Math.max(...lists.map((list) => list[0]?.from ?? 0))
      const end = Math.min(...lists.map((list) => list.at(-1)?.from ?? 0))
      const shares = lists.map(
        (list) => list.filter(({ from }) => from >= start && from <= end).length,
      )
      expect(Math.min(...shares)).toBeGreaterThan(5)
      expect(Math.min(...shares) / Math.max(...shares)).toBeGreaterThan(0.8)
    })
  })

  it('lets nobody in before those who wait', async () => {
    const own = await holdfast()
    const barger = (await holdfast()).mutex('m')
    await own.mutex('m').acquire({ renew: false })
    const order: string[] = []
    const leases: Promise<Lease>[] = []
    for (const who of ['first', 'second', 'third']) {
      const waiter = (await holdfast()).mutex('m').acquire()
      leases.push(waiter)
      void waiter.then(() => order.push(who))
      await waiting(own, 'm', leases.length)
    }
    for (const [at, waiter] of leases.entries()) {
      // The lock is free, with a line: deleted behind everybody's back.
      await server.call('del', 'holdfast:m')
      expect(await barger.tryAcquire()).toBeNull()
      await expect(barger.acquire({ timeoutMs: 0 })).rejects.toMatchObject({
        code: 'HOLDFAST_ACQUIRE_TIMEOUT',
      })
      expect((await waiter).held).toBe(true)
      expect(order.length).toBe(at + 1)
    }
    expect(order).toEqual(['first', 'second', 'third'])
  })

  it('loses no grant to a waiter that is cancelled at that moment', async () => {
    const own = await holdfast()
    const [first, second] = [await holdfast(), await holdfast()]
    for (let round = 0; round < 40; round++) {
      const lease = await own.mutex('m').acquire()
      const controller = new AbortController()
      const cancelled = first.mutex('m').acquire({ signal: controller.signal })
      cancelled.catch(() => {})
      await waiting(own, 'm', 1)
      const next = second.mutex('m').acquire({ timeoutMs: 4000 })
      await waiting(own, 'm', 2)
      // Sometimes before the release, sometimes while its grant is on the way, sometimes after.
      const releasing = lease.release()
      if (round % 4 === 1) await new Promise((resolve) => setImmediate(resolve))
      if (round % 4 === 2) await releasing
      if (round % 4 === 3) await Promise.race([cancelled, releasing.then(() => undefined)])
      controller.abort()
      const won = await cancelled.catch(() => undefined)
      await won?.release()
      await (await next).release()
    }
  })

  it('takes two commands to take and leave a free lock', async () => {
    const proxy = await proxied()
    const mutex = (await holdfast({}, proxy.url)).mutex('m')
    // The first use of each script sends its text.
    await (await mutex.acquire()).release()
    const before = proxy.counters.requests
    for (let round = 0; round < 50; round++) await (await mutex.acquire()).release()
    expect(proxy.counters.requests - before).toBe(100)
    expect(proxy.counters.messages).toBe(0)
  })

  it('hands over with one message, and wakes nobody else', async () => {
    const own = await holdfast()
    let lease = await own.mutex('m').acquire()
    const proxies: Proxy[] = []
    const leases: Promise<Lease>[] = []
    for (let at = 0; at < 5; at++) {
      const proxy = await proxied()
      proxies.push(proxy)
      const waiter = await holdfast({ ttlMs: 60_000 }, proxy.url)
      leases.push(waiter.mutex('m').acquire({ ttlMs: 10_000 }))
      await waiting(own, 'm', at + 1)
    }
    const seen = () => proxies.map(({ counters }) => [counters.messages, counters.requests])
    await rest(seen)
    for (const [at, next] of leases.entries()) {
      const before = seen()
      await lease.release()
      lease = await next
      const after = seen()
      for (const [who, [messages = 0, requests = 0]] of after.entries()) {
        expect(messages - (before[who]?.[0] ?? 0), `messages to ${who}`).toBe(who === at ? 1 : 0)
        // The holder before releases by one request through its own proxy.
        const own = who === at - 1 ? 1 : 0
        expect(requests - (before[who]?.[1] ?? 0), `requests of ${who}`).toBeLessThanOrEqual(own)
      }
    }
    expect(await lease.release()).toBe(true)
  })

  it('asks little while a hundred wait', async () => {
    const own = await holdfast()
    const lease = await own.mutex('m').acquire({ ttlMs: 60_000 })
    const proxy = await proxied()
    const crowd = await holdfast({}, proxy.url)
    const waiters = Array.from({ length: 100 }, () => crowd.mutex('m').acquire())
    for (const waiter of waiters) waiter.catch(() => {})
    await waiting(own, 'm', 100)
    await rest(() => proxy.counters.requests)
    const before = { ...proxy.counters }
    const start = performance.now()
    await until(() => performance.now() - start > 4000, { what: 'four seconds to count in' })
    // All places of a process are kept alive by one command each third of ten seconds.
    expect(proxy.counters.requests - before.requests).toBeLessThanOrEqual(6)
    expect(proxy.counters.messages - before.messages).toBe(0)
    const from = proxy.counters.requests
    await lease.release()
    for (const waiter of waiters) await (await waiter).release()
    // One release each, and a renewal now and then.
    expect(proxy.counters.requests - from).toBeLessThanOrEqual(110)
    // The first hears of its grant by a message, the others by the answers to those releases.
    expect(proxy.counters.messages - before.messages).toBe(1)
  })
})
