import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findAnyServer } from '../../scripts/servers.mjs'
import { demo } from '../../src/cli/demo/index.ts'
import { findProgram } from '../../src/cli/demo/server.ts'
import { freePort, type RunningServer, startServer } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { build, demoAt, fromClone, holdfast, keeperFile, main, Run, workerFile } from './run.ts'

let program: string
let emptyFolder: string

beforeAll(async () => {
  await build()
  program = (await findAnyServer()).bin
  emptyFolder = mkdtempSync(join(tmpdir(), 'holdfast-empty-'))
})
afterAll(() => rmSync(emptyFolder, { recursive: true, force: true }))

/** The demo within this process. */
async function play(
  args: readonly string[],
  { port, env = {} }: { port: number; env?: NodeJS.ProcessEnv },
): Promise<{ code: number; out: string }> {
  const stdout = new PassThrough()
  const world = { stdout: stdout as unknown as NodeJS.WriteStream, stderr: new PassThrough(), env }
  const short = ['--redis', '--processes', '2', '--task-ms', '20', ...args]
  const code = await demo(short, world, { workerFile, keeperFile, localPort: port })
  return { code, out: String(stdout.read() ?? '') }
}

const folders = (): string[] =>
  readdirSync(tmpdir()).filter((name) => name.startsWith('holdfast-demo-'))

describe('a server that is to be found', () => {
  it('is the one that answers', async () => {
    await using server = await startServer()
    const { code, out } = await play([], { port: server.port })
    expect(code).toBe(0)
    expect(out).toMatch(/^Uses the (Redis|Valkey) [\d.]+ at localhost:\d+\.\n/)
  })

  it('is started and stopped where none answers', async () => {
    const before = folders()
    const env = { HOLDFAST_REDIS_SERVER: program }
    const { code, out } = await play([], { port: await freePort(), env })
    expect(code).toBe(0)
    const port = Number(/^Uses a \w+ [\d.]+ of its own on port (\d+)/.exec(out)?.[1])
    await expect(once(createServer().listen(port, '127.0.0.1'), 'listening')).resolves.toEqual([])
    expect(folders().filter((name) => !before.includes(name))).toEqual([])
  })

  it('is not something that only listens there', async () => {
    const heard: string[] = []
    const web = createServer((socket) => {
      socket.on('data', (text) => {
        heard.push(text.toString())
        socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
      })
      socket.on('error', () => {})
    })
    web.listen(0, '127.0.0.1')
    await once(web, 'listening')
    const port = (web.address() as { port: number }).port
    const { out } = await play(['--try'], { port, env: { HOLDFAST_REDIS_SERVER: program } })
    expect(out).toContain('of its own')
    expect(heard).toEqual(['PING\r\n'])
    web.close()
  })

  it('is said to be missing, with what to do', async () => {
    const run = demoAt(await freePort(), ['--redis'], { PATH: emptyFolder })
    const { code, out, err } = await run.end()
    expect({ code, out }).toEqual({ code: 69, out: '' })
    expect(err).toMatch(/^no server found: .*Install one .*--url redis:\/\/.*\n$/)
  })

  it('is said to want a password', async () => {
    await using server = await startServer()
    await server.call('config', 'set', 'requirepass', 'secret')
    const { code, err } = await demoAt(server.port, ['--redis'], { PATH: emptyFolder }).end()
    expect(code).toBe(69)
    expect(err).toContain(`the Redis at localhost:${server.port} wants a password`)
  })

  it('is not looked for further when the chosen program does not work', async () => {
    const port = await freePort()
    const nowhere = { HOLDFAST_REDIS_SERVER: '/nowhere/redis' }
    const none = await demoAt(port, ['--redis'], nowhere).end()
    expect(none).toMatchObject({ code: 69, out: '' })
    expect(none.err).toContain('"/nowhere/redis", which is not a program')
    const broken = join(emptyFolder, 'broken')
    writeFileSync(broken, '#!/bin/sh\necho "it is broken" >&2\nexit 3\n')
    chmodSync(broken, 0o755)
    const failed = await demoAt(port, ['--redis'], { HOLDFAST_REDIS_SERVER: broken }).end()
    expect(failed).toMatchObject({ code: 69, err: `${broken} did not start: it is broken\n` })
    rmSync(broken)
  })

  it('is found on PATH, redis-server first', () => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-path-'))
    const valkey = join(folder, 'valkey-server')
    const redis = join(folder, 'redis-server')
    writeFileSync(valkey, '')
    expect(findProgram({ PATH: folder })).toBeUndefined()
    chmodSync(valkey, 0o755)
    expect(findProgram({ PATH: `${emptyFolder}:${folder}` })).toBe(valkey)
    writeFileSync(redis, '', { mode: 0o755 })
    expect(findProgram({ PATH: folder })).toBe(redis)
    expect(findProgram({ PATH: folder, HOLDFAST_REDIS_SERVER: valkey })).toBe(valkey)
    expect(findProgram({})).toBeUndefined()
    rmSync(folder, { recursive: true })
  })
})

describe('a given server', () => {
  it.each([
    [['--url', 'redis://127.0.0.1:1'], 69],
    [['--url', 'http://127.0.0.1'], 64],
    [['--url', 'nonsense'], 64],
    [['--processes', 'many'], 64],
  ])('with %j ends with one line and its code', async (args, expected) => {
    const { code, out, err } = await holdfast(['demo', ...args]).end()
    expect({ code, out }).toEqual({ code: expected, out: '' })
    expect(err).toMatch(/^holdfast demo: .+\n$/)
  })

  it('passes from the clone to the demo, and its code back', async () => {
    const { code, err } = await new Run(process.execPath, [fromClone, '--processes', '0']).end()
    expect(code).toBe(64)
    expect(err).toContain('--processes must be')
  })
})

describe.skipIf(process.platform !== 'linux')('the end of a demo', () => {
  let server: RunningServer
  const long = ['--processes', '3', '--task-ms', '60000', '--json']

  beforeAll(async () => {
    server = await startServer()
  })
  afterAll(async () => {
    await server?.stop()
  })

  const somebodyWaits = async (run: Run): Promise<void> => {
    await until(() => run.events.filter(({ type }) => type === 'waits').length === 2, {
      what: 'two processes to wait',
      timeoutMs: 20_000,
    })
  }

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('by %s releases the lock and leaves no process', async (signal, expected) => {
    const run = holdfast(['demo', ...long, '--url', server.url])
    await somebodyWaits(run)
    run.child.kill(signal)
    expect(await run.end()).toMatchObject({ code: expected, err: '' })
    expect(run.processes()).toEqual([])
    expect(run.events.at(-1)).toMatchObject({ type: 'summary', interrupted: true, ok: false })
    expect(run.events.map(({ type }) => type)).toContain('released')
    const keys = (await server.cli('keys', '*')).split('\n').filter(Boolean)
    expect(keys.filter((key) => !key.endsWith('~fence'))).toEqual([])
  })

  it.each(['SIGINT', 'SIGKILL'] as const)('by %s ends its own server', async (signal) => {
    const env = { HOLDFAST_REDIS_SERVER: program }
    const run = demoAt(await freePort(), ['--redis', ...long], env)
    await somebodyWaits(run)
    // The demo, three workers, a keeper and the server.
    expect(run.processes()).toHaveLength(6)
    const folder = folders().find((name) => run.processes().some((pid) => livesIn(pid, name)))
    expect(folder).toBeDefined()
    run.child.kill(signal)
    const { code } = await run.end()
    expect(code).toBe(signal === 'SIGINT' ? 130 : null)
    await until(() => run.processes().length === 0, { what: 'every process to end' })
    expect(existsSync(join(tmpdir(), String(folder)))).toBe(false)
  })

  it('by Ctrl-C while it starts', async () => {
    const env = { HOLDFAST_REDIS_SERVER: program }
    const run = demoAt(await freePort(), ['--redis', '--processes', '20'], env)
    await until(() => run.processes().length >= 5, {
      what: 'some to be started',
      timeoutMs: 20_000,
    })
    run.child.kill('SIGINT')
    expect(await run.end()).toMatchObject({ code: 130, err: '' })
    await until(() => run.processes().length === 0, { what: 'every process to end' })
  })

  it('comes when nobody reads any more', async () => {
    // Only a write can notice: every second another turn is told, for as long as it takes `head`.
    const demo = `"${process.execPath}" "${main}" demo --json --processes 8 --task-ms 1000`
    const run = new Run('/bin/sh', ['-c', `( ${demo}; echo $? >&2 ) | head -3`], {
      HOLDFAST_URL: server.url,
    })
    expect(await run.end()).toMatchObject({ code: 0, err: `${128 + constants.signals.SIGPIPE}\n` })
    expect(run.processes()).toEqual([])
    expect(run.events).toHaveLength(3)
  })
})

function livesIn(pid: number, folder: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === join(realpathSync(tmpdir()), folder)
  } catch {
    return false
  }
}
