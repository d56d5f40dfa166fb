import { engineContract } from 'holdfast/testing'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { type RunningCluster, startCluster } from '../support/cluster.ts'
import { redisClusterWorld } from './redis-world.ts'

describe('the redis engine on a Cluster', () => {
  let cluster: RunningCluster
  beforeAll(async () => {
    cluster = await startCluster()
  })
  afterAll(() => cluster.stop())
  // Most of the time is waiting for leases to end.
  engineContract({
    describe,
    it: it.concurrent,
    name: 'redis (Cluster)',
    start: () => redisClusterWorld(cluster),
  })
})
