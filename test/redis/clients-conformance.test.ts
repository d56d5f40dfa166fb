import { createHash } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { portFor } from '../../src/engines/redis/clients/detect.ts'
import type { Listener, RedisPort, Reply } from '../../src/engines/redis/port.ts'
import { systemClock } from '../../src/system/clock.ts'
import { until } from '../support/until.ts'
import { failureOf } from './clients-support.ts'
import {
  combinations,
  startWorld,
  type TestClient,
  topologies,
  type World,
} from './clients-topologies.ts'

const sha1 = (source: string): string => createHash('sha1').update(source).digest('hex')

class Ear implements Listener {
  readonly heard: string[] = []
  readonly servers = new Set<string | undefined>()
  ups = 0
  breaks = 0

  message(text: string, server?: string): void {
    this.heard.push(text)
    this.servers.add(server)
  }
  ready(): void {
    this.ups += 1
  }
  broken(): void {
    this.breaks += 1
  }
}

describe.each(topologies)('on a %s', (topology) => {
  let world: World
  beforeAll(async () => {
    world = await startWorld(topology)
  })
  afterAll(() => world.stop())

  const clients = combinations.filter((each) => each.topology === topology)
  describe.each(clients)('$title', ({ make }) => {
    let user: TestClient
    let port: RedisPort
    let breaks: string[]
    beforeEach(async () => {
      user = await make(world)
      port = portFor(user.client, { clock: systemClock, connectTimeoutMs: 5000 })
      breaks = []
      port.onBreak((server) => breaks.push(server))
    })
    afterEach(async () => {
      await port.close()
      await user.close()
      for (const server of world.servers) await server.call('flushall').catch(() => {})
    })

    const run = (name: string, args: readonly (string | number)[], key: string): Promise<Reply> =>
      port.command(name, args, { timeoutMs: 5000, key })
    const evaluate = (script: string, key: string, ...args: string[]): Promise<Reply> =>
      run('eval', [script, 1, key, ...args], key)

    /** Names that lie all over the slots. */
    const names = Array.from({ length: 30 }, (_, index) => `k${index}`)

    it('says what it is', () => {
      expect(port).toMatchObject({ topology, keyPrefix: user.keyPrefix })
    })

    it('brings commands and scripts to the server that has the key', async () => {
      for (const key of names) {
        expect(await run('set', [key, 'x'], key)).toBe('OK')
        const script = "return { KEYS[1], redis.call('get', KEYS[1]) }"
        expect(await evaluate(script, key)).toEqual([user.keyPrefix + key, 'x'])
        const server = await world.serverOf(user.keyPrefix + key)
        expect(await server.call('get', user.keyPrefix + key)).toBe('x')
      }
      const source = `return 1 -- ${sha1(user.keyPrefix)} ${Math.random()}`
      const { failure } = await failureOf(run('evalsha', [sha1(source), 1, 'a'], 'a'))
      expect(failure).toMatchObject({ kind: 'noscript', mayHaveRun: false })
    })

    it('names the servers, and which of them has a key', async () => {
      const servers = await port.servers({ timeoutMs: 5000 })
      expect(servers).toHaveLength(topology === 'cluster' ? 3 : 1)
      for (const key of names) expect(servers).toContain(port.serverOf(key))
      for (const server of servers) {
        const [seconds] = (await port.command('time', [], { timeoutMs: 5000, server })) as Reply[]
        expect(Number(seconds)).toBeGreaterThan(1_500_000_000)
      }
    })

    it('asks no replica, whatever the client would do', async () => {
      const readers = async () => {
        const counts = world.servers.map(async (server) => {
          const stats = await server.cli('info', 'commandstats')
          const role = String(((await server.call('role')) as Reply[])[0])
          return role === 'slave' ? Number(/cmdstat_get:calls=(\d+)/.exec(stats)?.[1] ?? 0) : 0
        })
        return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
      }
      const before = await readers()
      for (const key of names) await run('get', [key], key)
      expect(await readers()).toBe(before)
    })

    it('hears what a script on the server of the key publishes there', async () => {
      const ear = new Ear()
      await run('get', ['a'], 'a')
      const channel = port.channelFor('news', 'a')
      const subscription = port.subscribe(channel, ear)
      await until(() => ear.ups === 1, { what: 'the subscription' })
      const verb = topology === 'cluster' ? 'SPUBLISH' : 'PUBLISH'
      const publish = (text: string): Promise<Reply> =>
        evaluate(`return redis.call('${verb}', ARGV[1], ARGV[2])`, 'a', channel, text)
      expect(await publish('ä {1}')).toBe(1)
      await until(() => ear.heard.length === 1, { what: 'the message' })

      const server = await world.serverOf(`${user.keyPrefix}a`)
      await server.call('client', 'kill', 'type', 'pubsub')
      await until(() => ear.ups >= 2, { what: 'the subscription to heal' })
      await until(async () => (await publish('again').catch(() => 0)) === 1, {
        what: 'a message to reach the subscriber',
      })
      await until(() => ear.heard.includes('again'), { what: 'the second message' })
      expect(ear.breaks).toBeGreaterThan(0)
      expect(ear.heard[0]).toBe('ä {1}')
      for (const from of ear.servers) expect([port.serverOf('a'), undefined]).toContain(from)
      await subscription.close()
      await until(async () => (await publish('late')) === 0, { what: 'nobody to listen any more' })
    })

    it('has one channel for all keys of one server', async () => {
      await run('get', ['a'], 'a')
      const channels = new Set(names.map((key) => port.channelFor('news', key)))
      const servers = new Set(names.map((key) => port.serverOf(key)))
      expect(channels.size).toBe(servers.size)
    })

    it('sends nothing again that was under way when the connection was cut', async () => {
      await run('get', ['n'], 'n')
      const server = await world.serverOf(`${user.keyPrefix}n`)
      await server.call('client', 'pause', 60_000, 'write')
      const answers = Array.from({ length: 20 }, () => failureOf(run('incr', ['n'], 'n')))
      await until(async () => / cmd=incr /.test(await server.cli('client', 'list')), {
        what: 'the commands to stand in the server',
      })
      await server.call('client', 'kill', 'type', 'normal')
      for (const { failure } of await Promise.all(answers)) {
        expect(failure).toMatchObject({ kind: 'connection', mayHaveRun: true })
      }
      await server.call('client', 'unpause')
      await until(() => run('set', ['{n}', 1], '{n}'), { what: 'a command to succeed' })
      expect(await run('get', ['n'], 'n')).toBe(null)
    })

    it('settles in time when the server freezes, and tells of the break', async () => {
      await run('set', ['a', 'x'], 'a')
      const server = await world.serverOf(`${user.keyPrefix}a`)
      const name = port.serverOf('a')
      server.pause()
      try {
        const { failure } = await failureOf(
          port.command('get', ['a'], { timeoutMs: 100, key: 'a' }),
        )
        expect(failure).toMatchObject({ kind: 'timeout', mayHaveRun: true })
        expect(breaks).toContain(name)
      } finally {
        server.resume()
      }
      await until(async () => (await run('get', ['a'], 'a')) === 'x', { what: 'an answer' })
    })

    it('leaves nothing open', async () => {
      const open = async () => {
        const lists = world.servers.map((server) => server.cli('client', 'list', 'type', 'normal'))
        const pubsub = world.servers.map((server) => server.cli('client', 'list', 'type', 'pubsub'))
        const lines = (await Promise.all([...lists, ...pubsub])).join('\n').split('\n')
        // What the Sentinels and the user's own client have open goes its own way.
        return lines.filter((line) => / cmd=(eval|get|s?subscribe|client\|id|ping) /.test(line))
      }
      const before = (await open()).length
      const ear = new Ear()
      await evaluate('return 1', 'a')
      port.subscribe(port.channelFor('news', 'a'), ear)
      await until(() => ear.ups === 1, { what: 'the subscription' })
      await port.close()
      await user.close()
      await until(async () => (await open()).length <= before, { what: 'the connections to go' })
      expect((await failureOf(run('ping', [], 'a'))).failure).toMatchObject({
        kind: 'connection',
        mayHaveRun: false,
      })
    })
  })
})
