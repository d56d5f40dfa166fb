import { AcquireTimeoutError, type Holdfast, HoldfastError, type Lease } from 'holdfast'
import { sleep } from '../../src/core/clock.ts'
import { ALL } from '../../src/core/engine.ts'
import type { Chance } from './chance.ts'
import type { Judge } from './judge.ts'
import type { ProcessClock } from './process-clock.ts'
import type { Workload } from './scenarios.ts'

/** What one worker of a process needs. */
export interface Surroundings {
  readonly name: string
  readonly holdfast: Holdfast
  readonly clock: ProcessClock
  readonly chance: Chance
  readonly judge: Judge
  readonly workload: Workload
  /** Nothing new is begun once this is true. */
  readonly over: () => boolean
  /** What is being done, for whoever finds that it never ends. */
  readonly doing: Map<symbol, string>
}

/** Errors of calls that were cancelled by the worker itself. */
const CANCELLED = new Error('cancelled by the worker')

const CAPACITY = 3
const STEPS = 3

/** Takes, holds and releases locks until the time is over. */
export async function work(around: Surroundings): Promise<void> {
  const { chance, clock, judge, workload, over, doing, name } = around
  while (!over()) {
    await sleep(clock, chance.between(workload.thinkMs))
    if (over()) return
    const own = Symbol(name)
    try {
      await turn(around, (what) => doing.set(own, `${name} ${what}`))
    } catch (error) {
      if (error === CANCELLED) judge.count('cancelled')
      else if (!(error instanceof HoldfastError)) {
        judge.note('nothing leaked', `${name}: unexpected ${String(error)}`)
      }
    } finally {
      doing.delete(own)
    }
  }
}

async function turn(around: Surroundings, tell: (what: string) => void): Promise<void> {
  const { chance, workload, holdfast } = around
  const kind = chance.of(workload.kinds)
  const name = `${kind} ${Math.floor(chance.between([0, workload.names]))}`
  if (chance.happens(workload.force)) {
    tell(`breaks ${name}`)
    around.judge.count('broken')
    await holdfast.forceRelease(name)
    return
  }
  tell(`asks for ${name}`)
  const taken = await take(around, kind, name)
  if (taken === undefined) return
  tell(`holds ${name}`)
  await hold(around, taken.lease, taken.capacity)
}

interface Taken {
  readonly lease: Lease
  readonly capacity: number
}

async function take(
  { chance, clock, judge, workload, holdfast }: Surroundings,
  kind: Workload['kinds'][number],
  name: string,
): Promise<Taken | undefined> {
  const options = {
    ttlMs: Math.ceil(chance.between(workload.ttlMs)),
    renew: !chance.happens(workload.lapses),
    ...(chance.happens(workload.rests) ? { minHoldMs: 100, lockDelayMs: 300 } : {}),
  }
  const cancel = new AbortController()
  const cancelling = chance.happens(workload.cancel)
    ? clock.setTimer(() => cancel.abort(CANCELLED), chance.between([0, 400]))
    : undefined
  const limit = chance.happens(workload.timeout)
    ? { timeoutMs: Math.floor(chance.between([0, 3_000])) }
    : {}
  const waiting = { ...options, ...limit, signal: cancel.signal }
  const tries = chance.happens(workload.tries)
  try {
    if (kind === 'election') {
      return { lease: await holdfast.election(name).campaign(waiting), capacity: 1 }
    }
    if (kind === 'mutex') {
      const lock = holdfast.mutex(name, { handover: chance.happens(workload.handover) })
      const lease = tries ? await lock.tryAcquire(options) : await lock.acquire(waiting)
      return lease === null ? undefined : { lease, capacity: 1 }
    }
    if (kind === 'semaphore') {
      const lock = holdfast.semaphore(name, { capacity: CAPACITY })
      const permits = chance.happens(0.3) ? 2 : 1
      const lease = tries
        ? await lock.tryAcquire({ ...options, permits })
        : await lock.acquire({ ...waiting, permits })
      return lease === null ? undefined : { lease, capacity: CAPACITY }
    }
    const both = holdfast.readWriteLock(name)
    const lock = chance.happens(0.3) ? both.write : both.read
    const lease = tries ? await lock.tryAcquire(options) : await lock.acquire(waiting)
    return lease === null ? undefined : { lease, capacity: ALL }
  } catch (error) {
    if (!(error instanceof AcquireTimeoutError)) throw error
    judge.count('timed out')
    return undefined
  } finally {
    cancelling?.cancel()
  }
}

/** Works under a lease as a careful program does, and writes late as a paused one may. */
async function hold(
  { chance, clock, judge, workload, name }: Surroundings,
  lease: Lease,
  capacity: number,
): Promise<void> {
  const held = judge.granted(lease, name, capacity)
  const alone = lease.permits === capacity
  try {
    const value = alone ? judge.read(held) : undefined
    const stepMs = chance.between(workload.holdMs) / STEPS
    for (let step = 0; step < STEPS && !lease.signal.aborted; step++) {
      await sleep(clock, stepMs)
      judge.look(lease.name)
    }
    if (value !== undefined) judge.write(held, value + 1)
    if (chance.happens(0.05) && !lease.signal.aborted) await linger(lease, clock)
  } finally {
    if (lease.signal.aborted) judge.count('lost')
    // Over at the latest when its holder begins to give it back.
    judge.ended(held)
    await lease.release()
  }
}

/** Keeps the lease for some more renewals. */
async function linger(lease: Lease, clock: ProcessClock): Promise<void> {
  await sleep(clock, 4_000, lease.signal).catch(() => undefined)
}
