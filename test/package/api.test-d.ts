import {
  type AllLease,
  connect,
  createHoldfast,
  type Holdfast,
  type Leader,
  type Leadership,
  type Lease,
  type LockReport,
  type OncePerOutcome,
  oncePer,
} from 'holdfast'
import { memory } from 'holdfast/memory'
import { type FencedWrite, fencedSet, redis } from 'holdfast/redis'
import type * as redlock from 'holdfast/redlock'
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

  it('are the same for every lock', () => {
    const pool = holdfast.semaphore('pool', { capacity: 3 })
    const { read, write } = holdfast.readWriteLock('config')
    expectTypeOf(pool.run(({ permits }) => permits, { permits: 2 })).toEqualTypeOf<
      Promise<number>
    >()
    for (const lock of [read, write]) {
      expectTypeOf(lock.acquire({ timeoutMs: 5 })).toEqualTypeOf<Promise<Lease>>()
      // @ts-expect-error: only a semaphore has permits
      void lock.acquire({ permits: 2 })
    }
    // @ts-expect-error: a semaphore has a capacity
    void holdfast.semaphore('pool', {})
    const all = holdfast.all([mutex, read, pool, { lock: pool, permits: 2 }, holdfast.all([write])])
    expectTypeOf(all.acquire()).toEqualTypeOf<Promise<AllLease>>()
    expectTypeOf(all.tryAcquire()).toEqualTypeOf<Promise<AllLease | null>>()
    expectTypeOf(all.run(({ fences }) => fences.get('m'))).toEqualTypeOf<
      Promise<number | undefined>
    >()
    // @ts-expect-error: an election is no lock
    holdfast.all([holdfast.election('e')])
  })

  it('tell who leads, and what came of a tick', async () => {
    const election = holdfast.election('e')
    expectTypeOf(election.campaign({ note: 'me' })).toEqualTypeOf<Promise<Leadership>>()
    expectTypeOf<Leadership>().toExtend<Lease>()
    expectTypeOf(election.leader()).toEqualTypeOf<Promise<Leader | null>>()
    for await (const leader of election.observe()) {
      expectTypeOf(leader).toEqualTypeOf<Leader | null>()
    }
    expectTypeOf(oncePer(mutex, 1000, () => 7)).toEqualTypeOf<Promise<OncePerOutcome<number>>>()
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

  it('let a lease guard a write', () => {
    expectTypeOf<Lease>().toExtend<FencedWrite>()
    expectTypeOf(fencedSet(createClient(), 'k', 'v', { fence: 1 })).toEqualTypeOf<Promise<void>>()
    // @ts-expect-error: a fence is a number
    void fencedSet(createClient(), 'k', 'v', { fence: '1' })
  })

  it('of a door have the names of the original', () => {
    expectTypeOf<redlock.ClientExecutionResult['vote']>().toEqualTypeOf<'for' | 'against'>()
    expectTypeOf<redlock.ExecutionResult['attempts'][number]>().toEqualTypeOf<
      Promise<redlock.ExecutionStats>
    >()
    expectTypeOf<redlock.RedlockAbortSignal>().toExtend<AbortSignal>()
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
      expectTypeOf(error.reason).toEqualTypeOf<
        'expired' | 'overdue' | 'refused' | 'short' | 'released'
      >()
    })
    expectTypeOf(connect('memory:')).toEqualTypeOf<Promise<Holdfast>>()
    expectTypeOf(connect()).toEqualTypeOf<Promise<Holdfast>>()
    expectTypeOf(connect({ ttlMs: 1000 })).toEqualTypeOf<Promise<Holdfast>>()
    // @ts-expect-error: a URL that may be missing is not the default
    void (() => connect(process.env['REDIS_URL']))
  })
})
