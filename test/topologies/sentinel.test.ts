import type { Lease } from 'holdfast'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { detachReplicas, type RunningSentinel, startSentinel } from '../support/sentinel.ts'
import { describeTwoServers } from '../support/servers-under-test.ts'
import { until } from '../support/until.ts'
import { Judge, openSentinel, type Told, type Way, ways } from './support.ts'

const TTL_MS = 8000

describeTwoServers('behind Sentinels', (name) => {
  let group: RunningSentinel
  let opened: Told[]
  beforeEach(async () => {
    opened = []
    group = await startSentinel({ server: name, downAfterMs: 500 })
  })
  afterEach(async () => {
    for (const each of opened.splice(0)) await each.close()
    await group.stop()
  })

  async function holdfast(way: Way, options: Parameters<typeof openSentinel>[2] = {}) {
    const one = await openSentinel(way, group, { ttlMs: TTL_MS, ...options })
    opened.push(one)
    return one
  }
  async function taken({ holdfast: one }: Told): Promise<Lease> {
    return await one.mutex('job').acquire({ timeoutMs: 5000 })
  }

  describe.each(ways)('through %s', (way) => {
    it('a lease that a replica has outlives its primary, and so does the line', async () => {
      const replicas = { min: 1 }
      const a = await holdfast(way, { replicas })
      const b = await holdfast(way, { replicas })
      const lease = await taken(a)
      const next = b.holdfast.mutex('job').acquire()
      await until(() => b.told.includes('waiting: job'), { what: 'the wait' })
      const old = await group.primary()
      await old.kill()
      const now = await group.promoted(old)
      await until(async () => await lease.renew().then(() => true), {
        what: 'a renewal on the new primary',
        timeoutMs: TTL_MS,
      })
      expect([lease.held, lease.state]).toEqual([true, 'held'])
      expect(await now.call('get', 'holdfast:job')).toBe(lease.identity)
      expect(a.told.filter((each) => each.startsWith('lost'))).toEqual([])
      expect(await lease.release()).toBe(true)
      const second = await next
      expect(second.fence).toBeGreaterThan(lease.fence)
    })

    it('a lease that no replica has is told lost, and the next fence is larger', async () => {
      const a = await holdfast(way)
      const b = await holdfast(way)
      // What both need to know of the primary they know before its replicas fall behind.
      await (await b.holdfast.mutex('other').acquire()).release()
      const old = await group.primary()
      await detachReplicas(old)
      const lease = await taken(a)
      await old.kill()
      await group.promoted(old)
      await until(() => lease.signal.aborted, { what: 'the loss to be told', timeoutMs: TTL_MS })
      expect(lease.signal.reason).toMatchObject({ code: 'HOLDFAST_LEASE_LOST' })
      const second = await taken(b)
      expect(second.fence).toBeGreaterThan(lease.fence)
    })
  })

  it('nobody is inside beside another while the primary changes', async () => {
    const judge = new Judge()
    const stop = new AbortController()
    const crew: Promise<void>[] = []
    for (const way of [...ways, ...ways]) {
      const { holdfast: one } = await holdfast(way, { replicas: { min: 1 }, ttlMs: 2000 })
      crew.push(judge.compete(one, 'job', stop.signal))
    }
    try {
      await until(() => judge.fences.length > 20, { what: 'some turns' })
      const old = await group.primary()
      await old.kill()
      await group.promoted(old)
      const before = judge.fences.length
      await until(() => judge.fences.length > before + 20, {
        what: 'turns on the new primary',
        timeoutMs: 20_000,
      })
    } finally {
      stop.abort()
      await Promise.all(crew)
    }
    expect([judge.overlaps, judge.regressions]).toEqual([0, 0])
  })
})
