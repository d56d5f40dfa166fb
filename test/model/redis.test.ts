import { afterAll, beforeAll, expect, it } from 'vitest'
import { redisWorld } from '../contract/redis-world.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { describeServers } from '../support/servers-under-test.ts'
import { engineModel } from './model.ts'

/** How many histories; a longer run asks for more. */
const RUNS = Number(process.env['HOLDFAST_MODEL_RUNS'] ?? 12)

describeServers('the redis engine', (name) => {
  let server: RunningServer
  beforeAll(async () => {
    server = await startServer({ server: name })
  })
  afterAll(async () => {
    await server.stop()
  })

  it(
    'agrees with the line on random histories',
    async () => {
      const { seed, steps, blurred } = await engineModel({
        name: `redis (${name})`,
        start: () => redisWorld(server),
        kinds: ['mutex', 'semaphore', 'read-write', 'election'],
        runs: RUNS,
        file: 'test/model/redis.test.ts',
      })
      console.log(`${name}: seed ${seed}, ${steps} steps compared, ${blurred} histories cut short`)
      // A machine too slow to compare anything would make this test say nothing.
      expect(steps).toBeGreaterThan(RUNS)
    },
    RUNS * 10_000,
  )
})
