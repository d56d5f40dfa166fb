import { chmodSync, chownSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { scratch, startProcess, type User } from './support.ts'

const GROUP = 57_777
const ada: User = { uid: 57_001, groups: [GROUP] }
const bob: User = { uid: 57_002, groups: [GROUP] }

const isRoot = process.getuid?.() === 0
if (!isRoot) console.log('NOT TESTED: only root can be several users')

const rightsOf = (path: string) => {
  const { mode, uid, gid } = statSync(path)
  return `${(mode & 0o777).toString(8)} ${uid}:${gid}`
}

/** Lets Ada make a file of locks. */
async function make(path: string): Promise<void> {
  await using owner = await startProcess(path, ada)
  await owner.call('close')
  await owner.ended()
}

/** A lock that `first` gives back goes to `second`, who waits for it. */
async function handOver(path: string, first: User | undefined, second: User | undefined) {
  await using holder = await startProcess(path, first)
  await using waiter = await startProcess(path, second)
  const { fence } = await holder.call<{ fence: number }>('acquire', { lock: 'a', ttlMs: 60_000 })
  const waiting = waiter.call<{ fence: number }>('acquire', { lock: 'a', timeoutMs: 20_000 })
  await holder.call('acquire', { lock: 'other' })
  expect(await holder.call('release', { lock: 'a' })).toBe(true)
  expect((await waiting).fence).toBeGreaterThan(fence)
  return ['-bells', '-wal', '-shm'].map((ending) => rightsOf(path + ending))
}

describe.runIf(isRoot)('a file that several users may use', () => {
  it('serves its owner also when root was the first in it', async () => {
    using files = scratch()
    chownSync(files.folder, ada.uid, ada.uid)
    await make(files.path)
    const own = `${ada.uid}:${ada.uid}`
    const rights = [`700 ${own}`, `600 ${own}`, `600 ${own}`]
    expect(await handOver(files.path, undefined, ada)).toEqual(rights)
    expect(await handOver(files.path, ada, undefined)).toEqual(rights)
  })

  it.each(['770', '2770'])('serves its group, in a folder with the rights %s', async (mode) => {
    using files = scratch()
    chownSync(files.folder, ada.uid, GROUP)
    chmodSync(files.folder, Number.parseInt(mode, 8))
    await make(files.path)
    chownSync(files.path, ada.uid, GROUP)
    chmodSync(files.path, 0o660)
    const own = `${ada.uid}:${GROUP}`
    const rights = [`770 ${own}`, `660 ${own}`, `660 ${own}`]
    expect(await handOver(files.path, ada, bob)).toEqual(rights)
    expect(await handOver(files.path, bob, ada)).toEqual(rights)
  })

  it('gives nothing to a group that its user is no member of', async () => {
    using files = scratch()
    chownSync(files.folder, ada.uid, ada.uid)
    await make(files.path)
    chownSync(files.path, ada.uid, GROUP)
    chmodSync(files.path, 0o660)
    await using again = await startProcess(files.path, { ...ada, groups: [] })
    await again.call('acquire', { lock: 'a' })
    expect(rightsOf(`${files.path}-bells`)).toBe(`700 ${ada.uid}:${ada.uid}`)
  })

  it('passes no waiter over whose bell may not be rung', async () => {
    using files = scratch()
    chownSync(files.folder, ada.uid, GROUP)
    chmodSync(files.folder, 0o770)
    const bells = `${files.path}-bells`
    await using holder = await startProcess(files.path, ada)
    const others = readdirSync(bells)
    await using waiter = await startProcess(files.path)
    const [bell = ''] = readdirSync(bells).filter((name) => !others.includes(name))
    await using rival = await startProcess(files.path, ada)
    await holder.call('acquire', { lock: 'a', ttlMs: 60_000 })
    const waiting = waiter.call('acquire', { lock: 'a', timeoutMs: 20_000 })
    await waiter.call('acquire', { lock: 'other' })
    // What is left when the rights of the file are changed while processes use it.
    chownSync(join(bells, bell), 0, 0)
    const behind = rival.call('acquire', { lock: 'a', timeoutMs: 20_000 })
    await rival.call('acquire', { lock: 'yet another' })
    await holder.call('release', { lock: 'a' })
    expect(await Promise.race([waiting.then(() => 'first'), behind.then(() => 'second')])).toBe(
      'first',
    )
  })
})
