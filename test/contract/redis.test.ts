import { engineContract } from 'holdfast/testing'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { type RunningServer, startServer } from '../support/servers.ts'
import { describeServers } from '../support/servers-under-test.ts'
import { redisWorld } from './redis-world.ts'

describeServers('the redis engine', (name) => {
  let server: RunningServer
  beforeAll(async () => {
    server = await startServer({ server: name })
  })
  afterAll(async () => {
    await server.stop()
  })
  engineContract({ describe, it, name: `redis (${name})`, start: () => redisWorld(server) })
})
