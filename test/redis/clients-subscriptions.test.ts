import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Clock } from '../../src/core/clock.ts'
import type { Listener } from '../../src/engines/redis/port.ts'
import { systemClock } from '../../src/system/clock.ts'
import { type Proxy, startProxy } from '../support/proxy.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { clientKindsByProtocol, type OpenPort, openPort } from './clients-support.ts'

/** Ten times as fast, so that the heartbeat of five seconds comes twice a second. */
const fastClock: Clock = {
  now: () => systemClock.now() * 10,
  setTimer: (action, delayMs) => systemClock.setTimer(action, delayMs / 10),
}

class Ear implements Listener {
  readonly heard: string[] = []
  ups = 0
  breaks = 0

  message(text: string): void {
    this.heard.push(text)
  }
  ready(): void {
    this.ups += 1
  }
  broken(): void {
    this.breaks += 1
  }
}

describe.each(clientKindsByProtocol)('subscriptions through $title', (kind) => {
  let server: RunningServer
  let proxy: Proxy
  let port: OpenPort
  let ear: Ear

  beforeAll(async () => {
    server = await startServer()
  })
  afterAll(() => server.stop())
  beforeEach(async () => {
    proxy = await startProxy({ targetPort: server.port })
    port = await openPort(
      kind,
      { port: proxy.port, keyPrefix: 'app:' },
      {
        clock: fastClock,
        connectTimeoutMs: 10_000,
      },
    )
    ear = new Ear()
  })
  afterEach(async () => {
    await port[Symbol.asyncDispose]()
    await proxy.stop()
  })

  const ups = (count: number, what: string): Promise<unknown> =>
    until(() => ear.ups >= count, { what })

  it('hears what is published once it is ready, under the very name of the channel', async () => {
    port.subscribe('news', ear)
    expect(ear.ups).toBe(0)
    await ups(1, 'the subscription')
    expect(await server.call('publish', 'news', 'ä {1}')).toBe(1)
    expect(await server.call('publish', 'app:news', 'no')).toBe(0)
    await until(() => ear.heard.length > 0, { what: 'the message' })
    expect(ear.heard).toEqual(['ä {1}'])
    expect(await port.run('ping')).toBe('PONG')
  })

  it('serves several listeners and channels over one connection', async () => {
    const others = [new Ear(), new Ear()] as const
    port.subscribe('one', ear)
    port.subscribe('two', others[0])
    await ups(1, 'the subscription')
    const second = port.subscribe('one', others[1])
    await until(() => others.every((other) => other.ups === 1), { what: 'the others' })
    await server.call('publish', 'one', 'a')
    await server.call('publish', 'two', 'b')
    await until(() => others[0].heard.length > 0, { what: 'the messages' })
    expect([ear.heard, others[0].heard, others[1].heard]).toEqual([['a'], ['b'], ['a']])
    expect(proxy.counters.open).toBe(1)

    await second.close()
    await server.call('publish', 'one', 'c')
    await until(() => ear.heard.length === 2, { what: 'the message' })
    expect(others[1].heard).toEqual(['a'])
  })

  it('lets the connection go with the last listener, and makes another for the next', async () => {
    const subscription = port.subscribe('news', ear)
    await ups(1, 'the subscription')
    await subscription.close()
    await subscription.close()
    await until(() => proxy.counters.open === 0, { what: 'the connection to be closed' })
    port.subscribe('news', ear)
    await ups(2, 'the second subscription')
    await server.call('publish', 'news', 'again')
    await until(() => ear.heard.length > 0, { what: 'the message' })
    expect(ear.breaks).toBe(0)
  })

  it.each(['the server kills it', 'the network cuts it'])('heals when %s', async (how) => {
    const broken: string[] = []
    port.onBreak((name) => broken.push(name))
    port.subscribe('news', ear)
    await ups(1, 'the subscription')
    if (how === 'the network cuts it') proxy.dropConnections()
    else await server.call('client', 'kill', 'type', 'pubsub')
    await until(() => ear.breaks === 1, { what: 'the break to be told' })
    await ups(2, 'the subscription to heal')
    await server.call('publish', 'news', 'after')
    await until(() => ear.heard.length > 0, { what: 'the message' })
    expect(ear).toMatchObject({ ups: 2, breaks: 1, heard: ['after'] })
    // What sends the messages from now on may be another server, with another clock.
    expect(broken).toEqual([''])
  })

  it('notices a connection that died in silence', async () => {
    port.subscribe('news', ear)
    await ups(1, 'the subscription')
    proxy.blackHole('both')
    await until(() => ear.breaks === 1, { what: 'the silence to be noticed', timeoutMs: 6000 })
    proxy.heal({ stuck: 'drop' })
    await ups(2, 'the subscription to heal')
    await server.call('publish', 'news', 'after')
    await until(() => ear.heard.length > 0, { what: 'the message' })
  })

  it('keeps a quiet connection that answers', async () => {
    port.subscribe('news', ear)
    await ups(1, 'the subscription')
    const pings = () => proxy.counters.commands.get('ping') ?? 0
    await until(() => pings() >= 2, { what: 'two heartbeats' })
    expect(ear).toMatchObject({ ups: 1, breaks: 0 })
    expect(proxy.counters.connections).toBe(1)
  })

  it('waits for a server that is not there yet', async () => {
    await proxy.refuse()
    port.subscribe('news', ear)
    // A command of the same port that was refused says that connections are tried in vain.
    await expect(port.command('ping', [], { timeoutMs: 1000 })).rejects.toThrow()
    expect(ear).toMatchObject({ ups: 0, breaks: 0 })
    await proxy.accept()
    await ups(1, 'the subscription')
  })

  it('says nothing more once it is closed', async () => {
    port.subscribe('news', ear)
    await ups(1, 'the subscription')
    await port.close()
    port.subscribe('news', ear)
    await server.call('publish', 'news', 'late')
    await until(() => proxy.counters.open === 0, { what: 'the connections to be closed' })
    expect(ear).toMatchObject({ ups: 1, breaks: 0, heard: [] })
  })
})
