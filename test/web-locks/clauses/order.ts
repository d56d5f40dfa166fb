import type { LockManager } from 'holdfast/web-locks'
import { beforeEach, describe, expect, it } from 'vitest'
import { gate, keep, type Page, pending } from '../world.ts'

export function orderClauses(page: () => Page): void {
  describe('grants', () => {
    let locks: LockManager
    let other: LockManager

    beforeEach(async () => {
      locks = await page().manager()
      other = await page().manager()
    })

    it('go in the order of the requests, without waiting for each other in between', async () => {
      const order: number[] = []
      const numbers = Array.from({ length: 20 }, (_, index) => index)
      await Promise.all(
        numbers.map((number) => locks.request('a', async () => void order.push(number))),
      )
      expect(order).toEqual(numbers)
    })

    it('go in the order of the requests of all managers', async () => {
      const held = await keep(locks, 'a')
      const order: number[] = []
      const requests: Promise<unknown>[] = []
      for (const [index, manager] of [other, locks, other, other, locks].entries()) {
        requests.push(manager.request('a', () => order.push(index)))
        await pending(locks, 'a', index + 1)
      }
      await held.release()
      await Promise.all(requests)
      expect(order).toEqual([0, 1, 2, 3, 4])
    })

    it('exclude each other when exclusive, by name', async () => {
      let inside = 0
      let most = 0
      const work = async () => {
        most = Math.max(most, ++inside)
        await Promise.resolve()
        inside--
      }
      const managers = [locks, other, locks, other, locks, other]
      await Promise.all(managers.map((manager) => manager.request('a', work)))
      expect(most).toBe(1)
      const held = await keep(locks, 'a')
      expect(await other.request('b', () => 'free')).toBe('free')
      await held.release()
    })

    it('are shared among shared requests', async () => {
      const first = await keep(locks, 'a', { mode: 'shared' })
      const second = await keep(other, 'a', { mode: 'shared' })
      const third = await keep(other, 'a', { mode: 'shared' })
      await Promise.all([first.release(), second.release(), third.release()])
    })

    it('keep exclusive and shared apart', async () => {
      const shared = await keep(locks, 'a', { mode: 'shared' })
      const look = (mode: 'exclusive' | 'shared') =>
        other.request('a', { mode, ifAvailable: true }, (lock) => lock !== null)
      expect([await look('exclusive'), await look('shared')]).toEqual([false, true])
      await shared.release()
      const exclusive = await keep(locks, 'a')
      expect([await look('exclusive'), await look('shared')]).toEqual([false, false])
      await exclusive.release()
    })

    it('let no shared request overtake an exclusive one', async () => {
      const shared = await keep(locks, 'a', { mode: 'shared' })
      const order: string[] = []
      const requests = [
        other.request('a', () => order.push('exclusive')),
        other.request('a', { mode: 'shared' }, () => order.push('shared 1')),
        other.request('a', { mode: 'shared' }, () => order.push('shared 2')),
      ]
      await pending(locks, 'a', 3)
      // A request that is not the first in the queue is not available.
      const mine = { mode: 'shared', ifAvailable: true } as const
      expect(await locks.request('a', mine, (lock) => lock)).toBeNull()
      expect(await other.request('a', mine, (lock) => lock)).toBeNull()
      expect(order).toEqual([])
      await shared.release()
      await Promise.all(requests)
      expect(order[0]).toBe('exclusive')
      expect(order).toHaveLength(3)
    })

    it('let all shared requests in together, up to the next exclusive one', async () => {
      const first = await keep(locks, 'a')
      const inside = { one: gate(), two: gate() }
      const one = locks.request('a', { mode: 'shared' }, async () => {
        inside.one.open()
        await inside.two.opened
      })
      const two = other.request('a', { mode: 'shared' }, async () => {
        inside.two.open()
        await inside.one.opened
      })
      await first.release()
      // Each needs the other inside.
      await Promise.all([one, two])
    })

    it('find what was requested before in the same task, not awaited', async () => {
      const held = gate()
      const first = locks.request('a', () => held.opened)
      const second = locks.request('a', { ifAvailable: true }, (lock) => lock)
      const third = locks.request('a', { ifAvailable: true, mode: 'shared' }, (lock) => lock)
      expect(await Promise.all([second, third])).toEqual([null, null])
      held.open()
      await first
    })
  })
}
