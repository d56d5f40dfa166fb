import { execFile } from 'node:child_process'
import type { EventEmitter } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { portFromUrl } from '../../src/engines/redis/clients/from-url.ts'
import type { Listener } from '../../src/engines/redis/port.ts'
import { parseRedisUrl } from '../../src/engines/redis/url.ts'
import { systemClock } from '../../src/system/clock.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { clientKinds, failureOf, openPort, type UserClient } from './clients-support.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const run = promisify(execFile)

let server: RunningServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.stop())
beforeEach(() => server.call('flushall'))

function ear(): Listener & { ups: number } {
  return {
    ups: 0,
    message() {},
    ready() {
      this.ups += 1
    },
    broken() {},
  }
}

async function openConnections(): Promise<number> {
  const list = (await server.cli('client', 'list')).trim().split('\n')
  return list.length - 1
}

function listenersOf({ client }: UserClient): Record<string, number> {
  const emitter = client as unknown as EventEmitter
  if (typeof emitter.eventNames !== 'function') return {}
  return Object.fromEntries(
    emitter.eventNames().map((name) => [String(name), emitter.listenerCount(name)]),
  )
}

function propertiesOf({ client }: UserClient): string[] {
  const names: string[] = []
  for (let object: object | null = client; object; object = Object.getPrototypeOf(object)) {
    names.push(...Object.getOwnPropertyNames(object))
  }
  return names.sort()
}

describe.each(clientKinds)('the connections that are made after $title', (kind) => {
  it('leave the client as it was, connected and working', async () => {
    const port = await openPort(kind, { port: server.port, db: 3, keyPrefix: 'app:' })
    await port.user.connect()
    await port.user.run('client', 'setname', 'user')
    const before = { listeners: listenersOf(port.user), properties: propertiesOf(port.user) }
    const commandsOfUser = async (): Promise<string> => {
      const line = (await server.cli('client', 'list'))
        .split('\n')
        .find((one) => /name=user/.test(one))
      return / cmd=\S+/.exec(line ?? '')?.[0] ?? 'none'
    }
    const listener = ear()
    port.subscribe('news', listener)
    await port.run('set', 'a', 1)
    await until(() => listener.ups === 1, { what: 'the subscription' })

    expect({ listeners: listenersOf(port.user), properties: propertiesOf(port.user) }).toEqual(
      before,
    )
    expect(await commandsOfUser()).toBe(' cmd=client|setname')
    await port.close()
    expect(await port.user.run('ping')).toBe('PONG')
    port.user.close()
  })

  it('do not connect the client', async () => {
    await until(async () => (await openConnections()) === 0, { what: 'a quiet server' })
    await using port = await openPort(kind, { port: server.port })
    await port.run('ping')
    expect(await openConnections()).toBe(1)
  })

  it('use its database and put its key prefix before keys', async () => {
    await using port = await openPort(kind, { port: server.port, db: 3, keyPrefix: 'app:' })
    const prefix = kind.hasKeyPrefix ? 'app:' : ''
    expect(port.keyPrefix).toBe(prefix)
    const at = { timeoutMs: 1000, key: 'k' }
    expect(await port.command('set', ['k', 'k'], at)).toBe('OK')
    const script = 'return { KEYS[1], KEYS[2], ARGV[1] }'
    const keys = await port.command('eval', [script, 2, 'k', 'l', 'k'], at)
    expect(keys).toEqual([`${prefix}k`, `${prefix}l`, 'k'])
    expect(await port.command('get', ['k'], at)).toBe('k')
    expect(await server.call('dbsize')).toBe(0)
    expect(await port.run('scan', 0)).toEqual(['0', [`${prefix}k`]])
  })

  it('are not delayed by what the client is blocked in', async () => {
    await using port = await openPort(kind, { port: server.port })
    await port.user.connect()
    const blocked = port.user.run('blpop', 'queue', '0')
    expect(await port.run('set', 'a', 1)).toBe('OK')
    await server.call('rpush', 'queue', 'go')
    await blocked

    await port.user.run('multi')
    await port.user.run('set', 'a', '2')
    expect(await port.run('get', 'a')).toBe('1')
    await port.user.run('discard')
  })

  it('are gone after close, from the server and from this process', async () => {
    await until(() => handles().sockets === 0, { what: 'a quiet process' })
    await until(async () => (await openConnections()) === 0, { what: 'a quiet server' })
    const before = handles()
    const port = await openPort(kind, { port: server.port })
    const listener = ear()
    port.subscribe('news', listener)
    await port.run('ping')
    await until(() => listener.ups === 1, { what: 'the subscription' })
    expect(await openConnections()).toBe(2)
    // Those of GLIDE are not seen from here.
    const seen = kind.module === '@valkey/valkey-glide' ? 0 : 2
    await until(() => handles().sockets === seen, { what: 'only the two connections to be left' })
    await port.close()
    expect(handles().sockets).toBe(0)
    expect(handles().timers).toBeLessThanOrEqual(before.timers)
    await port.close()
    await until(async () => (await openConnections()) === 0, { what: 'the connections to go' })
    await expect(port.run('ping')).rejects.toMatchObject({ kind: 'connection', mayHaveRun: false })
  })

  it('are not made at all by a port that is closed while it connects', async () => {
    await until(() => handles().sockets === 0, { what: 'a quiet process' })
    const port = await openPort(kind, { port: server.port })
    const answer = failureOf(port.run('incr', 'n'))
    await port.close()
    expect((await answer).failure).toMatchObject({ kind: 'connection', mayHaveRun: false })
    await until(() => handles().sockets === 0, { what: 'the socket to go' })
    await until(async () => (await openConnections()) === 0, { what: 'the connections to go' })
    expect(await server.call('get', 'n')).toBe(null)
  })
})

it('a database that the client of ioredis selected later is used', async () => {
  for (const kind of clientKinds.slice(0, 2)) {
    await using port = await openPort(kind, { port: server.port })
    await port.user.connect()
    await port.user.run('select', '5')
    await port.run('set', 'a', 1)
    expect(await server.cli('info', 'keyspace'), kind.title).toMatch(/db5:keys=1/)
    await server.call('flushall')
  }
})

it('a URL is enough', async () => {
  await server.call('acl', 'setuser', 'worker', 'on', '>a b/c', '~*', '+@all')
  const url = parseRedisUrl(`valkey://worker:a%20b%2Fc@127.0.0.1:${server.port}/2`)
  const port = await portFromUrl(url, { clock: systemClock, connectTimeoutMs: 2000 })
  expect(await port.command('set', ['a', '1'], { timeoutMs: 1000 })).toBe('OK')
  expect(await server.cli('info', 'keyspace')).toMatch(/db2:keys=1/)
  await port.close()

  const path = join(server.dir, 'redis.sock')
  await using local = await startServer({ args: ['--unixsocket', path] })
  const socketUrl = parseRedisUrl(`unix://${path}?db=1`)
  const socketPort = await portFromUrl(socketUrl, { clock: systemClock, connectTimeoutMs: 2000 })
  await socketPort.command('set', ['a', '1'], { timeoutMs: 1000 })
  expect(await local.cli('info', 'keyspace')).toMatch(/db1:keys=1/)
  await socketPort.close()
})

/** What keeps this process alive; one timer is that of the test itself. */
function handles(): { sockets: number; timers: number } {
  const names = process.getActiveResourcesInfo()
  return {
    sockets: names.filter((name) => /^TCP|^TLS/.test(name)).length,
    timers: names.filter((name) => name === 'Timeout').length,
  }
}

describe('a process', () => {
  let folder: string
  beforeAll(async () => {
    const parent = join(root, 'node_modules', '.cache')
    await mkdir(parent, { recursive: true })
    folder = await mkdtemp(join(parent, 'holdfast-clients-'))
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const args = [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', folder]
    // Type errors are found elsewhere; what is needed here is the code.
    await run(process.execPath, [...args, '--noEmitOnError', 'false']).catch(() => {})
    await writeFile(join(folder, 'child.mjs'), CHILD)
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const child = async (...args: string[]): Promise<{ code: number; said: string }> => {
    const file = join(folder, 'child.mjs')
    try {
      const { stdout } = await run(process.execPath, [file, ...args], { timeout: 20_000 })
      // GLIDE writes its own log in front of it.
      return { code: 0, said: stdout.trim().split('\n').at(-1) ?? '' }
    } catch (error) {
      const { code, stdout } = error as { code: number; stdout: string }
      return { code, said: stdout.trim() }
    }
  }

  it.each(clientKinds)('ends by itself after the port of $title was closed', async (kind) => {
    const answer = await child(kind.module, String(server.port), 'close')
    expect(answer).toEqual({ code: 0, said: 'closed' })
  })

  it.each(clientKinds)('of $title stays alive while the server is away', async (kind) => {
    await using absent = await startServer()
    await absent.kill()
    const sign = join(folder, `away-${kind.title}`)
    const answer = child(kind.module, String(absent.port), 'wait', sign)
    await until(() => existsSync(sign), { what: 'the child to have failed some commands' })
    await absent.start()
    expect(await answer).toEqual({ code: 0, said: 'back' })
  })
})

const CHILD = `
import { writeFileSync } from "node:fs"
import { portFor } from "./engines/redis/clients/detect.js"
import { systemClock } from "./system/clock.js"
const [module, port, what, sign] = process.argv.slice(2)
const { Redis, createClient, GlideClient } = await import(module)
const client = GlideClient
  ? await GlideClient.createClient({
      addresses: [{ host: '127.0.0.1', port: Number(port) }],
      lazyConnect: true,
    })
  : Redis
  ? new Redis({ host: '127.0.0.1', port: Number(port), lazyConnect: true })
  : createClient({ socket: { host: '127.0.0.1', port: Number(port) } })
const redis = portFor(client, { clock: systemClock, connectTimeoutMs: 2000 })
if (what === 'close') {
  const up = new Promise((ready) => redis.subscribe('news', { message() {}, ready, broken() {} }))
  await redis.command('ping', [], { timeoutMs: 1000 })
  await up
  await redis.close()
  if (GlideClient) client.close()
  console.log('closed')
} else {
  for (let failures = 0; failures < 5; ) {
    await redis.command('ping', [], { timeoutMs: 1000 }).catch(() => failures++)
  }
  writeFileSync(sign, '')
  await new Promise((ready) => redis.subscribe('news', { message() {}, ready, broken() {} }))
  console.log('back')
  await redis.close()
  if (GlideClient) client.close()
}
`
