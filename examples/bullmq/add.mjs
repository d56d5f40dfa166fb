/**
 * Adds jobs for `worker.mjs`: a number of them, spread over three accounts.
 *
 *   node examples/bullmq/add.mjs redis://localhost:6379 12
 */
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'

const [url = 'redis://localhost:6379', count = '12'] = process.argv.slice(2)
const accounts = ['north', 'south', 'west']

const connection = new Redis(url, { maxRetriesPerRequest: null })
const queue = new Queue('invoices', { connection })
const jobs = Array.from({ length: Number(count) }, (_, index) => ({
  name: 'invoice',
  data: { account: accounts[index % accounts.length], ms: 50 },
}))
await queue.addBulk(jobs)
console.log(`added ${jobs.length}`)
await queue.close()
connection.disconnect()
