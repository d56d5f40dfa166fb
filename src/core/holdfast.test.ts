import { createHoldfast, HoldfastError } from 'holdfast'
import { describe, expect, it } from 'vitest'
import { rig, watch } from '../../test/support/rig.ts'

describe('a look at a lock', () => {
  it('tells who holds it and who waits, in their own words', async () => {
    const { clock, process } = rig()
    const holder = process({ label: 'nightly' }).holdfast
    const waiter = process().holdfast
    expect(await holder.inspect('m')).toBeNull()
    const lease = await holder.mutex('m').acquire()
    watch(waiter.mutex('m').acquire())
    await clock.advance(10)
    const report = await waiter.inspect('m')
    expect(report).toMatchObject({ name: 'm', kind: 'mutex', capacity: 1, waiting: 1 })
    expect(report?.holders).toMatchObject([
      { identity: lease.identity, fence: lease.fence, about: { label: 'nightly' } },
    ])
    expect(report?.waiters[0]?.about).not.toHaveProperty('label')
    expect(report?.waiters[0]?.about.pid).toBeGreaterThan(0)
  })

  it('takes text that it cannot read for a stranger', async () => {
    const { process } = rig()
    const { engine } = process()
    const texts = ['', 'null', '7', '{"host":1,"pid":"x","label":2}', '{', '{"host":"h"}']
    const holders = texts.map((about) => ({ identity: 'x', ours: true, about }))
    const told = { name: 'm', holders, waiters: [] }
    Object.assign(engine, { inspect: async () => told })
    const own = createHoldfast({ engine })
    const report = await own.inspect('m')
    expect(report?.holders.map(({ about }) => about)).toEqual([{}, {}, {}, {}, {}, { host: 'h' }])
  })
})

describe('a list', () => {
  it('comes in pages of names with a beginning', async () => {
    const { process } = rig()
    const { holdfast } = process()
    for (const name of ['a1', 'a2', 'a3', 'b1']) await holdfast.mutex(name).acquire()
    const first = await holdfast.list({ prefix: 'a', limit: 2 })
    expect(first.names.length).toBe(2)
    const { cursor } = first
    if (cursor === undefined) throw new Error('expected another page')
    const rest = await holdfast.list({ prefix: 'a', limit: 2, cursor })
    expect([...first.names, ...rest.names].toSorted()).toEqual(['a1', 'a2', 'a3'])
    expect((await holdfast.list()).names.length).toBe(4)
  })

  it.each([
    [{ limit: 0 }, RangeError],
    [{ limit: 10_001 }, RangeError],
    [{ prefix: 7 }, TypeError],
    [{ cursor: 7 }, TypeError],
    [null, TypeError],
  ])('refuses %j', async (options, kind) => {
    await expect(
      rig()
        .process()
        .holdfast.list(options as never),
    ).rejects.toThrow(kind)
  })
})

describe('on', () => {
  it('knows its events', () => {
    const { holdfast } = rig().process()
    expect(() => holdfast.on('gone' as never, () => {})).toThrow(
      'event must be one of waiting, granted',
    )
    expect(() => holdfast.on(Symbol('x') as never, () => {})).toThrow(RangeError)
    expect(() => holdfast.on('lost', 'listener' as never)).toThrow('listener must be a function')
  })
})

describe('close', () => {
  it('gives back what is held, tells the work, and settles who waits', async () => {
    const { clock, process, store } = rig()
    const { holdfast } = process()
    const mutex = holdfast.mutex('m')
    const lease = await mutex.acquire()
    const { signal } = lease
    const waiter = watch(mutex.acquire())
    await clock.advance(1)
    const running = watch(
      holdfast.mutex('n').run(
        () =>
          new Promise((resolve) => {
            setImmediate(() => resolve('done'))
          }),
      ),
    )
    await Promise.resolve()
    const closing = holdfast.close()
    expect(holdfast.close()).toBe(closing)
    await clock.advance(10)
    await closing
    await holdfast[Symbol.asyncDispose]()
    expect(signal.reason).toMatchObject({ code: 'HOLDFAST_CLOSED', lock: 'm' })
    expect(lease.held).toBe(false)
    expect(waiter.error).toMatchObject({ code: 'HOLDFAST_CLOSED', lock: 'm' })
    expect(store.size.locks).toBe(0)
    expect(clock.timers).toBe(0)
    await expect(mutex.acquire()).rejects.toThrow('The Holdfast of lock "m" was closed')
    await expect(holdfast.list()).rejects.toThrow('This Holdfast was closed')
    await expect(holdfast.inspect('m')).rejects.toBeInstanceOf(HoldfastError)
    await clock.advance(10)
    expect(running.error).toMatchObject({ code: 'HOLDFAST_CLOSED' })
  })

  it('takes no longer than requestTimeoutMs, and never rejects', async () => {
    const { clock, process } = rig()
    const broken = process({
      requestTimeoutMs: 500,
      plan: [{ fromMs: 1, loseRequest: 1, patienceMs: 60_000 }],
    })
    const { holdfast, told } = broken
    Object.assign(broken.engine, {
      close: async () => {
        throw new Error('cannot close')
      },
    })
    await holdfast.mutex('m').acquire()
    await clock.advance(1)
    const closed = watch(holdfast.close())
    await clock.advance(499)
    expect(closed.settled).toBe(false)
    await clock.advance(1)
    expect(closed.settled).toBe(true)
    expect(closed.error).toBeUndefined()
    expect(told.at(-1)).toBe('error: cannot close')
  })

  it('waits for what was given back in the background', async () => {
    const { clock, process, store } = rig(2)
    const { holdfast } = process({ plan: [{ untilMs: 5, delayMs: 50 }] })
    const controller = new AbortController()
    const waiter = watch(holdfast.mutex('m').acquire({ signal: controller.signal }))
    await clock.advance(1)
    controller.abort()
    const closed = watch(holdfast.close())
    await clock.advance(1000)
    expect(closed.settled).toBe(true)
    expect(waiter.error).toMatchObject({ name: 'AbortError' })
    expect(store.size.locks).toBe(0)
  })
})

describe('a close right after', () => {
  it.each(['abort', 'timeout'] as const)('an %s gives back what was asked for', async (cause) => {
    for (let closeMs = 1; closeMs < 200; closeMs += 10) {
      const { clock, process, store } = rig(closeMs)
      const { holdfast } = process({ plan: [{ operations: ['acquire'], delayMs: 100 }] })
      const controller = new AbortController()
      const options = cause === 'abort' ? { signal: controller.signal } : { timeoutMs: closeMs }
      const call = watch(holdfast.mutex('m').acquire({ ttlMs: 60_000, ...options }))
      await clock.advance(closeMs)
      controller.abort()
      const closed = watch(holdfast.close())
      await clock.advance(1000)
      expect(call.settled).toBe(true)
      expect(closed.settled).toBe(true)
      expect(store.size.locks).toBe(0)
    }
  })

  it('a call without an answer settles the call', async () => {
    const { clock, process } = rig()
    const { holdfast } = process({ plan: [{ loseRequest: 1, patienceMs: 100 }] })
    const state = watch(holdfast.inspect('m'))
    await clock.advance(50)
    const closed = watch(holdfast.close())
    await clock.advance(10)
    expect(closed.settled).toBe(true)
    await clock.advance(100)
    expect(state.error).toMatchObject({ code: 'HOLDFAST_CLOSED' })
  })
})
