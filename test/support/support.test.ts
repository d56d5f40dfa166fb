import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { obtain } from '../../scripts/servers.mjs'
import { type Proxy, startProxy } from './proxy.ts'
import { connect, type RawConnection } from './raw-redis.ts'
import { encode, FrameReader, ReplyError } from './resp.ts'
import { freePort, type RunningServer, startReplica, startServer } from './servers.ts'
import { describeServers } from './servers-under-test.ts'
import { randomFrom, until } from './until.ts'

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe('until', () => {
  it('gives the first truthy value', async () => {
    let calls = 0
    expect(await until(() => (++calls === 3 ? 'third' : null), { what: 'three calls' })).toBe(
      'third',
    )
  })

  it('names what it waited for and keeps the last error', async () => {
    const failing = () => {
      throw new Error('not yet')
    }
    const waiting = until(failing, { what: 'the moon', timeoutMs: 10 })
    await expect(waiting).rejects.toMatchObject({
      message: 'waited 10 ms in vain for the moon',
      cause: new Error('not yet'),
    })
  })

  it('draws the same numbers from the same seed', () => {
    const [one, two, other] = [randomFrom(7), randomFrom(7), randomFrom(8)]
    const series = Array.from({ length: 100 }, one)
    expect(Array.from({ length: 100 }, two)).toEqual(series)
    expect(Array.from({ length: 100 }, other)).not.toEqual(series)
    expect(series.every((value) => value >= 0 && value < 1)).toBe(true)
  })
})

describe('frames', () => {
  it('come out the same however the bytes are cut', () => {
    const bytes = Buffer.concat([
      encode(['set', 'a', 'ü\r\n']),
      Buffer.from('+OK\r\n-ERR no\r\n:7\r\n$-1\r\n*0\r\n*-1\r\n>2\r\n$1\r\nm\r\n#t\r\n'),
      Buffer.from('%1\r\n+k\r\n,1.5\r\n|1\r\n+a\r\n+b\r\n:8\r\n=7\r\ntxt:abc\r\n_\r\nPING x\r\n'),
    ])
    const expected = [
      ['set', 'a', 'ü\r\n'],
      'OK',
      new ReplyError('ERR no'),
      7,
      null,
      [],
      null,
      ['m', true],
      ['k', 1.5],
      8,
      'abc',
      null,
      ['PING', 'x'],
    ]
    for (const size of [1, 2, 3, 7, bytes.length]) {
      const reader = new FrameReader()
      const frames = []
      for (let at = 0; at < bytes.length; at += size) {
        frames.push(...reader.push(bytes.subarray(at, at + size)))
      }
      expect(frames.map(({ value }) => value)).toEqual(expected)
      expect(Buffer.concat(frames.map(({ raw }) => raw))).toEqual(bytes)
      expect(frames.filter(({ push }) => push)).toHaveLength(1)
    }
  })
})

describeServers('a started server', (server) => {
  it('answers, runs scripts, and is gone with its folder after stop', async () => {
    const one = await startServer({ server })
    expect(await one.call('eval', 'return redis.call("incr", KEYS[1])', 1, 'n')).toBe(1)
    expect(await one.cli('info', 'server')).toContain(one.version)
    const { pid } = one
    await one.stop()
    await one.stop()
    expect(runs(pid)).toBe(false)
    expect(existsSync(one.dir)).toBe(false)
  })

  it('keeps its data through a restart when asked to, and only then', async () => {
    await using one = await startServer({ server })
    await one.call('set', 'a', 'kept')
    const { pid, port } = one
    await one.restart({ keepData: true })
    expect(await one.cli('get', 'a')).toBe('kept')
    expect([one.port, one.pid === pid, runs(pid)]).toEqual([port, false, false])
    await one.restart({ keepData: false })
    expect(await one.call('get', 'a')).toBeNull()
  })

  it('answers nothing while paused, and everything afterwards', async () => {
    await using one = await startServer({ server })
    one.pause()
    let reply: unknown
    const asking = one.call('ping').then((value) => {
      reply = value
    })
    await expect(until(() => reply, { what: 'no reply', timeoutMs: 100 })).rejects.toThrow('vain')
    one.resume()
    await asking
    expect(reply).toBe('PONG')
    one.pause()
  })

  it('has replicas that follow it', async () => {
    await using primary = await startServer({ server })
    await primary.call('set', 'a', '1')
    await using replica = await startReplica(primary)
    expect(await replica.cli('get', 'a')).toBe('1')
    // WAIT counts replicas for the writes of its own connection only.
    const writer = await connect(primary.port)
    await writer.call('set', 'a', '2')
    expect(await writer.call('wait', 1, 5000)).toBe(1)
    writer.close()
    expect(await replica.cli('get', 'a')).toBe('2')
  })
})

describe('servers', () => {
  it('start many at once, each on a port of its own', async () => {
    const many = await Promise.all(Array.from({ length: 8 }, () => startServer()))
    expect(new Set(many.map(({ port }) => port)).size).toBe(8)
    await Promise.all(many.map((one) => one.stop()))
    expect(many.filter(({ dir }) => existsSync(dir))).toEqual([])
  })

  it('do not take over a port that is in use', async () => {
    const port = await freePort()
    const other = createServer().listen(port, '127.0.0.1')
    await once(other, 'listening')
    await expect(startServer({ port })).rejects.toThrow(/did not start .*already in use/is)
    other.close()
  })

  it('say why they did not start', async () => {
    await expect(startServer({ args: ['--no-such-option', '1'] })).rejects.toThrow('no-such-option')
  })

  it('can be killed and started again with what they had on disk', async () => {
    await using one = await startServer({
      args: ['--appendonly', 'yes', '--appendfsync', 'always'],
    })
    await one.call('set', 'a', 'on disk')
    await one.kill()
    await expect(one.call('ping')).rejects.toThrow(/ECONNREFUSED|ECONNRESET|EPIPE|closed/)
    await one.start()
    expect(await one.cli('get', 'a')).toBe('on disk')
  })

  it.each(['SIGKILL', 'SIGTERM'] as const)(
    'do not outlive a process ended by %s',
    async (signal) => {
      const script = fileURLToPath(new URL('leave-behind.mjs', import.meta.url))
      const child = spawn(process.execPath, [script])
      const [output] = (await once(child.stdout, 'data')) as [Buffer]
      const { server, folder } = JSON.parse(String(output)) as { server: number; folder: string }
      expect([runs(server), existsSync(folder)]).toEqual([true, true])
      child.kill(signal)
      await until(() => !runs(server), { what: 'the server to be ended' })
      await until(() => !existsSync(folder), { what: 'its folder to be removed' })
    },
  )

  it('come with a Python that has the redis library', async () => {
    const { bin } = await obtain('python3-redis')
    await using one = await startServer()
    const code = `import redis; print(redis.Redis(port=${one.port}).set("by", "python"))`
    const { stdout } = await promisify(execFile)(bin, ['-c', code])
    expect(stdout).toBe('True\n')
    expect(await one.cli('get', 'by')).toBe('python')
  })
})

describe('a raw connection', () => {
  it('throws errors of the server and receives messages', async () => {
    await using one = await startServer()
    const client = await connect(one.port)
    await expect(client.call('nonsense')).rejects.toThrow(/unknown command/i)
    const messages: string[] = []
    await client.subscribe('news', (message) => messages.push(message))
    expect(await one.call('publish', 'news', 'hello')).toBe(1)
    await until(() => messages.length, { what: 'the message' })
    expect(messages).toEqual(['hello'])
    await one.stop()
    await expect(client.call('ping')).rejects.toThrow('closed')
  })
})

describe('the proxy', () => {
  let server: RunningServer
  let proxy: Proxy
  let client: RawConnection

  beforeAll(async () => {
    server = await startServer()
  })
  afterAll(() => server.stop())
  beforeEach(async () => {
    await server.call('flushall')
    proxy = await startProxy({ targetPort: server.port })
    client = await connect(proxy.port)
    return async () => {
      client.close()
      await proxy.stop()
    }
  })

  /** Fails unless nothing comes back for a while. */
  async function stays(reply: Promise<unknown>): Promise<void> {
    const early = await Promise.race([reply, new Promise((done) => setTimeout(done, 100, 'none'))])
    expect(early).toBe('none')
  }

  it('passes everything and counts it', async () => {
    const big = 'x'.repeat(300_000)
    const replies = await Promise.all([
      client.call('SET', 'a', big),
      client.call('GET', 'a'),
      client.call('ping'),
    ])
    expect(replies).toEqual(['OK', big, 'PONG'])
    expect(proxy.counters).toMatchObject({ connections: 1, open: 1, requests: 3, replies: 3 })
    expect(proxy.counters.commands.get('set')).toBe(1)
  })

  it('cuts before the server sees the request', async () => {
    proxy.cutBeforeServer('INCR')
    expect(await client.call('ping')).toBe('PONG')
    await expect(client.call('incr', 'n')).rejects.toThrow('closed')
    expect(await server.call('get', 'n')).toBeNull()
    const again = await connect(proxy.port)
    expect(await again.call('incr', 'n')).toBe(1)
    again.close()
  })

  it('cuts after the server has run the request, and delivers what came before', async () => {
    proxy.cutAfterServer('incr')
    const before = client.call('ping')
    const lost = client.call('incr', 'n')
    const after = client.call('incr', 'n').catch((error: unknown) => error)
    expect(await before).toBe('PONG')
    await expect(lost).rejects.toThrow('closed')
    expect(await after).toBeInstanceOf(Error)
    expect(Number(await server.cli('get', 'n'))).toBeGreaterThanOrEqual(1)
    expect(proxy.counters.cuts).toBe(1)
  })

  it('delays each side by at least what was asked, without adding up', async () => {
    proxy.delay({ requestMs: 60, replyMs: 60, match: 'ping' })
    const started = performance.now()
    await Promise.all(Array.from({ length: 20 }, () => client.call('ping')))
    const took = performance.now() - started
    expect(took).toBeGreaterThanOrEqual(119)
    expect(took).toBeLessThan(1000)
  })

  it('holds requests in a black hole and delivers them late', async () => {
    proxy.blackHole('requests', 'incr')
    const late = client.call('incr', 'n')
    await stays(late)
    expect(await server.call('get', 'n')).toBeNull()
    proxy.heal()
    expect(await late).toBe(1)
  })

  it('delivers what was stuck although its sender has gone', async () => {
    proxy.blackHole('requests')
    const lost = client.call('incr', 'n').catch(() => 'gone')
    await until(() => proxy.counters.requests, { what: 'the request' })
    client.close()
    expect(await lost).toBe('gone')
    await until(() => proxy.counters.open === 0, { what: 'the close' })
    proxy.heal()
    await until(() => server.cli('get', 'n'), { what: 'the late request' })
  })

  it('holds replies in a black hole and drops them for good', async () => {
    proxy.blackHole('replies')
    const lost = client.call('incr', 'n')
    await stays(lost)
    expect(await server.cli('get', 'n')).toBe('1')
    proxy.heal({ stuck: 'drop' })
    await expect(lost).rejects.toThrow('closed')
  })

  it('drops connections, refuses new ones and accepts again', async () => {
    await client.call('ping')
    await proxy.refuse()
    expect(await client.call('ping')).toBe('PONG')
    await expect(connect(proxy.port)).rejects.toThrow('ECONNREFUSED')
    proxy.dropConnections()
    await expect(client.call('ping')).rejects.toThrow('closed')
    await proxy.accept()
    const again = await connect(proxy.port)
    expect(await again.call('ping')).toBe('PONG')
    again.close()
  })

  it('closes one direction and leaves the other open', async () => {
    await client.call('ping')
    // The server takes a client that will ask no more for one that has left.
    proxy.halfClose('requests')
    await expect(client.call('ping')).rejects.toThrow('closed')
    const asked = createConnection({ port: proxy.port, allowHalfOpen: true })
    await once(asked, 'connect')
    asked.write('incr n\r\n')
    await until(() => server.cli('get', 'n'), { what: 'the first request' })
    const ended = once(asked, 'end')
    asked.resume()
    proxy.halfClose('replies')
    await ended
    asked.write('incr n\r\n')
    await until(async () => (await server.cli('get', 'n')) === '2', { what: 'the second request' })
    asked.destroy()
  })

  it('sends new connections to another server when told to', async () => {
    await using other = await startServer()
    await other.call('set', 'who', 'other')
    proxy.retarget(other.port)
    expect(await client.call('get', 'who')).toBeNull()
    const again = await connect(proxy.port)
    expect(await again.call('get', 'who')).toBe('other')
    again.close()
  })

  it('closes the client when the server goes away', async () => {
    await using other = await startServer()
    await using between = await startProxy({ targetPort: other.port })
    const through = await connect(between.port)
    await through.call('ping')
    await other.kill()
    await expect(through.call('ping')).rejects.toThrow('closed')
    await until(() => between.counters.open === 0, { what: 'the connection to be closed' })
  })

  it('throttles', async () => {
    proxy.throttle({ bytesPerSecond: 100_000 })
    const started = performance.now()
    await client.call('set', 'a', 'x'.repeat(20_000))
    expect(performance.now() - started).toBeGreaterThanOrEqual(190)
  })

  it('loses messages by chance, the same ones for the same seed', async () => {
    const runWith = async (seed: number): Promise<string[]> => {
      const got: string[] = []
      const listener = await connect(proxy.port)
      await listener.subscribe('news', (message) => got.push(message))
      proxy.dropMessages({ probability: 0.5, seed, match: (channel) => channel === 'news' })
      for (let i = 0; i < 40; i += 1) await server.call('publish', 'news', i)
      proxy.heal()
      await server.call('publish', 'news', 'end')
      await until(() => got.includes('end'), { what: 'the last message' })
      listener.close()
      return got
    }
    const first = await runWith(3)
    expect(first.length).toBeGreaterThan(5)
    expect(first.length).toBeLessThan(36)
    expect(await runWith(3)).toEqual(first)
    expect(await runWith(4)).not.toEqual(first)
  })

  it('tells messages from replies on a RESP3 connection', async () => {
    await client.call('hello', 3)
    await client.subscribe('news', () => {})
    proxy.dropMessages()
    await server.call('publish', 'news', 'lost')
    expect(await client.call('ping')).toBe('PONG')
    await until(() => proxy.counters.droppedMessages === 1, { what: 'the message to be dropped' })
  })

  it('lets a replica through and can part it from its primary', async () => {
    await using replica = await startServer()
    await replica.call('replicaof', '127.0.0.1', proxy.port)
    await until(async () => (await replica.cli('info', 'replication')).includes('status:up'), {
      what: 'the replica to be linked',
    })
    await server.call('set', 'a', '1')
    await until(() => replica.cli('get', 'a'), { what: 'the write on the replica' })
    proxy.blackHole('both')
    await server.call('set', 'a', '2')
    await stays(until(async () => (await replica.cli('get', 'a')) === '2', { what: 'no write' }))
    proxy.heal()
    await until(async () => (await replica.cli('get', 'a')) === '2', { what: 'the late write' })
  })
})
