/**
 * A worker of BullMQ that never works on two jobs of one account at the same time, however many
 * workers there are. A job whose account is busy goes back to the queue for a moment, so that it
 * keeps no worker waiting. Start a few, then add jobs with `add.mjs`:
 *
 *   node examples/bullmq/worker.mjs redis://localhost:6379
 */
import { setTimeout as work } from 'node:timers/promises'
import { DelayedError, Worker } from 'bullmq'
import { createHoldfast } from 'holdfast'
import { redis } from 'holdfast/redis'
import { Redis } from 'ioredis'

const [url = 'redis://localhost:6379'] = process.argv.slice(2)

const connection = new Redis(url, { maxRetriesPerRequest: null })
const holdfast = createHoldfast({ engine: redis(connection) })

const now = () => new Date().toISOString()

const worker = new Worker(
  'invoices',
  async (job, token) => {
    const { account } = job.data
    const lease = await holdfast.mutex(`account:${account}`).tryAcquire()
    if (lease === null) {
      await job.moveToDelayed(Date.now() + 100, token)
      throw new DelayedError()
    }
    try {
      console.log(`${now()} begin ${job.id} ${account}, fence ${lease.fence}`)
      await work(job.data.ms, undefined, { signal: lease.signal })
      console.log(`${now()} end ${job.id} ${account}`)
    } finally {
      await lease.release()
    }
  },
  { connection, concurrency: 4 },
)
worker.on('failed', (job, error) => console.log(`failed ${job?.id} ${error.message}`))

process.once('SIGTERM', async () => {
  // Waits for the jobs under way, which give their locks back.
  await worker.close()
  await holdfast.close()
  connection.disconnect()
})
await worker.waitUntilReady()
console.log('ready')
