import type { LockManager } from 'holdfast/web-locks'
import { beforeEach, describe, expect, it } from 'vitest'
import { gate, keep, never, type Page, pending, rejection } from '../world.ts'

export function signalClauses(page: () => Page): void {
  describe('a signal', () => {
    let locks: LockManager
    let controller: AbortController

    beforeEach(async () => {
      locks = await page().manager()
      controller = new AbortController()
    })

    it('that is aborted already rejects with its reason, and requests nothing', async () => {
      const reason = new Error('mine')
      const request = locks.request('a', { signal: AbortSignal.abort(reason) }, never)
      expect(await rejection(request)).toBe(reason)
      const plain = locks.request('a', { signal: AbortSignal.abort() }, never)
      expect((await rejection(plain)).name).toBe('AbortError')
      expect(await locks.query()).toEqual({ held: [], pending: [] })
    })

    it('that aborts in the same task rejects, and the callback is not called', async () => {
      const request = locks.request('a', { signal: controller.signal }, never)
      controller.abort()
      expect((await rejection(request)).name).toBe('AbortError')
      expect(await locks.request('a', { ifAvailable: true }, (lock) => lock?.name)).toBe('a')
    })

    it('takes a waiting request out of the queue, with its reason', async () => {
      const held = await keep(locks, 'a')
      const reason = new Error('mine')
      const request = locks.request('a', { signal: controller.signal }, never)
      const rejected = rejection(request)
      await pending(locks, 'a', 1)
      controller.abort(reason)
      expect(await rejected).toBe(reason)
      expect((await locks.query()).pending).toEqual([])
      await held.release()
    })

    it('lets those behind go on', async () => {
      const other = await page().manager()
      const held = await keep(locks, 'a', { mode: 'shared' })
      const request = rejection(locks.request('a', { signal: controller.signal }, never))
      await pending(locks, 'a', 1)
      const inside = gate()
      const behind = other.request('a', { mode: 'shared' }, () => inside.open())
      await pending(other, 'a', 2)
      controller.abort()
      // Granted beside the shared lock that is still held.
      await Promise.all([request, inside.opened, behind])
      await held.release()
    })

    it('makes way for ifAvailable at once', async () => {
      const held = await keep(locks, 'a', { mode: 'shared' })
      const request = rejection(locks.request('a', { signal: controller.signal }, never))
      await pending(locks, 'a', 1)
      controller.abort()
      const options = { mode: 'shared', ifAvailable: true } as const
      expect(await locks.request('a', options, (lock) => lock?.mode)).toBe('shared')
      await request
      await held.release()
    })

    it('gives up several requests, and no others', async () => {
      const held = await keep(locks, 'a')
      const { signal } = controller
      const given = [1, 2, 3].map(() => rejection(locks.request('a', { signal }, never)))
      const stays = locks.request('a', { signal: new AbortController().signal }, () => 'granted')
      controller.abort()
      expect((await Promise.all(given)).map(({ name }) => name)).toEqual(
        Array.from({ length: 3 }, () => 'AbortError'),
      )
      await held.release()
      expect(await stays).toBe('granted')
    })

    it('is ignored once the lock is granted', async () => {
      const result = await locks.request('a', { signal: controller.signal }, async (lock) => {
        controller.abort()
        expect((await locks.query()).held).toHaveLength(1)
        return lock?.signal.aborted
      })
      expect(result).toBe(false)
    })

    it('is ignored after the release', async () => {
      const { signal } = controller
      expect(await locks.request('a', { signal }, () => 'done')).toBe('done')
      controller.abort()
      expect(await locks.request('a', () => 'again')).toBe('again')
    })
  })
}
