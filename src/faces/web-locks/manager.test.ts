import { describe, expect, it } from 'vitest'
import { rig, watch } from '../../../test/support/rig.ts'
import type { Holdfast } from '../../core/holdfast.ts'
import { webLocks } from './index.ts'

const never = () => new Promise<never>(() => undefined)

describe('webLocks', () => {
  it('needs a Holdfast and right options', () => {
    const { holdfast } = rig().process()
    expect(() => webLocks({} as Holdfast)).toThrow('holdfast must be a Holdfast')
    expect(() => webLocks(holdfast, { prefix: '' })).toThrow('prefix must not be empty')
    expect(() => webLocks(holdfast, { clientId: '' })).toThrow('clientId must not be empty')
    expect(() => webLocks(holdfast, { ttlMs: 0 })).toThrow('ttlMs must be')
    expect(() => webLocks(holdfast, { clientId: 'x'.repeat(201) })).toThrow('label must be')
    expect(() => webLocks(holdfast, null as never)).toThrow('options must be')
  })

  it('is refused where the engine has no read-write locks', () => {
    const { engine, holdfast } = rig().process()
    Object.assign(engine, { guarantees: { ...engine.guarantees, kinds: ['mutex'] } })
    expect(() => webLocks(holdfast)).toThrow(expect.objectContaining({ name: 'UnsupportedError' }))
  })
})

describe('a lost lease', () => {
  it('rejects the request like a steal, with the loss as the cause', async () => {
    const { clock, process } = rig()
    const { holdfast } = process({ plan: [{ fromMs: 5, loseRequest: 1 }], ttlMs: 1000 })
    const signals: AbortSignal[] = []
    const request = watch(
      webLocks(holdfast).request('a', (lock) => {
        if (lock !== null) signals.push(lock.signal)
        return never()
      }),
    )
    await clock.advance(900)
    expect(request.settled).toBe(false)
    await clock.advance(100)
    expect(request.error).toMatchObject({
      name: 'AbortError',
      cause: { code: 'HOLDFAST_LEASE_LOST', reason: 'expired' },
    })
    expect(signals[0]?.aborted).toBe(true)
  })

  it('rejects the request also when the callback ended well, or failed', async () => {
    const { clock, process } = rig()
    const { holdfast } = process()
    const thrower = () => {
      throw new Error('mine')
    }
    for (const end of [() => 'ended', thrower]) {
      const other = process().holdfast
      const request = watch(
        webLocks(holdfast).request('a', async () => {
          await other.forceRelease('web:a')
          return end()
        }),
      )
      await clock.advance(10)
      expect(request.error).toMatchObject({ name: 'AbortError', cause: { reason: 'refused' } })
    }
  })
})

describe('a request', () => {
  it('rejects with the error of an engine that does not answer', async () => {
    const { clock, process } = rig()
    const { holdfast } = process({ plan: [{ refuse: 1 }] })
    const request = watch(webLocks(holdfast).request('a', never))
    await clock.advance(10_000)
    expect(request.error).toMatchObject({ code: 'HOLDFAST_ENGINE_FAILED' })
  })

  it('gives the lock back when its signal aborts between grant and callback', async () => {
    const { clock, process, store } = rig()
    const { holdfast } = process()
    const controller = new AbortController()
    holdfast.on('granted', () => queueMicrotask(() => controller.abort(new Error('mine'))))
    let called = false
    const request = watch(
      webLocks(holdfast).request('a', { signal: controller.signal }, () => {
        called = true
      }),
    )
    await clock.advance(10)
    expect(request.error).toMatchObject({ message: 'mine' })
    expect(called).toBe(false)
    expect(store.size.locks).toBe(0)
  })

  it('finds a lock available once the engine knows what was given up before', async () => {
    const { clock, process } = rig()
    const other = process().holdfast
    await other.readWriteLock('web:a').read.acquire()
    // The place of the one that gives up is slow to leave.
    const { holdfast } = process({ plan: [{ operations: ['release'], delayMs: 1000 }] })
    const locks = webLocks(holdfast)
    const controller = new AbortController()
    const given = watch(locks.request('a', { signal: controller.signal }, never))
    await clock.advance(10)
    controller.abort()
    const options = { mode: 'shared', ifAvailable: true } as const
    const request = watch(locks.request('a', options, (lock) => lock?.mode ?? 'taken'))
    await clock.advance(3000)
    expect(given.error).toMatchObject({ name: 'AbortError' })
    expect(request.value).toBe('shared')
  })

  it('aborts before its turn has come, and keeps the order of those behind', async () => {
    const { clock, process } = rig()
    // Answers take their time, so that the first request still travels.
    const { holdfast } = process({ plan: [{ delayMs: 100 }] })
    const locks = webLocks(holdfast)
    const controller = new AbortController()
    const order: string[] = []
    const first = watch(locks.request('a', () => order.push('first')))
    const second = watch(locks.request('a', { signal: controller.signal }, never))
    const third = watch(locks.request('a', () => order.push('third')))
    controller.abort()
    await clock.advance(0)
    expect(second.error).toMatchObject({ name: 'AbortError' })
    expect(first.settled).toBe(false)
    await clock.advance(5000)
    expect(order).toEqual(['first', 'third'])
    expect(third.settled).toBe(true)
  })
})

describe('query', () => {
  it('leaves out what is no Web Lock, and what is held by nobody', async () => {
    const { process } = rig()
    const { holdfast } = process()
    await holdfast.mutex('web:m').acquire()
    const { read } = holdfast.readWriteLock('web:a')
    await (await read.acquire({ minHoldMs: 5000 })).release()
    expect(await webLocks(holdfast).query()).toEqual({ held: [], pending: [] })
  })
})
