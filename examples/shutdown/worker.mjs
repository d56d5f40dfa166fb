/**
 * Ends well on SIGTERM, as a container is told to: the step under way is finished, the lock is
 * given back, and whoever waits is let in at once instead of after the lease. Start two, then stop
 * the first:
 *
 *   node examples/shutdown/worker.mjs redis://localhost:6379
 */
import { setTimeout as work } from 'node:timers/promises'
import { connect } from 'holdfast'

const [url = 'redis://localhost:6379'] = process.argv.slice(2)

const holdfast = await connect(url)
const stop = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    console.log(`${signal}: finishing`)
    stop.abort()
  })
}

try {
  console.log('waiting')
  // The signal ends the wait, and leaves no place in the line behind.
  const lease = await holdfast.mutex('import').acquire({ ttlMs: 60_000, signal: stop.signal })
  console.log(`holding, fence ${lease.fence}`)
  try {
    for (let step = 1; !stop.signal.aborted; step++) {
      lease.assertHeld()
      await work(200)
      console.log(`step ${step} done`)
    }
  } finally {
    await lease.release()
  }
} catch (error) {
  if (error !== stop.signal.reason) throw error
  console.log('was not granted')
}
// Ends the connections, and gives back whatever else is held.
await holdfast.close()
console.log('stopped')
