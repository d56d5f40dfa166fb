import type { LockManager } from 'holdfast/web-locks'
import { webLocks } from 'holdfast/web-locks'
import { beforeEach, describe, expect, it } from 'vitest'
import { gate, keep, never, type Page, pending, rejection } from '../world.ts'

export function queryClauses(page: () => Page): void {
  describe('query', () => {
    let locks: LockManager
    let other: LockManager

    beforeEach(async () => {
      locks = await page().manager({ clientId: 'one' })
      other = await page().manager({ clientId: 'two' })
    })

    it('tells nothing of nothing', async () => {
      expect(await locks.query()).toEqual({ held: [], pending: [] })
    })

    it('tells who holds and who waits, with mode and client, in their order', async () => {
      const one = await keep(locks, 'a')
      const two = await keep(other, 'b', { mode: 'shared' })
      const three = await keep(locks, 'b', { mode: 'shared' })
      const waits = [other.request('a', () => 1)]
      await pending(locks, 'a', 1)
      waits.push(locks.request('a', { mode: 'shared' }, () => 2))
      const state = await locks.query()
      expect(state).toEqual({
        held: [
          { name: 'a', mode: 'exclusive', clientId: 'one' },
          { name: 'b', mode: 'shared', clientId: 'two' },
          { name: 'b', mode: 'shared', clientId: 'one' },
        ],
        pending: [
          { name: 'a', mode: 'exclusive', clientId: 'two' },
          { name: 'a', mode: 'shared', clientId: 'one' },
        ],
      })
      // Plain data, and a copy.
      state.held.pop()
      expect(await other.query()).toEqual(structuredClone(await other.query()))
      await Promise.all([one.release(), two.release(), three.release(), ...waits])
      expect(await other.query()).toEqual({ held: [], pending: [] })
    })

    it('finds what was requested before in the same task, not awaited', async () => {
      const done = gate()
      const requests = [locks.request('a', () => done.opened), locks.request('a', () => undefined)]
      const state = await locks.query()
      expect([state.held.length, state.pending.length]).toEqual([1, 1])
      done.open()
      await Promise.all(requests)
    })

    it('knows managers by different clients, even of one Holdfast', async () => {
      const [holdfast] = page().holdfasts
      if (holdfast === undefined) throw new Error('no Holdfast')
      const twin = webLocks(holdfast, { prefix: page().prefix })
      expect(twin.clientId).toMatch(/^[0-9a-f]{32}$/)
      expect(twin.clientId).not.toBe(webLocks(holdfast).clientId)
      const held = await keep(twin, 'a')
      expect((await locks.query()).held[0]?.clientId).toBe(twin.clientId)
      await held.release()
    })

    it('tells of its own prefix only, and excludes within it only', async () => {
      const [holdfast] = page().holdfasts
      if (holdfast === undefined) throw new Error('no Holdfast')
      const elsewhere = webLocks(holdfast, { prefix: `else ${page().prefix}` })
      const held = await keep(elsewhere, 'a')
      expect(await locks.query()).toEqual({ held: [], pending: [] })
      expect(await locks.request('a', { ifAvailable: true }, (lock) => lock?.name)).toBe('a')
      await held.release()
    })

    it('tells of read-write locks of the same name, which exclude its own', async () => {
      const [holdfast] = page().holdfasts
      if (holdfast === undefined) throw new Error('no Holdfast')
      await holdfast.readWriteLock(`${page().prefix}a`).write.run(async ({ identity }) => {
        expect((await locks.query()).held).toEqual([
          { name: 'a', mode: 'exclusive', clientId: identity },
        ])
        expect(await other.request('a', { ifAvailable: true }, (lock) => lock)).toBeNull()
      })
    })
  })

  describe('a closed Holdfast', () => {
    it('rejects new calls with InvalidStateError', async () => {
      const locks = await page().manager()
      await page().close()
      expect((await rejection(locks.request('a', never))).name).toBe('InvalidStateError')
      expect((await rejection(locks.query())).name).toBe('InvalidStateError')
    })

    it('rejects what it holds and what waits with AbortError', async () => {
      const locks = await page().manager()
      const held = await keep(locks, 'a')
      const waiting = rejection(locks.request('a', never))
      await pending(locks, 'a', 1)
      await page().close()
      expect((await waiting).name).toBe('AbortError')
      expect((await rejection(held.request)).name).toBe('AbortError')
    })
  })
}
