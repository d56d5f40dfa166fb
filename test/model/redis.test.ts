import { afterAll, beforeAll, expect, it } from 'vitest'
import { type RunningServer, startServer } from '../support/servers.ts'
import { describeServers } from '../support/servers-under-test.ts'
import { engineModel } from './model.ts'
import { type AgingWorld, agingWorld } from './redis-world.ts'

/** How many histories for each server; a longer run asks for more. */
const RUNS = Number(process.env['HOLDFAST_MODEL_RUNS'] ?? 60)

/** Far longer than any history takes: what ends is what a pause has ended, on any machine. */
const SHORT_MS = 60_000

describeServers('the redis engine', (name) => {
  let server: RunningServer
  let world: AgingWorld
  beforeAll(async () => {
    server = await startServer({ server: name })
    world = await agingWorld(server)
  })
  afterAll(async () => {
    await server.stop()
  })

  it(
    'agrees with the line on random histories, and leaves nothing',
    async () => {
      const { seed, steps, blurred } = await engineModel({
        name: `redis (${name})`,
        start: () => world.start(),
        kinds: ['mutex', 'semaphore', 'read-write', 'election'],
        runs: RUNS,
        file: 'test/model/redis.test.ts',
        shortMs: SHORT_MS,
      })
      await world.stop()
      console.log(`${name}: seed ${seed}, ${RUNS} histories, ${steps} steps compared`)
      expect(blurred).toBe(0)
      expect(steps).toBeGreaterThan(RUNS * 5)
    },
    60_000 + RUNS * 2000,
  )
})
