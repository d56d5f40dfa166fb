import type { LockManager } from 'holdfast/web-locks'
import { beforeEach, describe, expect, it } from 'vitest'
import { gate, keep, type Page, rejection } from '../world.ts'

export function callbackClauses(page: () => Page): void {
  describe('the callback', () => {
    let locks: LockManager

    beforeEach(async () => {
      locks = await page().manager()
    })

    it('gets a lock with name and mode, and nothing as this', async () => {
      await locks.request('a', { mode: 'shared' }, function (this: unknown, lock) {
        expect(this).toBeUndefined()
        expect(lock?.name).toBe('a')
        expect(lock?.mode).toBe('shared')
        expect(Object.prototype.toString.call(lock)).toBe('[object Lock]')
        expect(() => Object.assign(lock as object, { name: 'b' })).toThrow(TypeError)
      })
      expect(Object.prototype.toString.call(locks)).toBe('[object LockManager]')
    })

    it('is not called before request returns', async () => {
      let called = false
      const promise = locks.request('a', () => {
        called = true
      })
      expect(called).toBe(false)
      await promise
      expect(called).toBe(true)
    })

    it('gives its result, or that of its promise, to the request', async () => {
      expect(await locks.request('a', () => 1)).toBe(1)
      expect(await locks.request('a', async () => 2)).toBe(2)
      // oxlint-disable-next-line unicorn/no-thenable -- what a callback may return
      const thenable = { then: (resolve: (value: number) => void) => resolve(3) }
      expect(await locks.request('a', () => thenable)).toBe(3)
      expect(await locks.request('a', () => undefined)).toBeUndefined()
    })

    it('gives its error to the request, thrown or rejected', async () => {
      const error = new Error('mine')
      const thrower = () => {
        throw error
      }
      expect(await rejection(locks.request('a', thrower))).toBe(error)
      expect(await rejection(locks.request('a', async () => thrower()))).toBe(error)
      // The lock was released both times.
      expect(await locks.request('a', { ifAvailable: true }, (lock) => lock?.name)).toBe('a')
    })

    it('holds the lock until its promise settles, and no longer than the request lasts', async () => {
      const other = await page().manager()
      const done = gate()
      const seen: (string | null)[] = []
      const look = async () =>
        seen.push(await other.request('a', { ifAvailable: true }, (lock) => (lock ? 'free' : null)))
      const request = locks.request('a', async () => {
        await look()
        await done.opened
        await look()
      })
      done.open()
      await request
      await look()
      expect(seen).toEqual([null, null, 'free'])
    })

    it('may request other locks inside', async () => {
      const result = await locks.request('a', () => locks.request('b', () => 'inner'))
      expect(result).toBe('inner')
    })

    it('gets null for ifAvailable when the lock is taken, and its outcome counts', async () => {
      const held = await keep(locks, 'a')
      const options = { ifAvailable: true }
      expect(await locks.request('a', options, (lock) => [lock])).toEqual([null])
      expect(await locks.request('a', options, async () => 'async')).toBe('async')
      const error = new Error('mine')
      const thrower = () => {
        throw error
      }
      expect(await rejection(locks.request('a', options, thrower))).toBe(error)
      await held.release()
      expect(await locks.request('a', options, (lock) => lock?.mode)).toBe('exclusive')
    })

    it('gets a fence that grows with each grant', async () => {
      const other = await page().manager()
      const first = await locks.request('a', (lock) => lock?.fence ?? 0)
      const second = await other.request('a', { mode: 'shared' }, (lock) => lock?.fence ?? 0)
      expect(second).toBeGreaterThan(first)
    })
  })
}
