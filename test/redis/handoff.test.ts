import {
  connect,
  type EngineError,
  type Holdfast,
  type HoldfastOptions,
  type Lease,
} from 'holdfast'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { timesRun } from '../support/holdfasts.ts'
import { severalLooks } from '../support/looks.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { describeServers } from '../support/servers-under-test.ts'
import { until } from '../support/until.ts'

describeServers('a handoff', (name) => {
  let server: RunningServer
  const open: AsyncDisposable[] = []

  beforeEach(async () => {
    server = await startServer({ server: name })
  })
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]()
    await server.stop()
  })

  async function holdfast(url = server.url, options: HoldfastOptions = {}): Promise<Holdfast> {
    const own = await connect(url, options)
    open.push(own)
    return own
  }

  async function waiting(own: Holdfast, count: number): Promise<void> {
    await until(async () => (await own.inspect('m'))?.waiting === count, { what: 'the waiters' })
  }

  it('reaches a waiter whose place was lost and came back, without another look', async () => {
    const [a, b] = [await holdfast(), await holdfast()]
    const calls = async () => callsOf(await server.cli('info', 'commandstats'), 'evalsha')
    await a.mutex('m').acquire({ ttlMs: 60_000 })
    const waits = new Promise((resolve) => b.on('waiting', resolve))
    const lease = b.mutex('m').acquire()
    await waits
    await server.call('flushall')
    const again = await a.mutex('m').acquire({ ttlMs: 60_000 })
    await waiting(a, 1)
    const before = await calls()
    await again.release()
    await lease
    // The release, and nothing of the waiter.
    expect((await calls()) - before).toBe(1)
  })

  it('is told by the answer to the release where holder and waiter are in one process', async () => {
    const [a, b] = [await holdfast(), await holdfast()]
    const published = () => timesRun(server, 'publish')
    let lease = await a.mutex('m').acquire()
    const own = a.mutex('m').acquire()
    await waiting(a, 1)
    const other = b.mutex('m').acquire()
    await waiting(a, 2)
    await lease.release()
    lease = await own
    expect(await published()).toBe(0)
    await lease.release()
    lease = await other
    expect(await published()).toBe(1)
  })

  it('needs no right to publish', async () => {
    await server.call('acl', 'setuser', 'quiet', 'on', '>pw', '~*', '+@all', 'resetchannels')
    const url = server.url.replace('redis://', 'redis://quiet:pw@')
    const [a, b] = [await holdfast(url), await holdfast(url)]
    const lease = await a.mutex('m').acquire()
    const next = b.mutex('m').acquire({ ttlMs: 600 })
    await waiting(a, 1)
    expect(await lease.release()).toBe(true)
    expect((await next).held).toBe(true)
  })

  it('leaves a line no longer on the server than somebody stands in it', async () => {
    const own = await holdfast(server.url, { ttlMs: 60_000 })
    const line = '{holdfast:m}~line'
    const parts = [line, '{holdfast:m}~alive', '{holdfast:m}~places']
    const lives = () => Promise.all(parts.map((key) => server.call('pttl', key)))
    const fresh = Array.from(parts, () => expect.toSatisfy((ms: number) => ms > 40_000))
    let lease = await own.mutex('m').acquire()
    const next: Promise<Lease>[] = []
    for (let count = 1; count <= 3; count++) {
      next.push(own.mutex('m').acquire())
      await waiting(own, count)
      expect(await lives()).toEqual(fresh)
    }
    // As if they had come long ago.
    for (const each of (await server.call('zrange', line, 0, -1)) as string[]) {
      await server.call('zincrby', line, -16e6, each)
    }
    for (const key of parts) await server.call('pexpire', key, 20_000)
    next.push(own.mutex('m').acquire())
    await waiting(own, 4)
    expect(await lives()).toEqual(fresh)
    for (const each of next) {
      await lease.release()
      lease = await each
    }
    expect(await server.call('exists', ...parts)).toBe(0)
  })

  it('leaves no key for ever where one of the line was evicted', async () => {
    const own = await holdfast(server.url, { ttlMs: 60_000 })
    const [line, alive] = ['{holdfast:m}~line', '{holdfast:m}~alive']
    // Who can be told of grants looks no more, and each look tells the times to live anew.
    const other = await own.mutex('other').acquire()
    const [told, telling] = [own.mutex('other').acquire(), own.mutex('other').acquire()]
    await until(async () => (await own.inspect('other'))?.waiting === 2, { what: 'the waiters' })
    await other.release()
    const held = [await told, await own.mutex('m').acquire()]
    const next = [own.mutex('m').acquire()]
    await until(async () => (await server.call('zcard', line)) === 1, { what: 'the first waiter' })
    await server.call('del', alive)
    next.push(own.mutex('m').acquire())
    await until(async () => (await server.call('zcard', line)) === 2, { what: 'the second one' })
    expect(Number(await server.call('pttl', alive))).toBeGreaterThan(0)
    for (const each of held) await each.release()
    for (const each of [telling, ...next]) await (await each).release()
  })

  it('draws a larger fence than one that is ahead of the clock', async () => {
    const own = await holdfast()
    const lease = await own.mutex('m').acquire()
    const next = own.mutex('m').acquire()
    await waiting(own, 1)
    const ahead = lease.fence + 3_600_000_000
    const record = (await server.call('get', '{holdfast:m}~fence')) as string
    await server.call('set', '{holdfast:m}~fence', record.replace(/^\d+/, `${ahead}`))
    await lease.release()
    expect((await next).fence).toBe(ahead + 1)
  })

  it.each([
    ['is silent', ['zadd', '{holdfast:m}~alive', 'xx', 1]],
    ['has lost its record', ['hdel', '{holdfast:m}~places']],
  ])('passes over a waiter that %s, and it comes back', async (_, spoil) => {
    const own = await holdfast(server.url, { ttlMs: 1500 })
    const lease = await own.mutex('m').acquire()
    const order: string[] = []
    const waits = (who: string): Promise<boolean> =>
      own
        .mutex('m')
        .acquire()
        .then((won) => {
          order.push(who)
          return won.release()
        })
    const first = waits('first')
    await waiting(own, 1)
    const [front = ''] = (await server.call('zrange', '{holdfast:m}~line', 0, 0)) as string[]
    const second = waits('second')
    await waiting(own, 2)
    // Right after a renewal: the next one would find out before the release does.
    const renewed = () => server.call('zscore', '{holdfast:m}~alive', front)
    const before = await renewed()
    await until(async () => (await renewed()) !== before, { what: 'a renewal' })
    await server.call(...(spoil as [string]), front)
    await lease.release()
    await Promise.all([first, second])
    expect(order).toEqual(['second', 'first'])
  })

  it('is told to whoever comes to the front when the one before leaves', async () => {
    const own = await holdfast(server.url, { ttlMs: 60_000 })
    await server.call('set', 'holdfast:m', 'foreign', 'px', 600_000)
    const controller = new AbortController()
    const first = own.mutex('m').acquire({ signal: controller.signal })
    await waiting(own, 1)
    const second = own.mutex('m').acquire()
    await waiting(own, 2)
    controller.abort()
    await expect(first).rejects.toThrow()
    await waiting(own, 1)
    // A waiter that does not know that it is the first looks only every 3.3 s.
    await severalLooks(server)
    await server.call('del', 'holdfast:m')
    await second
  })

  it('inside one process costs next to no commands, and its fences stand on the server', async () => {
    const [a, b] = [await holdfast(), await holdfast()]
    const passing = a.mutex('m', { handover: { passes: 100, withinMs: 60_000 } })
    const first = await passing.acquire({ ttlMs: 60_000 })
    const fences: number[] = []
    const runs = Array.from({ length: 300 }, () =>
      passing.run(({ fence }) => fences.push(fence), { ttlMs: 60_000 }),
    )
    const before = await timesRun(server, 'evalsha')
    await first.release()
    await Promise.all(runs)
    expect((await timesRun(server, 'evalsha')) - before).toBeLessThanOrEqual(30)
    const after = await b.mutex('m').acquire()
    expect(new Set(fences).size).toBe(300)
    expect([first.fence, ...fences, after.fence]).toEqual(
      [first.fence, ...fences, after.fence].toSorted((x, y) => x - y),
    )
  })

  it('of one lock does not suffer from another whose keys are broken', async () => {
    const own = await holdfast()
    const told: EngineError[] = []
    own.on('jeopardy', ({ lease, error }) => {
      if (lease.name === 'good') told.push(error as EngineError)
    })
    const good = await own.mutex('good').acquire({ ttlMs: 4000 })
    const bad = await own.mutex('bad').acquire({ ttlMs: 4000 })
    await server.call('del', '{holdfast:bad}~fence')
    await server.call('rpush', '{holdfast:bad}~fence', 'x')
    await until(() => bad.state === 'lost', { what: 'the broken lock to be lost' })
    expect(good.state).toBe('held')
    expect(told).toEqual([])
  })
})

function callsOf(stats: string, command: string): number {
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0)
}
