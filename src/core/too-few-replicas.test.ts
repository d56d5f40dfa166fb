import { type Engine, ReplicaError } from 'holdfast'
import { memory } from 'holdfast/memory'
import { expect, it } from 'vitest'
import { type Rig, rig, watch } from '../../test/support/rig.ts'

/** An engine that says of grants what one with replicas says while too few of them answer. */
function unconfirmed({ clock, store }: Rig, few: () => boolean): Engine {
  const inner = memory({ clock, store })
  const error = new ReplicaError({
    engine: 'memory',
    operation: 'renew',
    outcome: 'unknown',
    min: 2,
    confirmed: 1,
    timeoutMs: 200,
    lock: 'm',
  })
  const members: Partial<Engine> = {
    async wait(place, signal) {
      const news = await inner.wait(place, signal)
      return news.state === 'held' ? { state: 'waiting', ahead: 0, ticket: 0, lookMs: 0 } : news
    },
    async renew(places) {
      const standings = await inner.renew(places)
      return standings.map((each) =>
        few() && each.state === 'held' ? ({ state: 'unknown', error } as const) : each,
      )
    },
  }
  return new Proxy(inner, {
    get: (target, key) => {
      const own: unknown = Reflect.get(members, key)
      const member: unknown = own ?? Reflect.get(target, key)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}

it('a waiter whose grant too few replicas have rejects and gives the lock back', async () => {
  const one = rig()
  const { clock, process, store } = one
  const holder = await process().holdfast.mutex('m').acquire()
  const waiter = watch(
    process({ engine: unconfirmed(one, () => true) })
      .holdfast.mutex('m')
      .acquire(),
  )
  await clock.advance(1)
  await holder.release()
  await clock.advance(50)
  expect(waiter.error).toMatchObject({
    name: 'ReplicaError',
    code: 'HOLDFAST_TOO_FEW_REPLICAS',
    min: 2,
    confirmed: 1,
  })
  expect(String(waiter.error)).toContain('1 of 2 replicas confirmed it within 200 ms')
  expect(store.size.locks).toBe(0)
})

it('a lease that too few replicas prolong is in jeopardy, until enough do', async () => {
  const one = rig()
  let few = false
  const { holdfast, told } = one.process({ engine: unconfirmed(one, () => few), ttlMs: 3000 })
  const lease = await holdfast.mutex('m').acquire()
  few = true
  await one.clock.advance(1500)
  expect([lease.state, lease.held]).toEqual(['jeopardy', true])
  few = false
  await one.clock.advance(1000)
  expect(lease.state).toBe('held')
  few = true
  await one.clock.advance(3000)
  expect(lease.signal.reason).toMatchObject({ reason: 'expired', cause: { name: 'ReplicaError' } })
  expect(told.filter((each) => each.startsWith('lost'))).toEqual(['lost: expired'])
})
