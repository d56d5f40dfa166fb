import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Proxy, startProxy } from '../support/proxy.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { clientKinds, failureOf, type OpenPort, openPort } from './clients-support.ts'

const quickly = { timeoutMs: 200 }

describe.each(clientKinds)('a bad network and $title', (kind) => {
  let server: RunningServer
  let proxy: Proxy
  let port: OpenPort
  let breaks: number

  beforeAll(async () => {
    server = await startServer()
  })
  afterAll(() => server.stop())
  beforeEach(async () => {
    await server.call('flushall')
    proxy = await startProxy({ targetPort: server.port })
    port = await openPort(kind, { port: proxy.port })
    breaks = 0
    port.onBreak(() => {
      breaks += 1
    })
    await port.run('ping')
  })
  afterEach(async () => {
    await port[Symbol.asyncDispose]()
    await proxy.stop()
  })

  const works = (): Promise<unknown> =>
    until(() => port.run('ping'), { what: 'a command to succeed again', timeoutMs: 5000 })

  it('a lost answer is told at once, and the command is not repeated', async () => {
    proxy.cutAfterServer('incr')
    const { failure } = await failureOf(port.run('incr', 'n'))
    expect(failure).toMatchObject({ kind: 'connection', mayHaveRun: true })
    await works()
    expect(await port.run('get', 'n')).toBe('1')
    expect(breaks).toBe(1)
  })

  it('a request that is cut off never runs later', async () => {
    proxy.cutBeforeServer('incr')
    const { failure } = await failureOf(port.run('incr', 'n'))
    expect(failure).toMatchObject({ kind: 'connection', mayHaveRun: true })
    await works()
    expect(await port.run('get', 'n')).toBe(null)
  })

  it('everything under way is told when the connection goes', async () => {
    proxy.blackHole('replies', 'incr')
    const answers = Array.from({ length: 50 }, () => failureOf(port.run('incr', 'n')))
    await until(async () => (await server.call('get', 'n')) === '50', { what: 'all to have run' })
    proxy.dropConnections()
    for (const { failure } of await Promise.all(answers)) {
      expect(failure).toMatchObject({ kind: 'connection', mayHaveRun: true })
    }
    proxy.heal()
    await works()
    expect(await port.run('get', 'n')).toBe('50')
  })

  it.each(['requests', 'replies', 'both'] as const)(
    'a black hole for %s times out, then a new connection is made',
    async (side) => {
      proxy.blackHole(side, ({ args }) => args[0] === 'incr')
      const { failure, afterMs } = await failureOf(port.command('incr', ['n'], quickly))
      expect(failure).toMatchObject({ kind: 'timeout', mayHaveRun: true })
      expect(afterMs).toBeGreaterThanOrEqual(195)
      expect(breaks).toBe(1)
      await works()
      expect(proxy.counters.connections).toBe(2)
      proxy.heal({ stuck: 'drop' })
      expect(await port.run('get', 'n')).toBe(side === 'replies' ? '1' : null)
    },
  )

  it('a total black hole ends neither in a hang nor in a heap of connections', async () => {
    proxy.blackHole('both')
    const first = await failureOf(port.command('incr', ['n'], quickly))
    expect(first.failure).toMatchObject({ kind: 'timeout', mayHaveRun: true })
    const second = await failureOf(port.command('incr', ['n'], quickly))
    expect(second.failure).toMatchObject({ kind: 'connection', mayHaveRun: false })
    proxy.heal({ stuck: 'drop' })
    await works()
    expect(await port.run('get', 'n')).toBe(null)
    await until(() => proxy.counters.open === 1, { what: 'only one connection to be left' })
  })

  it('a late answer to a command that timed out is not taken for another', async () => {
    proxy.delay({ replyMs: 400, match: 'slow' })
    await port.run('set', 'slow', 'wrong')
    await port.run('set', 'fast', 'right')
    const slow = failureOf(port.command('get', ['slow'], quickly))
    const answers = setInterval(() => void port.run('ping').catch(() => {}), 20)
    expect((await slow).failure).toMatchObject({ kind: 'timeout', mayHaveRun: true })
    expect(await port.run('get', 'fast')).toBe('right')
    clearInterval(answers)
  })

  it('a request that arrives late may run late, as was said', async () => {
    proxy.delay({ requestMs: 400, match: 'incr' })
    const { failure } = await failureOf(port.command('incr', ['n'], quickly))
    expect(failure).toMatchObject({ kind: 'timeout', mayHaveRun: true })
    await until(async () => (await server.call('get', 'n')) === '1', { what: 'the late run' })
    proxy.heal()
    await works()
    expect(await port.run('get', 'n')).toBe('1')
  })

  it('a slow network that still brings answers keeps its connection', async () => {
    proxy.delay({ replyMs: 400 })
    const others: Promise<unknown>[] = []
    const traffic = setInterval(
      () => others.push(port.command('ping', [], { timeoutMs: 5000 })),
      20,
    )
    await port.command('ping', [], { timeoutMs: 5000 })
    const slow = await failureOf(port.command('incr', ['n'], quickly))
    clearInterval(traffic)
    expect(slow.failure).toMatchObject({ kind: 'timeout', mayHaveRun: true })
    await Promise.all(others)
    expect(await port.command('get', ['n'], { timeoutMs: 5000 })).toBe('1')
    expect(breaks).toBe(0)
    expect(proxy.counters.connections).toBe(1)
  })

  it('refused connections are told at once, and nothing runs later', async () => {
    await proxy.refuse()
    proxy.dropConnections()
    await until(() => breaks === 1, { what: 'the break to be noticed' })
    const first = await failureOf(port.run('incr', 'n'))
    expect(first.failure).toMatchObject({ kind: 'connection', mayHaveRun: false })
    const second = await failureOf(port.run('incr', 'n'))
    expect(second.failure).toMatchObject({ kind: 'connection', mayHaveRun: false })
    await proxy.accept()
    await works()
    expect(await port.run('get', 'n')).toBe(null)
  })
})

describe.each(clientKinds)('a server that comes and goes and $title', (kind) => {
  it('a kill is told within milliseconds and a restart is found by itself', async () => {
    await using server = await startServer()
    await using port = await openPort(kind, { port: server.port })
    await port.run('set', 'a', '1')
    server.pause()
    const pending = failureOf(port.command('get', ['a'], { timeoutMs: 5000 }))
    await server.kill()
    const { failure } = await pending
    // GLIDE's own thread may not have sent it before the kill, and then tries until its time is over.
    const told = kind.module === '@valkey/valkey-glide' ? /^(connection|timeout)$/ : /^connection$/
    expect(failure).toMatchObject({ kind: expect.stringMatching(told), mayHaveRun: true })
    const next = await failureOf(port.run('get', 'a'))
    expect(next.failure).toMatchObject({ kind: 'connection', mayHaveRun: false })
    await server.start()
    await until(() => port.run('ping'), { what: 'the restart to be found' })
  })

  it('a first command to a server that is not there fails instead of waiting', async () => {
    await using server = await startServer()
    await server.kill()
    await using port = await openPort(kind, { port: server.port })
    const { failure } = await failureOf(port.command('get', ['a'], { timeoutMs: 5000 }))
    expect(failure).toMatchObject({ kind: 'connection', mayHaveRun: false })
    // GLIDE tries again and again and says only that it took too long.
    const isGlide = kind.module === '@valkey/valkey-glide'
    const reason = isGlide ? /no connection within|timed out/ : /ECONNREFUSED/
    expect(failure.message).toMatch(reason)
  })

  it('a frozen server does not keep a first command longer than its limit', async () => {
    await using server = await startServer()
    server.pause()
    await using port = await openPort(kind, { port: server.port }, { connectTimeoutMs: 300 })
    const short = failureOf(port.command('incr', ['n'], { timeoutMs: 100 }))
    const long = failureOf(port.command('incr', ['n'], { timeoutMs: 5000 }))
    expect((await short).failure).toMatchObject({ kind: 'connection', mayHaveRun: false })
    expect((await long).failure).toMatchObject({ kind: 'connection', mayHaveRun: false })
    server.resume()
    await until(() => port.run('ping'), { what: 'the server to be found awake' })
    expect(await port.run('get', 'n')).toBe(null)
  })
})
