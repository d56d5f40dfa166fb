import { createHash } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type RunningServer, startReplica, startServer } from '../support/servers.ts'
import { describeServers } from '../support/servers-under-test.ts'
import { until } from '../support/until.ts'
import type { OpenPort } from './clients-support.ts'
import { clientKinds, clientKindsByProtocol, failureOf, openPort } from './clients-support.ts'

const sha1 = (source: string): string => createHash('sha1').update(source).digest('hex')

describeServers('replies', (name) => {
  let server: RunningServer
  beforeAll(async () => {
    server = await startServer({ server: name })
  })
  afterAll(() => server.stop())

  describe.each(clientKindsByProtocol)('through $title', (kind) => {
    let port: OpenPort
    beforeEach(async () => {
      await server.call('flushall')
      port = await openPort(kind, { port: server.port })
    })
    afterEach(() => port[Symbol.asyncDispose]())

    it('gives words, numbers, nothing and lists as they are', async () => {
      expect(await port.run('set', 'a', 'x')).toBe('OK')
      expect(await port.run('get', 'a')).toBe('x')
      expect(await port.run('get', 'b')).toBe(null)
      expect(await port.run('incrby', 'n', 2 ** 52)).toBe(2 ** 52)
      expect(await port.run('mget', 'a', 'b')).toEqual(['x', null])
      expect(await port.run('scan', 0, 'count', 100)).toEqual([
        '0',
        expect.arrayContaining(['a', 'n']),
      ])
      expect(await port.run('exists', 'nothing')).toBe(0)
    })

    it('keeps names with any character', async () => {
      const name = 'a b\0\r\n"{ü€😀}'
      await port.run('set', name, name)
      expect(await port.run('get', name)).toBe(name)
    })

    it('gives what has a type of its own in RESP3 the form it has in RESP2', async () => {
      await port.run('hset', 'h', 'f', 'v', 'g', 'w')
      expect(await port.run('hgetall', 'h')).toEqual(['f', 'v', 'g', 'w'])
      await port.run('sadd', 's', 'only')
      expect(await port.run('smembers', 's')).toEqual(['only'])
      await port.run('zadd', 'z', '1.5', 'm')
      expect(await port.run('zscore', 'z', 'm')).toBe('1.5')
      const nested = 'redis.setresp(3); return { { double = 2.5 }, true, false, { 1, { "x" } } }'
      const [double, yes, no, list] = (await port.run('eval', nested, 0)) as unknown[]
      expect(double).toBe('2.5')
      expect(Number(yes)).toBe(1)
      expect(Number(no)).toBe(0)
      expect(list).toEqual([1, ['x']])
    })

    it('runs scripts by digest and says when one is not known', async () => {
      const source = `return { 'held', tonumber(ARGV[1]), KEYS[1] } -- ${kind.title}`
      const { failure } = await failureOf(port.run('evalsha', sha1(source), 1, 'k', 7))
      expect(failure).toMatchObject({ kind: 'noscript', mayHaveRun: false })
      expect(await port.run('eval', source, 1, 'k', 7)).toEqual(['held', 7, 'k'])
      expect(await port.run('evalsha', sha1(source), 1, 'k', 7)).toEqual(['held', 7, 'k'])
    })

    it('tells the refusals of the server apart', async () => {
      await port.run('set', 'a', 'x')
      const wrong = await failureOf(port.run('lpush', 'a', 'y'))
      expect(wrong.failure).toMatchObject({ kind: 'other', mayHaveRun: false })
      expect(wrong.failure.message).toMatch(/^WRONGTYPE/)

      const half = "redis.call('set', 'b', '1'); return redis.call('lpush', 'a', 'y')"
      const halfRun = await failureOf(port.run('eval', half, 2, 'a', 'b'))
      expect(halfRun.failure).toMatchObject({ kind: 'other', mayHaveRun: true })
      expect(await port.run('get', 'b')).toBe('1')

      const unknown = await failureOf(port.run('nosuchcommand'))
      expect(unknown.failure).toMatchObject({ kind: 'other', mayHaveRun: false })
    })

    it('says that a database is missing before anything runs in another', async () => {
      await using lost = await openPort(kind, { port: server.port, db: 999 })
      const { failure } = await failureOf(lost.run('set', 'stray', '1'))
      expect(failure.mayHaveRun).toBe(false)
      // GLIDE tries again and again and says only that it took too long.
      if (kind.module !== '@valkey/valkey-glide') {
        expect(failure).toMatchObject({ kind: 'other' })
        expect(failure.message).toMatch(/DB index/)
      }
      expect(await server.call('exists', 'stray')).toBe(0)
    })
  })
})

describe('states of the server', () => {
  let server: RunningServer
  beforeAll(async () => {
    server = await startServer()
  })
  afterAll(() => server.stop())
  beforeEach(() => server.call('flushall'))

  it.each(clientKinds)('$title is told what its user may not do', async (kind) => {
    await server.call(
      'acl',
      'setuser',
      'worker',
      'on',
      '>pa:ss w#rd',
      '~app:*',
      '+@all',
      '-flushall',
    )
    const login = { username: 'worker', password: 'pa:ss w#rd' }
    await using port = await openPort(kind, { port: server.port, ...login })
    expect(await port.run('set', 'app:a', '1')).toBe('OK')
    for (const answer of [port.run('flushall'), port.run('set', 'other', '1')]) {
      const { failure } = await failureOf(answer)
      expect(failure).toMatchObject({ kind: 'permission', mayHaveRun: false })
    }
    const inside = await failureOf(port.run('eval', "return redis.call('flushall')", 0))
    expect(inside.failure).toMatchObject({ kind: 'permission', mayHaveRun: true })
  })

  it.each(clientKinds)(
    '$title is told that the password is wrong, and shows none',
    async (kind) => {
      await server.call('acl', 'setuser', 'worker', 'on', 'resetpass', '>right', '~*', '+@all')
      await using port = await openPort(kind, {
        port: server.port,
        username: 'worker',
        password: 'tops3cret',
      })
      const { failure } = await failureOf(port.run('get', 'a'))
      expect(failure).toMatchObject({ kind: 'permission', mayHaveRun: false })
      const { inspect } = await import('node:util')
      expect(inspect(failure, { depth: 9 })).not.toContain('tops3cret')
      await server.call('acl', 'setuser', 'worker', '>tops3cret')
      await until(() => port.run('set', 'a', '1'), { what: 'the login to succeed' })
    },
  )

  it.each(clientKinds)('$title is told that no memory is left', async (kind) => {
    await using full = await startServer({ args: ['--maxmemory', '100kb'] })
    await using port = await openPort(kind, { port: full.port })
    const { failure } = await failureOf(port.run('set', 'a', 'x'))
    expect(failure).toMatchObject({ kind: 'memory', mayHaveRun: false })
    const script = await failureOf(port.run('eval', "return redis.call('set', KEYS[1], 1)", 1, 'k'))
    expect(script.failure).toMatchObject({ kind: 'memory', mayHaveRun: false })
  })

  it('a replica is unavailable until it is promoted', async () => {
    await using replica = await startReplica(server)
    for (const kind of clientKinds) {
      await replica.call('replicaof', server.host, server.port)
      await using port = await openPort(kind, { port: replica.port })
      const { failure } = await failureOf(port.run('set', 'a', '1'))
      expect(failure, kind.title).toMatchObject({ kind: 'unavailable', mayHaveRun: false })
      await replica.call('replicaof', 'no', 'one')
      // What was refused while it connected tries again in a moment.
      await until(() => port.run('set', 'a', '1'), { what: `${kind.title} to be served` })
    }
  })

  it('a server busy with a script or with too many clients is unavailable', async () => {
    await using busy = await startServer({ args: ['--lua-time-limit', '20'] })
    const ports = await Promise.all(clientKinds.map((kind) => openPort(kind, { port: busy.port })))
    for (const port of ports) await port.run('ping')
    const endless = busy.call('eval', 'while true do end', 0).catch(() => {})
    for (const [at, port] of ports.entries()) {
      const title = clientKinds[at]?.title
      const busyAnswer = await until(
        async () => {
          const { failure } = await failureOf(port.run('get', 'a'))
          return failure.kind !== 'timeout' && failure
        },
        { what: 'the server to say that it is busy' },
      )
      expect(busyAnswer, title).toMatchObject({ kind: 'unavailable', mayHaveRun: false })
    }
    await busy.call('script', 'kill')
    await endless
    for (const port of ports) await port[Symbol.asyncDispose]()
    await busy.call('config', 'set', 'maxclients', '1')
    for (const kind of clientKinds) {
      await using refused = await openPort(kind, { port: busy.port })
      const holder = await openPort(kind, { port: busy.port })
      await until(() => holder.run('ping'), { what: 'the only seat to be free' })
      const { failure } = await failureOf(refused.run('ping'))
      expect(failure.mayHaveRun, kind.title).toBe(false)
      expect(['unavailable', 'connection']).toContain(failure.kind)
      await holder[Symbol.asyncDispose]()
    }
  })
})
