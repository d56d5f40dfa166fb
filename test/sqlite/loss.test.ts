import { existsSync, renameSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { connect, type Holdfast } from 'holdfast'
import { describe, expect, it } from 'vitest'
import { loadBinding } from '../../src/engines/sqlite/binding.ts'
import { until } from '../support/until.ts'
import { scratch, startProcess } from './support.ts'

const TTL_MS = 120_000

/** What may happen to the files of running processes, and what the lease is told of it. */
const blows: readonly (readonly [string, (path: string, folder: string) => void, RegExp])[] = [
  ['deleted', (path) => rmSync(path), /was deleted or moved away while in use/],
  [
    'deleted with its companions',
    (path) => removeAll(path),
    /was deleted or moved away while in use/,
  ],
  ['deleted with its folder', (_, folder) => rmSync(folder, { recursive: true }), /was deleted/],
  [
    'moved away',
    (path) => renameSync(path, `${path}.old`),
    /was deleted or moved away while in use/,
  ],
  ['moved away with its folder', (_, folder) => renameSync(folder, `${folder}.old`), /was deleted/],
  ['replaced by another', (path) => replace(path), /was replaced while in use/],
  ['emptied', (path) => truncateSync(path), /was (cut short|deleted or moved away) while in use/],
  ['robbed of its -wal', (path) => rmSync(`${path}-wal`), /lost its companion ".*-wal"/],
  ['robbed of its -shm', (path) => rmSync(`${path}-shm`), /lost its companion ".*-shm"/],
  [
    'robbed of both companions',
    (path) => {
      rmSync(`${path}-wal`)
      rmSync(`${path}-shm`)
    },
    /lost its companion/,
  ],
]

function removeAll(path: string): void {
  for (const ending of ['', '-wal', '-shm']) rmSync(path + ending, { force: true })
}

/** As `mv` does it, with a file that another program has prepared. */
function replace(path: string): void {
  const other = `${path}.other`
  const connection = loadBinding()(other)
  connection.exec('PRAGMA journal_mode = WAL')
  connection.close()
  renameSync(other, path)
}

describe.each(blows)('a file that is %s', (_, strike, told) => {
  it('loses its leases at once, renewed or not, and goes on with larger fences', async () => {
    using files = scratch()
    const folder = join(files.folder, 'own')
    const path = join(folder, 'locks.db')
    const url = `sqlite:${path}`
    await using holdfast = await connect(url)
    await using other = await startProcess(path)
    await using queue = await startProcess(path)
    const still = await holdfast.mutex('still').acquire({ ttlMs: TTL_MS, renew: false })
    const kept = await holdfast.mutex('kept').acquire({ ttlMs: TTL_MS })
    const args = { lock: 'other', ttlMs: TTL_MS }
    const { fence } = await other.call<{ fence: number }>('acquire', { ...args, renew: false })
    const next = queue.call<{ fence: number; at: number }>('acquire', args)
    await until(async () => (await holdfast.inspect('other'))?.waiting === 1, {
      what: 'the waiter',
    })

    strike(path, folder)
    const { at, message, reason } = await other.call<{
      at: number
      message: string
      reason: string
    }>('lost', { lock: 'other' })
    await until(() => !still.held && !kept.held, { what: 'both leases to be told' })
    for (const text of [message, String(still.signal.reason), String(kept.signal.reason)]) {
      expect(text).toMatch(told)
      expect(text).toContain('locks.db')
    }
    expect(reason).toBe('refused')

    // Whoever waited goes on with what is there now, not before the holder was told.
    const after = await next
    expect(after.fence).toBeGreaterThan(fence)
    expect(after.at).toBeGreaterThan(at)
    const again = await holdfast.mutex('still').acquire({ ttlMs: 1000, timeoutMs: 30_000 })
    expect(again.fence).toBeGreaterThan(still.fence)
    expect(await holdfast.mutex('other').tryAcquire()).toBeNull()
    await using late = await connect(url)
    expect(await late.mutex('still').tryAcquire()).toBeNull()
    await again.release()
    await late.close()
    rmSync(`${folder}.old`, { recursive: true, force: true })
    const connection = loadBinding()(path)
    expect(Object.values(connection.prepare('PRAGMA integrity_check').get() ?? {})).toEqual(['ok'])
    connection.close()
  })
})

describe('a file that is new in the place of a deleted one', () => {
  it('grants nothing before those who held something in the other were told', async () => {
    using files = scratch()
    await using holder = await startProcess(files.path)
    await holder.call('acquire', { lock: 'a', ttlMs: TTL_MS, renew: false })
    removeAll(files.path)
    const told = holder.call<{ at: number }>('lost', { lock: 'a' })
    await using newcomer = await startProcess(files.path)
    const { at } = await newcomer.call<{ at: number }>('acquire', { lock: 'a' })
    expect((await told).at).toBeLessThan(at)
  })

  it('does not wait for ever for one who is stopped', async () => {
    using files = scratch()
    await using holder = await startProcess(files.path)
    const { fence } = await holder.call<{ fence: number }>('acquire', { lock: 'a', ttlMs: TTL_MS })
    holder.child.kill('SIGSTOP')
    removeAll(files.path)
    await using newcomer = await startProcess(files.path)
    const after = await newcomer.call<{ fence: number }>('acquire', { lock: 'a' })
    expect(after.fence).toBeGreaterThan(fence)
    const told = holder.call<{ message: string }>('lost', { lock: 'a' })
    holder.child.kill('SIGCONT')
    expect((await told).message).toMatch(/was (deleted or moved away|replaced)/)
    expect(existsSync(`${files.path}-wal`)).toBe(true)
    expect(await newcomer.call('release', { lock: 'a' })).toBe(true)
  })
})

/** A file of some size, all of it in the database itself. */
async function fill(holdfast: Holdfast, path: string): Promise<void> {
  for (let lock = 0; lock < 200; lock++) {
    await (await holdfast.mutex(`lock ${lock} ${'x'.repeat(200)}`).acquire()).release()
  }
  execute(path, 'PRAGMA wal_checkpoint(TRUNCATE)')
  await settle(holdfast)
}

/** Works until the processes have seen how large the file is now. */
async function settle(holdfast: Holdfast): Promise<void> {
  const endMs = performance.now() + 50
  while (performance.now() < endMs) await (await holdfast.mutex('settle').acquire()).release()
}

/** As an operator does it, with another program. */
function execute(path: string, sql: string): void {
  const connection = loadBinding()(path)
  connection.exec(sql)
  connection.close()
}

describe('a file that becomes smaller', () => {
  it('tells its leases when a part of it is gone, and later calls that it is damaged', async () => {
    using files = scratch()
    await using holdfast = await connect(`sqlite:${files.path}`, { requestTimeoutMs: 300 })
    await fill(holdfast, files.path)
    const lease = await holdfast.mutex('a').acquire({ ttlMs: TTL_MS, renew: false })
    truncateSync(files.path, statSync(files.path).size / 2)
    await until(() => !lease.held, { what: 'the lease to be told' })
    expect(String(lease.signal.reason)).toMatch(/was cut short while in use/)
    await expect(holdfast.mutex('b').acquire()).rejects.toThrow(/damaged; stop every process/)
  })

  it('keeps its leases when somebody has only tidied it up', async () => {
    using files = scratch()
    await using holdfast = await connect(`sqlite:${files.path}`)
    await fill(holdfast, files.path)
    const lease = await holdfast.mutex('a').acquire({ ttlMs: TTL_MS, renew: false })
    const { size } = statSync(files.path)
    execute(files.path, "DELETE FROM lock WHERE name LIKE 'lock %'; VACUUM")
    execute(files.path, 'PRAGMA wal_checkpoint(TRUNCATE)')
    expect(statSync(files.path).size).toBeLessThan(size)
    await settle(holdfast)
    expect(lease.held).toBe(true)
    expect(await lease.release()).toBe(true)
  })
})
