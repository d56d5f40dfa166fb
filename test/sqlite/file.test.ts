import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { place } from 'holdfast/testing'
import { afterEach, describe, expect, it } from 'vitest'
import type { Engine } from '../../src/core/engine.ts'
import { loadBinding } from '../../src/engines/sqlite/binding.ts'
import { connectSqlite, sqlite } from '../../src/engines/sqlite/index.ts'
import { APPLICATION_ID, MIGRATIONS } from '../../src/engines/sqlite/schema.ts'
import { until } from '../support/until.ts'
import { Machine, scratch } from './support.ts'

const engines: Engine[] = []

afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close()
})

async function open(path: string): Promise<Engine> {
  const engine = await connectSqlite(path)
  engines.push(engine)
  return engine
}

const attempt = (engine: Engine, name: string) => engine.acquire({ ...place(name), wait: false })
const never = () => new AbortController().signal

/** A file system of this size in the folder; `undefined` where this user may not mount. */
function mountSmall(folder: string, kib: number): Disposable | undefined {
  mkdirSync(folder, { recursive: true })
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${kib}k`, 'tmpfs', folder])
  if (status === 0) return { [Symbol.dispose]: () => spawnSync('umount', ['-l', folder]) }
  console.log('NOT TESTED: this user may not mount a small file system')
  return undefined
}

describe('the file', () => {
  it('is made for the user only, folder and bell included', async () => {
    using files = scratch()
    const path = join(files.folder, 'deep', 'er', 'locks.db')
    await attempt(await open(path), 'a')
    const mode = (of: string) => statSync(of).mode & 0o777
    expect([path, `${path}-wal`, `${path}-shm`].map(mode)).toEqual([0o600, 0o600, 0o600])
    expect([dirname(path), `${path}-bells`].map(mode)).toEqual([0o700, 0o700])
  })

  it('is opened at the first call by sqlite(), and found by a URL', async () => {
    using files = scratch()
    const engine = sqlite({ path: `sqlite:${files.path}` })
    engines.push(engine)
    expect(existsSync(files.path)).toBe(false)
    expect((await attempt(engine, 'a')).state).toBe('held')
    expect((await attempt(await open(`sqlite://${files.path}`), 'a')).state).toBe('absent')
  })

  it('is refused when a newer Holdfast made it', async () => {
    using files = scratch()
    const connection = loadBinding()(files.path)
    connection.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = 99`)
    connection.close()
    await expect(open(files.path)).rejects.toThrow(/newer Holdfast \(version 99 .* update/)
  })

  it('is refused when it belongs to another program', async () => {
    using files = scratch()
    const connection = loadBinding()(files.path)
    connection.exec('CREATE TABLE mine (text)')
    connection.close()
    await expect(open(files.path)).rejects.toThrow(/another program/)
    writeFileSync(
      join(files.folder, 'text'),
      'no database at all, but long enough to be read '.repeat(20),
    )
    await expect(open(join(files.folder, 'text'))).rejects.toThrow(/no SQLite database/)
    await expect(open(files.folder)).rejects.toMatchObject({ code: 'HOLDFAST_ENGINE_FAILED' })
  })

  it('is upgraded with what it holds, and left by whoever knows only the old version', async () => {
    using files = scratch()
    const machine = new Machine()
    const newer = [...MIGRATIONS, 'CREATE TABLE later (id INTEGER)']
    const old = machine.engine(files.path)
    engines.push(old)
    const holder = place('a')
    await old.acquire({ ...holder, wait: true })
    const next = machine.engine(files.path, { migrations: newer })
    engines.push(next)
    expect((await next.renew([holder]))[0]?.state).toBe('held')
    expect((await old.renew([holder]))[0]).toMatchObject({ state: 'unknown' })
    await expect(attempt(old, 'b')).rejects.toThrow(/newer Holdfast/)
    const last = machine.engine(files.path, { migrations: newer })
    engines.push(last)
    expect((await attempt(last, 'a')).state).toBe('absent')
  })
})

describe('a file that is deleted or replaced', () => {
  it('loses its leases, and serves anew', async () => {
    using files = scratch()
    const [one, other] = [await open(files.path), await open(files.path)]
    const [holder, waiter] = [place('a'), place('a')]
    const before = await one.acquire({ ...holder, wait: true })
    await other.acquire({ ...waiter, wait: true })
    const news = other.wait(waiter, never())
    for (const ending of ['', '-wal', '-shm']) rmSync(files.path + ending)
    await until(async () => (await one.renew([holder]))[0]?.state === 'absent', {
      what: 'the loss',
    })
    // A waiter of another process finds out by itself.
    expect((await news).state).toBe('waiting')
    expect((await other.renew([waiter]))[0]?.state).toBe('absent')
    const after = await other.acquire({ ...waiter, wait: true })
    expect(after.state === 'held' && before.state === 'held' && after.fence > before.fence).toBe(
      true,
    )
    expect((await attempt(one, 'a')).state).toBe('absent')
  })

  it('takes nothing over from a file that was deleted without its log', async () => {
    using files = scratch()
    const one = await open(files.path)
    await attempt(one, 'a')
    rmSync(files.path)
    const other = await open(files.path)
    expect((await attempt(other, 'a')).state).toBe('held')
    expect((await attempt(one, 'a')).state).toBe('absent')
    expect((await attempt(one, 'b')).state).toBe('held')
    expect((await attempt(other, 'b')).state).toBe('absent')
  })

  it('is told from one that was moved away', async () => {
    using files = scratch()
    const one = await open(files.path)
    const holder = place('a')
    await one.acquire({ ...holder, wait: true })
    renameSync(files.path, `${files.path}.old`)
    await until(async () => (await one.renew([holder]))[0]?.state === 'absent', {
      what: 'the loss',
    })
  })

  it('gets a new bell when the old one is gone', async () => {
    using files = scratch()
    const [one, other] = [await open(files.path), await open(files.path)]
    const [holder, waiter] = [place('a'), place('a')]
    await one.acquire({ ...holder, wait: true })
    await other.acquire({ ...waiter, wait: true })
    const news = other.wait(waiter, never())
    rmSync(`${files.path}-bells`, { recursive: true })
    expect((await news).state).toBe('waiting')
    expect((await other.renew([waiter]))[0]?.state).toBe('waiting')
    await one.release(holder)
    expect((await other.wait(waiter, never())).state).toBe('held')
  })
})

describe('a disk', () => {
  it('that is full is told, and nothing is lost', async () => {
    using files = scratch()
    const folder = join(files.folder, 'small')
    using small = mountSmall(folder, 512)
    if (small === undefined) return
    const engine = await open(join(folder, 'locks.db'))
    const holder = place('kept')
    const held = await engine.acquire({ ...holder, wait: true })
    let failed: unknown
    for (let lock = 0; failed === undefined && lock < 2_000; lock++) {
      const asked = place(`${lock}${'x'.repeat(900)}`)
      await engine.acquire({ ...asked, wait: false }).catch((error: unknown) => {
        failed = error
      })
    }
    expect(failed).toMatchObject({ code: 'HOLDFAST_ENGINE_FAILED', outcome: 'none' })
    expect(String(failed)).toMatch(/full/)
    const { holders } = (await open(join(folder, 'locks.db')).then(
      (other) => other.inspect('kept'),
      () => engine.inspect('kept'),
    )) ?? { holders: [] }
    expect(holders.map(({ fence }) => fence)).toEqual([held.state === 'held' && held.fence])
    spawnSync('mount', ['-o', 'remount,size=8m', folder])
    expect((await engine.renew([holder]))[0]).toMatchObject({ state: 'held' })
    expect((await attempt(engine, 'another')).state).toBe('held')
  })

  it.runIf(process.platform === 'linux')(
    'that is full leaves nothing behind of those who tried to connect',
    async () => {
      using files = scratch()
      const folder = join(files.folder, 'small')
      using small = mountSmall(folder, 200)
      if (small === undefined) return
      const path = join(folder, 'locks.db')
      await attempt(await open(path), 'a')
      spawnSync('dd', ['if=/dev/zero', `of=${join(folder, 'filler')}`, 'bs=4k'])
      const seen = () => [readdirSync('/proc/self/fd').length, readdirSync(`${path}-bells`)]
      // SQLite keeps the first one's descriptor for the next connection.
      await expect(open(path)).rejects.toThrow(/full/)
      const before = seen()
      for (let again = 0; again < 3; again++) await expect(open(path)).rejects.toThrow(/full/)
      expect(seen()).toEqual(before)
    },
  )

  it('that is read-only is told', async () => {
    using files = scratch()
    const folder = join(files.folder, 'small')
    using small = mountSmall(folder, 4096)
    if (small === undefined) return
    const path = join(folder, 'locks.db')
    const engine = await open(path)
    await attempt(engine, 'a')
    await engine.close()
    spawnSync('mount', ['-o', 'remount,ro', folder])
    await expect(open(path)).rejects.toThrow(/cannot be (written|opened)/)
    await expect(open(join(folder, 'new.db'))).rejects.toThrow(/cannot be written/)
  })
})
