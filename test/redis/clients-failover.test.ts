import { createHoldfast } from 'holdfast'
import { redis } from 'holdfast/redis'
import { describe, expect, it } from 'vitest'
import { startCluster } from '../support/cluster.ts'
import { startSentinel } from '../support/sentinel.ts'
import { until } from '../support/until.ts'
import {
  type Combination,
  clusterWorld,
  combinations,
  sentinelWorld,
  type World,
} from './clients-topologies.ts'

/** Fails over soon after a primary died. */
async function startQuickWorld(topology: Combination['topology']): Promise<World> {
  if (topology === 'cluster') {
    return clusterWorld(await startCluster({ replicas: 1, nodeTimeoutMs: 1000 }))
  }
  return sentinelWorld(await startSentinel({ replicas: 1, downAfterMs: 500 }))
}

const clients = combinations.filter(({ topology }) => topology !== 'single')

describe.each(clients)('when a primary of a $topology dies, $title', ({ topology, make }) => {
  it('keeps the leases, and every call settles meanwhile', async () => {
    const world = await startQuickWorld(topology)
    const user = await make(world)
    const holdfast = createHoldfast({ engine: redis(user.client), ttlMs: 30_000 })
    try {
      const lease = await holdfast.mutex('kept').acquire()
      const key = `${user.keyPrefix}holdfast:kept`
      const primary = await world.serverOf(key)
      await primary.call('wait', 1, 5000)
      await primary.kill()

      // Each try is over within its time limit, whatever the client would wait for.
      const tries: string[] = []
      const renewed = until(
        async () => {
          const outcome = await lease.renew().then(
            () => 'renewed',
            (error: { code?: string }) => error.code ?? 'without a code',
          )
          tries.push(outcome)
          return outcome === 'renewed'
        },
        { what: 'a renewal at the promoted replica', timeoutMs: 25_000 },
      )
      await renewed
      expect(lease.held).toBe(true)
      expect(new Set(tries.slice(0, -1))).toSatisfy((codes: Set<string>) =>
        [...codes].every((code) => code === 'HOLDFAST_ENGINE_FAILED'),
      )
      const promoted = await world.serverOf(key)
      expect(promoted).not.toBe(primary)
      expect(await promoted.call('exists', key)).toBe(1)
      expect(await lease.release()).toBe(true)
      const next = await holdfast.mutex('kept').acquire({ timeoutMs: 10_000 })
      expect(next.fence).toBeGreaterThan(lease.fence)
    } finally {
      await holdfast.close()
      await user.close()
      await world.stop()
    }
  })
})
