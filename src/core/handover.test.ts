import type { Mutex } from 'holdfast'
import { MemoryStore, memory } from 'holdfast/memory'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ChannelLog } from '../../test/support/channels.ts'
import { rig, watch } from '../../test/support/rig.ts'
import { seed } from '../../test/support/until.ts'
import { faultyEngine } from '../testing/faulty-engine.ts'
import { seededRandom } from '../testing/simulated-clock.ts'
import { sleep } from './clock.ts'

const HANDOVER = { handover: true } as const

/** A process, and how often it called its engine. */
function counted(options: Parameters<ReturnType<typeof rig>['process']>[0] = {}) {
  const world = rig()
  const one = world.process(options)
  const calls = { acquire: 0, renew: 0, release: 0 }
  for (const call of ['acquire', 'renew', 'release'] as const) {
    const original = one.engine[call].bind(one.engine) as (...args: unknown[]) => Promise<unknown>
    Object.assign(one.engine, {
      [call]: (...args: unknown[]) => {
        calls[call] += 1
        return original(...args)
      },
    })
  }
  return { ...world, ...one, calls }
}

describe('a handover', () => {
  it('passes the lock in the order of the callers, each with a larger fence', async () => {
    const world = counted()
    const { clock, holdfast, calls, store } = world
    const mutex = holdfast.mutex('m', HANDOVER)
    const first = await mutex.acquire()
    const fences = [first.fence]
    const order: number[] = []
    const runs = Array.from({ length: 50 }, (_, index) =>
      mutex.run(({ fence }) => {
        order.push(index)
        fences.push(fence)
      }),
    )
    await clock.advance(1)
    await first.release()
    await Promise.all(runs)
    expect(order).toEqual(Array.from({ length: 50 }, (_, index) => index))
    expect(fences).toEqual(fences.toSorted((a, b) => a - b))
    expect(new Set(fences).size).toBe(51)
    expect(calls).toEqual({ acquire: 1, renew: 1, release: 1 })
    expect(store.size.locks).toBe(0)
    const after = await holdfast.mutex('m').acquire()
    expect(after.fence).toBeGreaterThan(Math.max(...fences))
    expect(holdfast.core.handovers.size).toBe(0)
  })

  it('costs a lone caller no further command', async () => {
    const { holdfast, calls } = counted()
    for (let turn = 0; turn < 3; turn++) await holdfast.mutex('m', HANDOVER).run(() => undefined)
    expect(calls).toEqual({ acquire: 3, renew: 0, release: 3 })
  })

  it('gives the lock back after as many passes as allowed, so that others have their turn', async () => {
    const world = counted()
    const { clock, holdfast, process } = world
    const mutex = holdfast.mutex('m', { handover: { passes: 2 } })
    const first = await mutex.acquire()
    const order: string[] = []
    const other = process().holdfast.mutex('m')
    const runs = [1, 2, 3, 4].map((index) => mutex.run(() => order.push(`own ${index}`)))
    await clock.advance(1)
    runs.push(other.run(() => order.push('other')))
    await clock.advance(1)
    await first.release()
    await clock.advance(10)
    await Promise.all(runs)
    expect(order).toEqual(['own 1', 'own 2', 'other', 'own 3', 'own 4'])
  })

  it('gives the lock back after as long as allowed', async () => {
    const { clock, holdfast, process } = counted()
    const mutex = holdfast.mutex('m', { handover: { withinMs: 20 } })
    const first = await mutex.acquire()
    const next = watch(mutex.acquire())
    const other = watch(process().holdfast.mutex('m').acquire())
    await clock.advance(20)
    await first.release()
    await clock.advance(1)
    expect(other.settled).toBe(true)
    expect(next.settled).toBe(false)
    await other.value?.release()
    await clock.advance(1)
    expect(next.settled).toBe(true)
  })

  it('waits for the fences it asked for when the holder is done before they came', async () => {
    const { clock, holdfast, calls } = counted({ plan: [{ operations: ['renew'], delayMs: 30 }] })
    const mutex = holdfast.mutex('m', HANDOVER)
    const first = await mutex.acquire()
    const next = watch(mutex.acquire())
    const released = watch(first.release())
    await clock.advance(100)
    expect(released.value).toBe(true)
    expect(next.value?.fence).toBeGreaterThan(first.fence)
    expect(calls.release).toBe(0)
  })

  it('goes to the engine when no fences are to be had', async () => {
    const plan = [{ operations: ['renew'] as const, loseRequest: 1 }]
    const { clock, holdfast, calls, told } = counted({ plan })
    const mutex = holdfast.mutex('m', HANDOVER)
    const first = await mutex.acquire()
    const next = watch(mutex.acquire())
    const released = watch(first.release())
    await clock.advance(2000)
    expect(released.value).toBe(true)
    expect(next.value?.held).toBe(true)
    expect(calls).toMatchObject({ acquire: 2, release: 1 })
    expect(told).toContainEqual(expect.stringMatching(/^error: .*renew/))
  })

  it('passes nothing on when the holder finds its lease taken away', async () => {
    const { clock, holdfast, process, told } = counted()
    const mutex = holdfast.mutex('m', HANDOVER)
    const first = await mutex.acquire()
    await process().holdfast.forceRelease('m')
    const thief = await process().holdfast.mutex('m').acquire()
    const next = watch(mutex.acquire())
    await clock.advance(1)
    expect(await first.release()).toBe(false)
    await clock.advance(1)
    expect(next.settled).toBe(false)
    await thief.release()
    await clock.advance(1)
    expect(next.value?.fence).toBeGreaterThan(thief.fence)
    expect(told).not.toContain('lost: expired')
  })

  it('ends with the loss of the lease: who waits asks the engine', async () => {
    const { clock, holdfast, process } = counted()
    const mutex = holdfast.mutex('m', HANDOVER)
    const first = await mutex.acquire()
    const passed = watch(mutex.acquire())
    const waits = watch(mutex.acquire())
    await clock.advance(1)
    await first.release()
    await clock.advance(1)
    await process().holdfast.forceRelease('m')
    const thief = watch(process().holdfast.mutex('m').acquire())
    await clock.advance(5000)
    expect(passed.value?.state).toBe('lost')
    expect(passed.value?.signal.reason).toMatchObject({ code: 'HOLDFAST_LEASE_LOST' })
    expect(waits.settled).toBe(false)
    await thief.value?.release()
    await clock.advance(1)
    expect(waits.value?.fence).toBeGreaterThan(thief.value?.fence ?? Number.NaN)
  })

  it('renews a lease that was passed on', async () => {
    const { clock, holdfast } = counted()
    const mutex = holdfast.mutex('m', HANDOVER)
    const first = await mutex.acquire()
    const next = watch(mutex.acquire())
    await clock.advance(1)
    await first.release()
    await clock.advance(60_000)
    expect(next.value?.held).toBe(true)
    expect(await next.value?.release()).toBe(true)
    expect(await holdfast.inspect('m')).toBeNull()
  })

  it('passes nothing on when little of the lease is certain', async () => {
    const { clock, holdfast, calls } = counted()
    const mutex = holdfast.mutex('m', { handover: { withinMs: 9000 }, renew: false })
    const first = await mutex.acquire()
    const next = watch(mutex.acquire())
    await clock.advance(6000)
    await first.release()
    await clock.advance(1)
    expect(next.value?.remainingMs).toBeGreaterThan(9000)
    expect(calls.release).toBe(1)
  })

  it('lets whoever aborts or runs out of time go, and passes on to the others', async () => {
    const { clock, holdfast, told } = counted()
    const mutex = holdfast.mutex('m', HANDOVER)
    const first = await mutex.acquire()
    const stop = new AbortController()
    const aborted = watch(mutex.acquire({ signal: stop.signal }))
    const late = watch(mutex.acquire({ timeoutMs: 50 }))
    const last = watch(mutex.acquire())
    stop.abort(new Error('enough'))
    await clock.advance(60)
    expect(aborted.error).toMatchObject({ message: 'enough' })
    expect(late.error).toMatchObject({
      code: 'HOLDFAST_ACQUIRE_TIMEOUT',
      timeoutMs: 50,
      ahead: 0,
      message: expect.stringMatching(/held by process \d+/),
    })
    await first.release()
    await clock.advance(1)
    expect(last.value?.held).toBe(true)
    expect(told.filter((event) => event.startsWith('waiting'))).toEqual([
      'waiting: m 0 ahead',
      'waiting: m 1 ahead',
      'waiting: m 2 ahead',
    ])
  })

  it('keeps the place in the line when the first of the callers gives up', async () => {
    const { clock, holdfast, process } = counted()
    const holder = await process().holdfast.mutex('m').acquire()
    const mutex = holdfast.mutex('m', HANDOVER)
    const stop = new AbortController()
    const aborted = watch(mutex.acquire({ signal: stop.signal }))
    await clock.advance(1)
    const other = watch(process().holdfast.mutex('m').acquire())
    const second = watch(mutex.acquire())
    const late = watch(mutex.acquire({ timeoutMs: 10 }))
    await clock.advance(1)
    stop.abort(new Error('enough'))
    await clock.advance(10)
    expect(aborted.error).toMatchObject({ message: 'enough' })
    expect(late.error).toMatchObject({ code: 'HOLDFAST_ACQUIRE_TIMEOUT', ahead: 0 })
    await holder.release()
    await clock.advance(1)
    expect(second.value?.held).toBe(true)
    expect(other.settled).toBe(false)
  })

  it('leaves the line when the last of the callers gives up', async () => {
    const { clock, holdfast, process, store } = counted()
    const holder = await process().holdfast.mutex('m').acquire()
    const stop = new AbortController()
    const { signal } = stop
    const aborted = watch(holdfast.mutex('m', HANDOVER).acquire({ signal }))
    await clock.advance(1)
    stop.abort(new Error('enough'))
    await clock.advance(1)
    expect(aborted.error).toMatchObject({ message: 'enough' })
    expect(holdfast.core.handovers.size).toBe(0)
    await holder.release()
    expect(store.size.locks).toBe(0)
    await expect(holdfast.mutex('m', HANDOVER).acquire({ signal })).rejects.toThrow('enough')
    expect(holdfast.core.handovers.size).toBe(0)
  })

  it('tells all who wait when the engine cannot be reached', async () => {
    const { clock, holdfast } = counted({ plan: [{ refuse: 1 }] })
    const mutex = holdfast.mutex('m', HANDOVER)
    const calls = [watch(mutex.acquire()), watch(mutex.acquire())]
    await clock.advance(60_000)
    for (const { error } of calls) expect(error).toMatchObject({ code: 'HOLDFAST_ENGINE_FAILED' })
    expect(holdfast.core.handovers.size).toBe(0)
  })

  it('settles everybody when the Holdfast is closed', async () => {
    const { clock, holdfast, store } = counted()
    const mutex = holdfast.mutex('m', HANDOVER)
    const first = await mutex.acquire()
    const waits = [watch(mutex.acquire()), watch(mutex.acquire())]
    await clock.advance(1)
    await holdfast.close()
    expect(first.signal.aborted).toBe(true)
    for (const { error } of waits) expect(error).toMatchObject({ code: 'HOLDFAST_CLOSED' })
    expect(store.size.locks).toBe(0)
  })

  it('is shared only by callers that ask for the same lease', async () => {
    const { clock, holdfast, calls } = counted()
    const first = await holdfast.mutex('m', HANDOVER).acquire()
    const other = watch(holdfast.mutex('m', { ...HANDOVER, ttlMs: 500 }).acquire())
    await clock.advance(1)
    await first.release()
    await clock.advance(1)
    expect(other.value?.held).toBe(true)
    expect(calls).toMatchObject({ acquire: 2, release: 1 })
  })

  it('passes no lease on that is to be kept for a minimum, and waits for nobody without', async () => {
    const { clock, holdfast, calls } = counted()
    const mutex = holdfast.mutex('m', HANDOVER)
    const first = await mutex.acquire({ minHoldMs: 50 })
    const next = watch(mutex.acquire())
    expect(await mutex.tryAcquire()).toBeNull()
    await clock.advance(1)
    await first.release()
    await clock.advance(60)
    expect(next.value?.held).toBe(true)
    expect(calls.acquire).toBe(3)
  })

  it('tells watchers how many callers of the process stand in front', async () => {
    const log = new ChannelLog()
    onTestFinished(() => log.stop())
    const { clock, holdfast } = counted()
    const mutex = holdfast.mutex('m', HANDOVER)
    const first = await mutex.acquire()
    const [second, third] = [watch(mutex.acquire()), watch(mutex.acquire())]
    await clock.advance(20)
    await first.release()
    await clock.advance(1)
    await second.value?.release()
    await clock.advance(1)
    const { acquire, hold } = log.messages
    expect(acquire.map(({ joinedAhead }) => joinedAhead)).toEqual([undefined, 0, 1])
    expect(acquire.map(({ waitedMs }) => waitedMs)).toEqual([0, 20, 21])
    expect(acquire[2]?.result).toBe(third.value)
    expect(hold.map(({ acquire: call }) => call)).toEqual(acquire)
  })

  it('refuses bounds that make no sense', () => {
    const { holdfast } = counted()
    const mutex = (handover: unknown) => () => holdfast.mutex('m', { handover } as never)
    expect(mutex('yes')).toThrow('handover must be an object, got "yes".')
    expect(mutex({ passes: 0 })).toThrow('handover.passes must be a whole number from 1 to 1000')
    expect(mutex({ withinMs: 0.5 })).toThrow('handover.withinMs must be a whole number from 1')
    expect(mutex(false)).not.toThrow()
  })
})

describe('handovers of several processes that calls go wrong for', () => {
  it('never overlap, and their fences rise', async () => {
    const first = seed(import.meta.url)
    for (let world = 0; world < 10; world++) await storm(first + world)
  }, 60_000)
})

/** Several processes with several callers each on one mutex, while calls get lost and late. */
async function storm(seed: number): Promise<void> {
  const { clock, process } = rig(seed)
  const random = seededRandom(seed)
  // The calendar stands still, so that fences grow by what is drawn and by nothing else.
  const store = new MemoryStore({ clock, nowMicros: () => 1 })
  const plan = [
    { untilMs: 4000, loseReply: 0.1, loseRequest: 0.1, late: 0.05, delayMs: 5, patienceMs: 15 },
  ]
  const engine = () => faultyEngine(memory({ clock, store }), { random, clock, plan })
  const stop = new AbortController()
  let [last, entered, inside] = [0, 0, 0]
  const caller = async (mutex: Mutex) => {
    while (!stop.signal.aborted) {
      const timeoutMs = 1 + Math.floor(random.fraction() * 3000)
      const lease = await mutex.acquire({ timeoutMs }).catch(() => undefined)
      if (lease?.held) {
        expect(++inside, `seed ${seed}: overlap`).toBe(1)
        expect(lease.fence, `seed ${seed}: fences`).toBeGreaterThan(last)
        last = lease.fence
        entered++
        await sleep(clock, random.fraction() * 10, lease.signal).catch(() => undefined)
        inside--
      }
      await lease?.release().catch(() => undefined)
      await sleep(clock, random.fraction() * 20)
    }
  }
  const processes = Array.from({ length: 3 }, () => process({ engine: engine(), ttlMs: 500 }))
  const callers = processes.flatMap(({ holdfast }) => {
    const mutex = holdfast.mutex('m', { handover: { passes: 5, withinMs: 50 } })
    return Array.from({ length: 4 }, () => caller(mutex))
  })
  await clock.advance(8000)
  stop.abort()
  await clock.advance(10_000)
  await Promise.all(callers)
  expect(entered, `seed ${seed}: turns`).toBeGreaterThan(50)
  for (const { holdfast } of processes) expect(holdfast.core.handovers.size).toBe(0)
  await clock.advance(20_000)
  await process()
    .holdfast.mutex('m')
    .run(() => undefined)
  expect(store.size.locks, `seed ${seed}: leaks`).toBe(0)
}
