import { createHoldfast, type Lease } from 'holdfast'
import { redis } from 'holdfast/redis'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  clients,
  loadScripts,
  type Opened,
  open,
  type Settings,
  script,
  take,
} from '../support/holdfasts.ts'
import { type Proxy, startProxy } from '../support/proxy.ts'
import { watch } from '../support/rig.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { seed, until } from '../support/until.ts'

const LONG_MS = 120_000

let server: RunningServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.stop())
beforeEach(async () => {
  await server.call('flushall')
  await loadScripts(server)
})

const waits = async ({ told }: Opened, times = 1): Promise<void> => {
  const joined = () => told.filter((each) => each.startsWith('waiting: ')).length >= times
  await until(joined, { what: `${times} to wait` })
}

describe.each(clients)('news of grants on %s', (way) => {
  let proxy: Proxy
  let ends: Opened[]
  beforeEach(async () => {
    proxy = await startProxy({ targetPort: server.port })
    ends = []
  })
  afterEach(async () => {
    proxy.heal({ stuck: 'drop' })
    for (const one of ends) await one[Symbol.asyncDispose]()
    await proxy.stop()
  })
  const opened = async (port: number, settings: Settings = {}): Promise<Opened> => {
    const one = await open(way, { port }, settings)
    ends.push(one)
    return one
  }

  it('reach every Holdfast of a process without a look', async () => {
    const settings = { ttlMs: LONG_MS }
    const holder = await opened(server.port, settings)
    const [one, two] = [await opened(proxy.port, settings), await opened(proxy.port, settings)]
    // From here on nothing is learnt by asking.
    proxy.blackHole('requests', script('renew'))
    for (const waiter of [one, two, one]) {
      const lease = await take(holder.holdfast, 'job')
      const before = waiter.told.filter((each) => each.startsWith('waiting: ')).length
      const next = waiter.holdfast.mutex('job').acquire()
      await waits(waiter, before + 1)
      await lease.release()
      expect(await (await next).release()).toBe(true)
    }
  })

  it.each([
    [
      'a third of them is lost',
      (chance: number) => proxy.dropMessages({ probability: 1 / 3, seed: chance }),
    ],
    ['all of them are lost', () => proxy.dropMessages()],
    [
      'they vanish in a black hole',
      () => proxy.blackHole('both', ({ args }) => args[0] === 'message'),
    ],
  ])('delay nobody for longer than a look, and cost no place, when %s', async (_, begin) => {
    const settings = { ttlMs: 900, commandTimeoutMs: 300 }
    const holder = await opened(server.port, { ttlMs: LONG_MS })
    const waiters = [await opened(proxy.port, settings), await opened(proxy.port, settings)]
    const lease = await take(holder.holdfast, 'job')
    const order: number[] = []
    let fence = lease.fence
    const served: Promise<void>[] = []
    for (let turn = 0; turn < 6; turn += 1) {
      const waiter = waiters[turn % 2] as Opened
      const run = waiter.holdfast.mutex('job').run((granted) => {
        order.push(turn)
        expect(granted.fence).toBeGreaterThan(fence)
        fence = granted.fence
      })
      served.push(run)
      await waits(waiter, Math.floor(turn / 2) + 1)
    }
    begin(seed(import.meta.url))
    await lease.release()
    await Promise.all(served)
    expect(order).toEqual([0, 1, 2, 3, 4, 5])
    for (const { told } of waiters)
      expect(told.filter((each) => each.startsWith('lost'))).toEqual([])
  })

  it('are missed without harm while the subscription is being killed', async () => {
    const settings = { ttlMs: LONG_MS }
    const holder = await opened(server.port, settings)
    const waiter = await opened(proxy.port, settings)
    const subscribed = async () => (await server.call('pubsub', 'channels')) as string[]
    let lease = await take(holder.holdfast, 'job')
    for (let round = 0; round < 3; round += 1) {
      const next = watch(waiter.holdfast.mutex('job').acquire())
      await waits(waiter, round + 1)
      await until(async () => (await subscribed()).length === 1, { what: 'the subscription' })
      await server.call('client', 'kill', 'type', 'pubsub')
      await lease.release()
      // The look that keeps the place alive is more than three seconds away.
      await until(() => next.settled, { what: 'a look of the new subscription', timeoutMs: 2500 })
      lease = next.value as Lease
      await until(async () => (await subscribed()).length === 1, { what: 'a new subscription' })
    }
    expect(proxy.counters.connections).toBe(2 + 3)
  })

  it('do not cost a waiter its place in the line when they cannot reach it', async () => {
    const settings = { ttlMs: LONG_MS, commandTimeoutMs: 300 }
    const holder = await opened(server.port, settings)
    const deaf = await opened(proxy.port, settings)
    const other = await opened(server.port, settings)
    const lease = await take(holder.holdfast, 'job')
    const order: string[] = []
    const join = async (label: string, one: Opened, times: number) => {
      const call = one.holdfast.mutex('job', { label }).acquire()
      void call.then(() => order.push(label))
      await waits(one, times)
      return await Promise.resolve({ call })
    }
    const first = await join('first', deaf, 1)
    const second = await join('second', other, 1)
    const third = await join('third', deaf, 2)
    const fourth = await join('fourth', other, 2)
    await proxy.refuse()
    await server.call('client', 'kill', 'type', 'pubsub')
    await until(async () => ((await server.call('pubsub', 'channels')) as string[]).length === 1, {
      what: 'the one that is not cut off to listen again',
    })
    await lease.release()
    const passing = await second.call
    expect(order).toEqual(['second'])
    await proxy.accept()
    const line = async () => {
      const state = await other.holdfast.inspect('job')
      return state?.waiters.map(({ about }) => about.label)
    }
    const whole = async () => (await line())?.length === 3
    await until(whole, { what: 'all to be back in the line', timeoutMs: 15_000 })
    expect(await line()).toEqual(['first', 'third', 'fourth'])
    await passing.release()
    for (const { call } of [first, third, fourth]) await (await call).release()
    expect(order).toEqual(['second', 'first', 'third', 'fourth'])
  })
})

describe('ten thousand places in one process', () => {
  it('need two connections and one channel, and are all served', async () => {
    const settings = { ttlMs: 60_000, commandTimeoutMs: 10_000, requestTimeoutMs: 20_000 }
    await using holder = await open('a URL', { port: server.port }, settings)
    await using waiter = await open('ioredis', { port: server.port }, settings)
    const names = Array.from({ length: 5000 }, (_, index) => `job ${index}`)
    const leases = await Promise.all(names.map((name) => take(holder.holdfast, name)))
    const calls = names.map((name) => waiter.holdfast.mutex(name).acquire())
    const grants: Promise<Lease[]> = Promise.all(calls)
    const joined = () => waiter.told.length >= names.length
    await until(joined, { what: 'all to wait', timeoutMs: 25_000 })

    expect(await server.call('pubsub', 'channels')).toHaveLength(1)
    const connections = (await server.cli('client', 'list')).trim().split('\n')
    const channels = connections.filter((line) => !/ sub=0 /.test(line))
    // Commands and messages of the one, commands of the other, and the connection that asks.
    expect([connections.length, channels.length]).toEqual([4, 1])

    const released = await Promise.all(leases.map((lease) => lease.release()))
    expect(released.every(Boolean)).toBe(true)
    const granted = await grants
    expect(granted.every((lease) => lease.held)).toBe(true)
    await Promise.all(granted.map((lease) => lease.release()))
    expect(await server.cli('keys', 'holdfast:*')).toBe('')
  })
})

describe('locks on a client that is busy with something else', () => {
  const users = [
    {
      title: 'ioredis',
      make: async () => {
        const client = new Redis({ host: '127.0.0.1', port: server.port, lazyConnect: true })
        await client.connect()
        const run = (name: string, ...args: string[]): Promise<unknown> => client.call(name, args)
        return { engine: () => redis(client), run, close: () => client.disconnect() }
      },
    },
    {
      title: 'node-redis',
      make: async () => {
        const client = createClient({ socket: { host: '127.0.0.1', port: server.port } })
        await client.connect()
        const run = (...args: string[]): Promise<unknown> => client.sendCommand(args)
        return { engine: () => redis(client), run, close: () => client.destroy() }
      },
    },
  ]

  it.each(users)('of $title are taken, renewed and handed over meanwhile', async ({ make }) => {
    const user = await make()
    const [one, two] = [user.engine(), user.engine()].map((engine) =>
      createHoldfast({ engine, ttlMs: LONG_MS }),
    ) as [ReturnType<typeof createHoldfast>, ReturnType<typeof createHoldfast>]
    const handOver = async () => {
      const lease = await take(one, 'job')
      await lease.renew()
      const waiting = new Promise((resolve) => two.on('waiting', resolve))
      const next = two.mutex('job').acquire({ timeoutMs: 10_000 })
      await waiting
      expect(await lease.release()).toBe(true)
      expect(await (await next).release()).toBe(true)
    }
    const blocked = watch(user.run('blpop', 'nothing', '0'))
    await handOver()
    expect(blocked.settled).toBe(false)
    await server.call('rpush', 'nothing', 'go')
    await until(() => blocked.settled, { what: 'the client to be free' })

    await user.run('multi')
    await user.run('set', 'mine', '1')
    await handOver()
    expect(await user.run('exec')).toEqual(['OK'])

    let busy = true
    const pipeline = async () => {
      while (busy) {
        const calls = Array.from({ length: 500 }, () => user.run('set', 'mine', '2'))
        await Promise.all(calls)
      }
    }
    const traffic = Promise.all([pipeline(), pipeline(), pipeline()])
    await handOver()
    busy = false
    await traffic
    await Promise.all([one.close(), two.close()])
    expect(await user.run('ping')).toBe('PONG')
    user.close()
  })
})
