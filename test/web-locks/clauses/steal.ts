import type { LockManager } from 'holdfast/web-locks'
import { beforeEach, describe, expect, it } from 'vitest'
import { gate, keep, type Page, pending, rejection } from '../world.ts'

export function stealClauses(page: () => Page): void {
  describe('steal', () => {
    let locks: LockManager
    let other: LockManager

    beforeEach(async () => {
      locks = await page().manager()
      other = await page().manager()
    })

    it('takes a free lock like any request', async () => {
      const result = await locks.request('a', { steal: true }, (lock) => [lock?.name, lock?.mode])
      expect(result).toEqual(['a', 'exclusive'])
    })

    it('rejects the holder with AbortError at once, while its callback still runs', async () => {
      const done = gate()
      let after = false
      const held = gate()
      const request = rejection(
        locks.request('a', async (lock) => {
          held.open()
          await done.opened
          after = lock?.signal.aborted === true
        }),
      )
      await held.opened
      expect(await locks.request('a', { steal: true }, () => 'stolen')).toBe('stolen')
      const error = await request
      expect(error.name).toBe('AbortError')
      expect(error).toBeInstanceOf(DOMException)
      expect(after).toBe(false)
      done.open()
      await expect.poll(() => after).toBe(true)
      expect(await locks.request('a', { ifAvailable: true }, (lock) => lock?.name)).toBe('a')
    })

    it('tells the holder in another process', async () => {
      const held = await keep(other, 'a')
      const stolen = await keep(locks, 'a', { steal: true })
      expect((await rejection(held.request)).name).toBe('AbortError')
      // The one that lost it has no part in the lock any more.
      expect((await locks.query()).held.map(({ clientId }) => clientId)).toEqual([locks.clientId])
      await stolen.release()
    })

    it('rejects the holder also when its callback ends before it could hear of it', async () => {
      const held = await keep(other, 'a')
      const stolen = await keep(locks, 'a', { steal: true })
      expect((await rejection(held.release())).name).toBe('AbortError')
      expect((await locks.query()).held).toHaveLength(1)
      await stolen.release()
    })

    it('takes the lock from all who share it', async () => {
      const one = await keep(locks, 'a', { mode: 'shared' })
      const two = await keep(other, 'a', { mode: 'shared' })
      const stolen = await keep(locks, 'a', { steal: true })
      const errors = await Promise.all([rejection(one.request), rejection(two.request)])
      expect(errors.map(({ name }) => name)).toEqual(['AbortError', 'AbortError'])
      await stolen.release()
    })

    it('goes before all who wait, and leaves them waiting', async () => {
      const held = await keep(other, 'a')
      const order: string[] = []
      const waits = [
        other.request('a', () => order.push('first')),
        locks.request('a', { mode: 'shared' }, () => order.push('second')),
      ]
      await pending(other, 'a', 2)
      const stolen = await keep(locks, 'a', { steal: true })
      order.push('stolen')
      expect((await locks.query()).pending).toHaveLength(2)
      await stolen.release()
      await Promise.all(waits)
      expect(order).toEqual(['stolen', 'first', 'second'])
      expect((await rejection(held.request)).name).toBe('AbortError')
    })

    it('takes the lock from one who stole it', async () => {
      const first = await keep(locks, 'a', { steal: true })
      const second = await keep(other, 'a', { steal: true })
      expect((await rejection(first.request)).name).toBe('AbortError')
      await second.release()
    })

    it('ends for all when many steal at once', async () => {
      const managers = [locks, other, locks, other]
      const outcomes = await Promise.allSettled(
        managers.map((manager) => manager.request('a', { steal: true }, () => 'done')),
      )
      const names = outcomes.map((each) =>
        each.status === 'fulfilled' ? each.value : (each.reason as Error).name,
      )
      expect(names.filter((name) => name !== 'AbortError' && name !== 'done')).toEqual([])
      expect(names).toContain('done')
      expect(await locks.query()).toEqual({ held: [], pending: [] })
    })
  })
}
