import { AsyncResource } from 'node:async_hooks'
import { type Clock, createHoldfast } from 'holdfast'
import { memory } from 'holdfast/memory'
import { describe, expect, it } from 'vitest'
import { rig, watch } from '../../test/support/rig.ts'

const REENTRANT = { reentrant: true } as const

describe('a reentrant run', () => {
  it('inside the lock runs at once with the same lease, and does not release it', async () => {
    const { process } = rig()
    const mutex = process().holdfast.mutex('m')
    await mutex.run(async (outer) => {
      const inner = await mutex.run(async (lease) => {
        expect(lease).toBe(outer)
        return await mutex.run((again) => again, REENTRANT)
      }, REENTRANT)
      expect(inner).toBe(outer)
      expect(outer.held).toBe(true)
      expect(await mutex.tryAcquire()).toBeNull()
    })
    expect(await mutex.tryAcquire()).not.toBeNull()
  })

  it('outside the lock acquires it as any other', async () => {
    const { clock, process, store } = rig()
    const { holdfast } = process()
    expect(await holdfast.mutex('m').run(({ held }) => held, REENTRANT)).toBe(true)
    expect(store.size.locks).toBe(0)
    await holdfast.mutex('n').run(async () => {
      const elsewhere = await process().holdfast.mutex('m').acquire()
      const inner = watch(holdfast.mutex('m').run(() => 1, REENTRANT))
      await clock.advance(1)
      expect(inner.settled).toBe(false)
      await elsewhere.release()
      await clock.advance(1)
      expect(inner.value).toBe(1)
    })
  })

  // The right belongs to the context, not to the process.
  it('of another task of the process waits, also while the work is inside', async () => {
    const { clock, process } = rig()
    const { holdfast } = process()
    const mutex = holdfast.mutex('m')
    let leave = () => {}
    const inside = watch(
      mutex.run(
        () =>
          new Promise<void>((resolve) => {
            leave = resolve
          }),
      ),
    )
    await clock.advance(1)
    const other = watch(mutex.run(() => 'other', REENTRANT))
    await clock.advance(1)
    expect(other.settled).toBe(false)
    leave()
    await clock.advance(1)
    expect([inside.settled, other.value]).toEqual([true, 'other'])
  })

  it('of another Holdfast waits', async () => {
    const { clock, process } = rig()
    const [one, other] = [process().holdfast, process().holdfast]
    const outer = watch(
      one.mutex('m').run(() => other.mutex('m').run(() => 1, { ...REENTRANT, timeoutMs: 50 })),
    )
    await clock.advance(100)
    expect(outer.error).toMatchObject({ code: 'HOLDFAST_ACQUIRE_TIMEOUT' })
  })

  it('without the option waits for itself until its time is over', async () => {
    const { clock, process } = rig()
    const mutex = process().holdfast.mutex('m')
    const outer = watch(mutex.run(() => mutex.run(() => 1, { timeoutMs: 50 })))
    await clock.advance(100)
    expect(outer.error).toMatchObject({ code: 'HOLDFAST_ACQUIRE_TIMEOUT' })
  })

  it('in a nested semaphore without the option has leases of its own', async () => {
    const { process } = rig()
    const pool = process().holdfast.semaphore('pool', { capacity: 3 })
    await pool.run(async (outer) => {
      await pool.run(
        async (inner) => {
          expect(inner.identity).not.toBe(outer.identity)
          expect(await pool.run((lease) => lease, REENTRANT)).toBe(inner)
          expect(await pool.run((lease) => lease, { ...REENTRANT, permits: 2 })).toBe(inner)
        },
        { permits: 2 },
      )
      expect(outer.held).toBe(true)
      await pool.run(
        async () => {
          // The nearest that is enough, wherever it stands.
          const lease = await pool.run((each) => each, REENTRANT)
          expect(lease.permits).toBe(1)
        },
        { permits: 1 },
      )
    })
  })

  it('that started inside and outlives the run has no right any more', async () => {
    const { clock, process } = rig()
    const mutex = process().holdfast.mutex('m')
    let detached: Promise<unknown> | undefined
    let go = () => {}
    await mutex.run(() => {
      detached = new Promise<void>((resolve) => {
        go = resolve
      }).then(() => mutex.run((lease) => lease, REENTRANT))
    })
    const holder = await process().holdfast.mutex('m').acquire()
    const later = watch(detached as Promise<{ identity: string }>)
    go()
    await clock.advance(1)
    expect(later.settled).toBe(false)
    await holder.release()
    await clock.advance(1)
    expect(later.value?.identity).not.toBe(holder.identity)
  })

  it('that outlives the lease says so', async () => {
    const { clock, process } = rig()
    const mutex = process().holdfast.mutex('m')
    let inner: Promise<unknown> | undefined
    let end = () => {}
    await mutex.run(() => {
      inner = mutex.run(
        () =>
          new Promise<void>((resolve) => {
            end = resolve
          }),
        REENTRANT,
      )
    })
    const told = watch(inner as Promise<unknown>)
    end()
    await clock.advance(1)
    expect(told.error).toMatchObject({ code: 'HOLDFAST_LEASE_LOST', reason: 'released' })
  })

  // Leases share one timer. Whoever set it must not lend its right to all whom it tells.
  it('is not lent to whom a timer tells that the work around has set', async () => {
    const { clock, store } = rig()
    // Like a timer of the platform, which carries along who set it.
    const timers: Clock = {
      now: () => clock.now(),
      setTimer: (action, delayMs) => clock.setTimer(AsyncResource.bind(action), delayMs),
    }
    const holdfast = createHoldfast({ engine: memory({ clock, store }), clock: timers })
    const mutex = holdfast.mutex('m')
    const told = new Promise<unknown>((resolve) => {
      void holdfast
        .mutex('other')
        .acquire({ ttlMs: 600, renew: false })
        .then(({ signal }) =>
          signal.addEventListener('abort', () => {
            resolve(mutex.run(() => 'inside', { ...REENTRANT, timeoutMs: 0 }).catch(String))
          }),
        )
    })
    await mutex.run(async () => {
      await holdfast.mutex('mine').acquire({ ttlMs: 20, renew: false })
      await clock.advance(700)
      expect(await told).toMatch('AcquireTimeoutError')
    })
    await holdfast.close()
  })

  it('heeds its signal and checks its options as any other', async () => {
    const { process } = rig()
    const mutex = process().holdfast.mutex('m')
    const never = () => expect.unreachable()
    await mutex.run(async () => {
      const signal = AbortSignal.abort('enough')
      await expect(mutex.run(never, { ...REENTRANT, signal })).rejects.toBe('enough')
      for (const wrong of [{ timeoutMs: -1 }, { ttlMs: Number.NaN }, { signal: {} as never }]) {
        await expect(mutex.run(never, { ...REENTRANT, ...wrong })).rejects.toThrow(/ must be /)
      }
    })
  })

  it('inside a lost lease does not start', async () => {
    const { clock, process } = rig()
    const mutex = process().holdfast.mutex('m')
    let started = false
    const outer = watch(
      mutex.run(
        async () => {
          await clock.advance(2000)
          await mutex.run(() => {
            started = true
          }, REENTRANT)
        },
        { ttlMs: 1000, renew: false },
      ),
    )
    await clock.advance(5000)
    expect(outer.error).toMatchObject({ code: 'HOLDFAST_LEASE_LOST', reason: 'expired' })
    expect(started).toBe(false)
  })

  it('tells its error to its caller, and that the Holdfast was closed under it', async () => {
    const { process } = rig()
    const { holdfast } = process()
    const mutex = holdfast.mutex('m')
    const mine = new Error('mine')
    await mutex.run(async () => {
      await expect(mutex.run(() => Promise.reject(mine), REENTRANT)).rejects.toBe(mine)
    })
    const closed = mutex.run(() => mutex.run(() => holdfast.close(), REENTRANT))
    await expect(closed).rejects.toMatchObject({ code: 'HOLDFAST_CLOSED', lock: 'm' })
    const other = process().holdfast
    const late = other.mutex('m').run(async () => {
      void other.close()
      await other.mutex('m').run(() => expect.unreachable(), REENTRANT)
    })
    await expect(late).rejects.toMatchObject({ code: 'HOLDFAST_CLOSED', lock: 'm' })
  })
})

describe('a reentrant run that wants more than the work around holds', () => {
  it('reads inside a write with the lease of the writer', async () => {
    const { process } = rig()
    const lock = process().holdfast.readWriteLock('config')
    await lock.write.run(async (writer) => {
      expect(await lock.read.run((lease) => lease, REENTRANT)).toBe(writer)
    })
  })

  // An upgrade from read to write waits for itself.
  it('is refused a write inside a read, by name and at once', async () => {
    const { process } = rig()
    const { holdfast } = process()
    const lock = holdfast.readWriteLock('config')
    await lock.read.run(async (reader) => {
      await expect(lock.write.run(() => 1, REENTRANT)).rejects.toMatchObject({
        name: 'DeadlockError',
        code: 'HOLDFAST_DEADLOCK',
        lock: 'config',
        message: expect.stringMatching(/wants to write .* only reads, and would wait for itself/),
      })
      expect(reader.held).toBe(true)
      expect((await holdfast.inspect('config'))?.waiting).toBe(0)
    })
  })

  it('is refused more permits than any lease around has', async () => {
    const { process } = rig()
    const pool = process().holdfast.semaphore('pool', { capacity: 5 })
    const most = { ...REENTRANT, permits: 3 }
    const inner = () => pool.run(() => pool.run(() => 1, most), { permits: 1 })
    await expect(pool.run(inner, { permits: 2 })).rejects.toThrow(
      'wants to take 3 permits under lock "pool", but the work around it only holds 2 of them',
    )
    const outer = () => pool.run(() => pool.run(() => 1, most), { permits: 2 })
    await expect(pool.run(outer, { permits: 1 })).rejects.toThrow('only holds 2 of them')
  })

  it('is refused another lock of the same name', async () => {
    const { process } = rig()
    const { holdfast } = process()
    const five = holdfast.semaphore('pool', { capacity: 5 })
    await five.run(async () => {
      for (const lock of [holdfast.semaphore('pool', { capacity: 4 }), holdfast.mutex('pool')]) {
        await expect(lock.run(() => 1, REENTRANT)).rejects.toMatchObject({
          code: 'HOLDFAST_SHAPE_MISMATCH',
          found: { kind: 'semaphore', capacity: 5 },
        })
      }
    })
  })

  it.each(['yes', 1, null])('refuses reentrant: %j', async (reentrant) => {
    const mutex = rig().process().holdfast.mutex('m')
    const options = { reentrant: reentrant as never }
    await expect(mutex.run(() => 1, options)).rejects.toThrow('reentrant must be true or false')
    await expect(mutex.run(() => 1, 7 as never)).rejects.toThrow('options must be an object')
  })
})
