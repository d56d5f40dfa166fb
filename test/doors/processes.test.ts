import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { reaper } from '../support/reaper.ts'
import { compiledLibrary } from '../support/workers.ts'
import { Setting } from './setting.ts'

describe('a program that changed its import', () => {
  let setting: Setting
  let library: string

  beforeAll(async () => {
    setting = await Setting.start()
    library = await compiledLibrary()
  })

  afterAll(async () => {
    await setting.stop()
  })

  /** Runs a program until it ends by itself. */
  async function run(lines: readonly string[]): Promise<{ code: number | null; errors: string }> {
    const program = [
      `import { Redis } from 'ioredis'`,
      // Of the build, whose files end otherwise than these.
      `const { Redlock } = await import('./faces/redlock/index.js')`,
      `const { Mutex } = await import('./faces/redis-semaphore/index.js')`,
      `const client = new Redis(${setting.server.port}, '127.0.0.1')`,
      ...lines,
    ].join('\n')
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      cwd: library,
      stdio: ['ignore', 'inherit', 'pipe'],
    })
    if (child.pid !== undefined) reaper.watchProcess(child.pid)
    const exit = new Promise<number | null>((resolve) => child.once('exit', resolve))
    const errors = await text(child.stderr)
    if (child.pid !== undefined) reaper.forgetProcess(child.pid)
    return { code: await exit, errors }
  }

  it('ends after quit(), and what it locked with redlock stays locked', async () => {
    const { code, errors } = await run([
      `const redlock = new Redlock([client])`,
      `await redlock.acquire(['kept'], 60000)`,
      `await redlock.using(['used'], 5000, async () => {})`,
      `await redlock.quit()`,
    ])
    expect([code, errors]).toEqual([0, ''])
    expect(await setting.client.pttl('kept')).toBeGreaterThan(30_000)
    expect(await setting.client.exists('used')).toBe(0)
  })

  it('ends with its client, and what it locked with redis-semaphore stays locked', async () => {
    const { code, errors } = await run([
      `const mutex = new Mutex(client, 'kept', { lockTimeout: 60000 })`,
      `await mutex.acquire()`,
      `await new Mutex(client, 'other').acquire()`,
      `client.disconnect()`,
    ])
    expect([code, errors]).toEqual([0, ''])
    expect(await setting.client.pttl('mutex:kept')).toBeGreaterThan(30_000)
  })

  it('works on with a client that was connected again', async () => {
    const { code, errors } = await run([
      `const mutex = new Mutex(client, 'again')`,
      `await mutex.acquire()`,
      `await mutex.release()`,
      `const end = new Promise((resolve) => client.once('end', resolve))`,
      `await client.quit()`,
      `await end`,
      `await client.connect()`,
      `await mutex.acquire()`,
      `await mutex.release()`,
      `await client.quit()`,
    ])
    expect([code, errors]).toEqual([0, ''])
  })

  it('ends with the loss of a lock that nobody handles', async () => {
    const { code, errors } = await run([
      `const mutex = new Mutex(client, 'lost', { lockTimeout: 600 })`,
      `await mutex.acquire()`,
      `await client.del('mutex:lost')`,
    ])
    expect(code).toBe(1)
    expect(errors).toContain('Lost mutex for key mutex:lost')
  })
})
