/**
 * A key of Redis that refuses stale writes. `pause.mjs` runs it twice:
 *
 *   node examples/fencing/pause.mjs redis-value.mjs redis://localhost:6379
 */
import { setTimeout as work } from 'node:timers/promises'
import { createHoldfast } from 'holdfast'
import { fencedSet, redis, StaleFenceError } from 'holdfast/redis'
import { Redis } from 'ioredis'

const [url = 'redis://localhost:6379'] = process.argv.slice(2)
const name = process.env.NAME ?? 'this process'

const client = new Redis(url)
const holdfast = createHoldfast({ engine: redis(client) })

await holdfast
  .mutex('report:daily')
  .run(
    async (lease) => {
      console.log(`holding, fence ${lease.fence}`)
      await work(1500)
      // Nothing here looks at the lease: a process can be paused between any look and its write.
      await fencedSet(client, 'report:daily', `by ${name}`, lease)
      console.log(`written, fence ${lease.fence}`)
    },
    { ttlMs: 1000 },
  )
  .catch((error) => {
    if (error instanceof StaleFenceError) console.log(`refused, fence ${error.fence} is stale`)
    console.log(`told: ${error.code}`)
  })

console.log(`the key says: ${await client.get('report:daily')}`)
client.disconnect()
await holdfast.close()
