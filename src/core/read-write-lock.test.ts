import { describe, expect, it } from 'vitest'
import { rig, watch } from '../../test/support/rig.ts'

describe('a read-write lock', () => {
  it('lets readers in together, and a writer in alone', async () => {
    const { clock, process, store } = rig()
    const lock = process().holdfast.readWriteLock('config')
    const readers = [await lock.read.acquire(), await lock.read.acquire()]
    expect(await lock.write.tryAcquire()).toBeNull()
    const writer = watch(lock.write.acquire())
    await clock.advance(1)
    for (const reader of readers) await reader.release()
    await clock.advance(1)
    expect(writer.value?.kind).toBe('read-write')
    expect(await lock.read.tryAcquire()).toBeNull()
    await writer.value?.release()
    expect(await lock.read.run(({ permits }) => permits)).toBe(1)
    expect(store.size.locks).toBe(0)
    expect(lock.name).toBe('config')
  })

  // Neither readers nor writers starve.
  it('keeps later readers behind a writer that waits, and lets them in together after it', async () => {
    const { clock, process } = rig()
    const lock = process().holdfast.readWriteLock('config')
    const reader = await lock.read.acquire()
    const order: string[] = []
    const enter = async (title: string, which: 'read' | 'write') => {
      void lock[which].run(async () => {
        order.push(title)
        await clock.advance(0)
      })
      await clock.advance(1)
    }
    await enter('writer', 'write')
    await enter('late reader', 'read')
    await enter('later reader', 'read')
    expect(await lock.read.tryAcquire()).toBeNull()
    expect(order).toEqual([])
    await reader.release()
    await clock.advance(10)
    expect(order).toEqual(['writer', 'late reader', 'later reader'])
  })

  // A reader that vanished is not kept alive by the renewals of others.
  it('loses a reader that vanished while other readers renew', async () => {
    const { clock, process } = rig()
    const [living, gone] = [process(), process({ plan: [{ fromMs: 1, loseRequest: 1 }] })]
    await gone.holdfast.readWriteLock('config').read.acquire({ ttlMs: 1000 })
    const reader = await living.holdfast.readWriteLock('config').read.acquire({ ttlMs: 1000 })
    await clock.advance(5000)
    expect((await living.holdfast.inspect('config'))?.holders.map((each) => each.identity)).toEqual(
      [reader.identity],
    )
    await reader.release()
    expect(await living.holdfast.readWriteLock('config').write.tryAcquire()).not.toBeNull()
  })

  it('serves a thousand readers and the writer after them', async () => {
    const { clock, process, store } = rig()
    const lock = process().holdfast.readWriteLock('config')
    const readers = await Promise.all(Array.from({ length: 1000 }, () => lock.read.acquire()))
    const writer = watch(lock.write.acquire())
    await clock.advance(1)
    await Promise.all(readers.map((reader) => reader.release()))
    await clock.advance(1)
    expect(await writer.value?.release()).toBe(true)
    expect(store.size.locks).toBe(0)
  })
})
