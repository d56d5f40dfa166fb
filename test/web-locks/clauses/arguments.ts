import type { LockManager } from 'holdfast/web-locks'
import { beforeEach, describe, expect, it } from 'vitest'
import { keep, never, type Page, rejection } from '../world.ts'

type Loose = (...args: unknown[]) => Promise<unknown>

export function argumentClauses(page: () => Page): void {
  describe('arguments', () => {
    let locks: LockManager
    let request: Loose

    beforeEach(async () => {
      locks = await page().manager()
      request = locks.request.bind(locks) as Loose
    })

    it('reject with TypeError when there are too few', async () => {
      expect(await rejection(request())).toBeInstanceOf(TypeError)
      expect(await rejection(request('a'))).toBeInstanceOf(TypeError)
      const { query, request: method } = Object.getPrototypeOf(locks) as Record<string, object>
      expect(method).toHaveLength(2)
      expect(query).toHaveLength(0)
    })

    it.each([undefined, null, 123, 'abc', [], {}, true])('refuse %j as callback', async (value) => {
      expect(await rejection(request('a', value))).toBeInstanceOf(TypeError)
      expect(await rejection(request('a', {}, value))).toBeInstanceOf(TypeError)
    })

    it('ignore what comes after the callback', async () => {
      expect(await request('a', {}, () => 'done', 'more')).toBe('done')
    })

    it('convert the name to a string', async () => {
      const names: unknown[] = []
      const note = (lock: { name: string } | null) => names.push(lock?.name)
      for (const name of [123, null, undefined, { toString: () => 'made' }]) {
        await request(name, note)
      }
      expect(names).toEqual(['123', 'null', 'undefined', 'made'])
      expect(await rejection(request(Symbol('a'), never))).toBeInstanceOf(TypeError)
    })

    it.each(['', 'abc\0def', '\uD800', '\uDC00', '\uDC00\uD800', '\uFFFF', '\uFDD0', '💧 {a}*?['])(
      'take %j as a name',
      async (name) => {
        await locks.request(name, async (lock) => {
          expect(lock?.name).toBe(name)
          expect((await locks.query()).held.map((each) => each.name)).toEqual([name])
        })
      },
    )

    it('keep names apart that UTF-8 would make one', async () => {
      const one = await keep(locks, '\uD800')
      const other = await keep(locks, '\uD801')
      const replacement = await keep(locks, '\uFFFD')
      await Promise.all([one.release(), other.release(), replacement.release()])
    })

    it.each(['-', '-foo', '-\0'])('refuse the name %j with NotSupportedError', async (name) => {
      expect((await rejection(locks.request(name, never))).name).toBe('NotSupportedError')
    })

    it('take a hyphen in another place', async () => {
      expect(await locks.request('a-', () => 'done')).toBe('done')
    })

    it('refuse a name that is too long with NotSupportedError', async () => {
      const most = 1024 - page().prefix.length
      expect(await locks.request('n'.repeat(most), () => 'done')).toBe('done')
      const error = await rejection(locks.request('n'.repeat(most + 1), never))
      expect(error.name).toBe('NotSupportedError')
    })

    it('take null and undefined as no options, and functions as an object', async () => {
      for (const options of [undefined, null, () => undefined]) {
        expect(await request('a', options, (lock: { mode: string }) => lock.mode)).toBe('exclusive')
      }
    })

    it.each([1, 'text', true, Symbol('s')])('refuse %s as options', async (options) => {
      expect(await rejection(request('a', options, never))).toBeInstanceOf(TypeError)
    })

    it.each([null, 'foo', 'Exclusive', 1, ''])('refuse the mode %j', async (mode) => {
      expect(await rejection(request('a', { mode }, never))).toBeInstanceOf(TypeError)
    })

    it('convert the mode to a string, and take undefined as the default', async () => {
      const mode = { toString: () => 'shared' }
      const modeOf = (lock: { mode: string }) => lock.mode
      expect(await request('a', { mode }, modeOf)).toBe('shared')
      expect(await request('a', { mode: undefined }, modeOf)).toBe('exclusive')
    })

    it.each([null, 'text', 12.34, false, {}, () => undefined])(
      'refuse %j as signal',
      async (signal) => {
        expect(await rejection(request('a', { signal }, never))).toBeInstanceOf(TypeError)
      },
    )

    it('convert ifAvailable and steal to booleans', async () => {
      const both = request('a', { ifAvailable: 1, steal: 'yes' }, never)
      expect((await rejection(both)).name).toBe('NotSupportedError')
      expect(await request('a', { ifAvailable: 0, steal: '' }, () => 'done')).toBe('done')
    })

    it('are converted from left to right, options in the order of their names', async () => {
      const order: string[] = []
      const noted = (key: string) => {
        order.push(key)
        return undefined
      }
      const name = { toString: () => String(order.push('name')) }
      const options = new Proxy({}, { get: (_, key) => noted(String(key)) })
      const promise = request(name, options, 'no function')
      // Before the call returns.
      expect(order).toEqual(['name', 'ifAvailable', 'mode', 'signal', 'steal'])
      expect(await rejection(promise)).toBeInstanceOf(TypeError)
    })

    it.each([
      { steal: true, ifAvailable: true },
      { steal: true, mode: 'shared' },
      { steal: true, signal: new AbortController().signal },
      { ifAvailable: true, signal: new AbortController().signal },
      { steal: true, signal: AbortSignal.abort() },
    ] as const)('refuse %o together with NotSupportedError', async (options) => {
      const error = await rejection(locks.request('a', options, never))
      expect(error.name).toBe('NotSupportedError')
      expect(error).toBeInstanceOf(DOMException)
    })

    it('are refused on another object', async () => {
      const made = Object.create(locks) as LockManager
      expect(await rejection(made.request('a', never))).toBeInstanceOf(TypeError)
      expect(await rejection(made.query())).toBeInstanceOf(TypeError)
    })
  })
}
