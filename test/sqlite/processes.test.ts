import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { place } from 'holdfast/testing'
import { afterEach, describe, expect, it } from 'vitest'
import type { Engine } from '../../src/core/engine.ts'
import { loadBinding } from '../../src/engines/sqlite/binding.ts'
import { connectSqlite } from '../../src/engines/sqlite/index.ts'
import { until } from '../support/until.ts'
import { compiledLibrary } from '../support/workers.ts'
import { scratch, startProcess } from './support.ts'

const engines: Engine[] = []

afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close()
})

async function open(path: string, commandTimeoutMs = 5_000): Promise<Engine> {
  const engine = await connectSqlite(path, { commandTimeoutMs })
  engines.push(engine)
  return engine
}

const never = () => new AbortController().signal

describe('a process that is killed', () => {
  it('gives its lock back long before the lease is over', async () => {
    using files = scratch()
    await using holder = await startProcess(files.path)
    await using next = await startProcess(files.path)
    const { fence } = await holder.call<{ fence: number }>('acquire', { lock: 'a', ttlMs: 600_000 })
    const waiting = next.call<{ fence: number }>('acquire', { lock: 'a', timeoutMs: 20_000 })
    await holder.kill()
    expect((await waiting).fence).toBeGreaterThan(fence)
  })

  it('leaves the lock free for whoever tries', async () => {
    using files = scratch()
    const engine = await open(files.path)
    await using holder = await startProcess(files.path)
    await holder.call('acquire', { lock: 'a', ttlMs: 600_000 })
    const attempt = async () => (await engine.acquire({ ...place('a'), wait: false })).state
    expect(await attempt()).toBe('absent')
    await holder.kill()
    await until(async () => (await attempt()) === 'held', { what: 'the lock' })
  })

  it('keeps others out for its lockDelayMs', async () => {
    using files = scratch()
    await using holder = await startProcess(files.path)
    await using next = await startProcess(files.path)
    await holder.call('acquire', { lock: 'a', ttlMs: 600_000, lockDelayMs: 1_500 })
    const waiting = next.call<{ at: number }>('acquire', { lock: 'a', timeoutMs: 20_000 })
    const killedAt = Number(process.hrtime.bigint())
    await holder.kill()
    expect((await waiting).at - killedAt).toBeGreaterThanOrEqual(1_499e6)
  })

  it('is passed over in the line, and its bell is removed', async () => {
    using files = scratch()
    const engine = await open(files.path)
    const [holder, last] = [place('a'), place('a')]
    await engine.acquire({ ...holder, wait: true })
    const front = await startProcess(files.path)
    front.call('acquire', { lock: 'a' }).catch(() => undefined)
    await until(async () => (await engine.inspect('a'))?.waiting === 1, { what: 'the front' })
    await engine.acquire({ ...last, wait: true })
    await front.kill()
    // A process that was seen alive just now is not asked for again at once.
    await pause(300)
    await engine.release(holder)
    expect((await engine.wait(last, never())).state).toBe('held')
    expect(readdirSync(`${files.path}-bells`)).toHaveLength(2)
    await open(files.path)
    expect(readdirSync(`${files.path}-bells`)).toHaveLength(2)
  })
})

describe('a process in a pid namespace with the /proc of another', () => {
  it('is not taken for dead as long as it lives', async () => {
    using files = scratch()
    const library = await compiledLibrary()
    const script = fileURLToPath(new URL('namespace.mjs', import.meta.url))
    const command = [process.execPath, script, library, files.path]
    const { status, stdout, stderr } = spawnSync(
      'unshare',
      ['--pid', '--fork', '--kill-child', ...command],
      { encoding: 'utf8', timeout: 50_000 },
    )
    if (status !== 0 && /unshare failed|Operation not permitted|ENOENT/.test(stderr ?? 'ENOENT')) {
      console.log('NOT TESTED: this user may make no pid namespace')
      return
    }
    expect(`${stdout}${stderr}`.trim()).toBe('true HOLDFAST_ACQUIRE_TIMEOUT true')
  })
})

describe('a process that is stopped', () => {
  it('keeps its lease until it is over', async () => {
    using files = scratch()
    const engine = await open(files.path)
    await using holder = await startProcess(files.path)
    const ttlMs = 1_200
    const { at } = await holder.call<{ at: number }>('acquire', { lock: 'a', ttlMs, renew: false })
    holder.child.kill('SIGSTOP')
    const asked = place('a')
    await until(async () => (await engine.acquire({ ...asked, wait: false })).state === 'held', {
      what: 'the lock',
    })
    // The grant was made a little before the holder said so.
    expect(Number(process.hrtime.bigint()) - at).toBeGreaterThan((ttlMs - 300) * 1e6)
    holder.child.kill('SIGCONT')
  })
})

describe('a process that ends', () => {
  it('leaves neither bell nor timer when it is closed, and ends by itself', async () => {
    using files = scratch()
    await using one = await startProcess(files.path)
    await using other = await startProcess(files.path)
    await one.call('acquire', { lock: 'a' })
    const waiting = other.call('acquire', { lock: 'a' })
    const closed = expect(waiting).rejects.toMatchObject({ code: 'HOLDFAST_CLOSED' })
    await other.call('close')
    await closed
    await one.call('close')
    expect(await Promise.all([one.ended(), other.ended()])).toEqual([0, 0])
    expect(existsSync(`${files.path}-bells`)).toBe(false)
    expect(readdirSync(files.folder)).toEqual(['locks.db'])
  })

  it('does next to nothing while it waits', async () => {
    using files = scratch()
    const engine = await open(files.path)
    await engine.acquire({ ...place('a', { ttlMs: 600_000 }), wait: true })
    await using waiter = await startProcess(files.path)
    waiter.call('acquire', { lock: 'a' }).catch(() => undefined)
    await until(async () => (await engine.inspect('a'))?.waiting === 1, { what: 'the waiter' })
    await pause(500)
    const before = await waiter.call<NodeJS.CpuUsage>('cpu')
    await pause(2_000)
    const after = await waiter.call<NodeJS.CpuUsage>('cpu')
    const spentUs = after.user + after.system - before.user - before.system
    console.log(`a waiter spent ${spentUs} us of processor time in 2 s`)
    expect(spentUs).toBeLessThan(100_000)
  })
})

describe('while another process is in the file', () => {
  it('waits without blocking, and gets its turn', async () => {
    using files = scratch()
    const engine = await open(files.path)
    const connection = loadBinding()(files.path)
    connection.exec('BEGIN IMMEDIATE')
    let over = false
    const call = engine.acquire({ ...place('a'), wait: false }).finally(() => {
      over = true
    })
    let ticks = 0
    const endMs = performance.now() + 300
    while (performance.now() < endMs) {
      await pause(1)
      ticks += 1
    }
    expect(over).toBe(false)
    expect(ticks).toBeGreaterThan(30)
    connection.exec('COMMIT')
    expect((await call).state).toBe('held')
    connection.close()
  })

  it('gives up after commandTimeoutMs, and says that nothing was done', async () => {
    using files = scratch()
    const engine = await open(files.path, 50)
    const connection = loadBinding()(files.path)
    connection.exec('BEGIN IMMEDIATE')
    await expect(engine.acquire({ ...place('a'), wait: false })).rejects.toMatchObject({
      code: 'HOLDFAST_ENGINE_FAILED',
      outcome: 'none',
      transient: true,
      lock: 'a',
    })
    const [standing] = await engine.renew([place('a')])
    expect(standing?.state).toBe('unknown')
    connection.exec('COMMIT')
    connection.close()
    expect((await engine.acquire({ ...place('a'), wait: false })).state).toBe('held')
  })
})
