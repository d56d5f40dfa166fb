import { connect, createHoldfast, type Holdfast, type Lease, type LockReport } from 'holdfast'
import { memory } from 'holdfast/memory'
import { redis } from 'holdfast/redis'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { createClient } from 'redis'
import { createClient as createClient5 } from 'redis5'
import { describe, expectTypeOf, it } from 'vitest'

const holdfast = createHoldfast({ engine: memory() })
const mutex = holdfast.mutex('m')

describe('types', () => {
  it('infer what work returns, with or without a promise', () => {
    expectTypeOf(mutex.run(() => 42)).toEqualTypeOf<Promise<number>>()
    expectTypeOf(mutex.run(async ({ fence }) => `${fence}`)).toEqualTypeOf<Promise<string>>()
    expectTypeOf(mutex.run(({ signal }) => signal)).toEqualTypeOf<Promise<AbortSignal>>()
  })

  it('say when there may be no lease', () => {
    expectTypeOf(mutex.acquire()).toEqualTypeOf<Promise<Lease>>()
    expectTypeOf(mutex.tryAcquire()).toEqualTypeOf<Promise<Lease | null>>()
    expectTypeOf(holdfast.inspect('m')).toEqualTypeOf<Promise<LockReport | null>>()
  })

  it('let a lease and a Holdfast be used with await using', () => {
    expectTypeOf<Lease>().toExtend<AsyncDisposable>()
    expectTypeOf<Holdfast>().toExtend<AsyncDisposable>()
  })

  it('take every client as it was made', () => {
    expectTypeOf(redis).toBeCallableWith(new Redis({ lazyConnect: true }))
    expectTypeOf(redis).toBeCallableWith(new Redis5({ lazyConnect: true }))
    expectTypeOf(redis).toBeCallableWith(createClient())
    expectTypeOf(redis).toBeCallableWith(createClient5())
  })

  it('refuse what is no option', () => {
    // @ts-expect-error: durations are numbers
    void mutex.acquire({ timeoutMs: '5s' })
    // @ts-expect-error: tryAcquire never waits
    void mutex.tryAcquire({ timeoutMs: 5 })
    // @ts-expect-error: no such event
    holdfast.on('lose', () => undefined)
    holdfast.on('lost', ({ lease, error }) => {
      expectTypeOf(lease).toEqualTypeOf<Lease>()
      expectTypeOf(error.reason).toEqualTypeOf<'expired' | 'refused' | 'short' | 'released'>()
    })
    expectTypeOf(connect('memory:')).toEqualTypeOf<Promise<Holdfast>>()
    expectTypeOf(connect()).toEqualTypeOf<Promise<Holdfast>>()
    expectTypeOf(connect({ ttlMs: 1000 })).toEqualTypeOf<Promise<Holdfast>>()
    // @ts-expect-error: a URL that may be missing is not the default
    void (() => connect(process.env['REDIS_URL']))
  })
})
