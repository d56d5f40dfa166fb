/**
 * Writes to an HTTP API that checks the fence: start `http-api-server.mjs`, then
 *
 *   node examples/fencing/pause.mjs http-api.mjs redis://localhost:6379 http://127.0.0.1:8080
 */
import { setTimeout as work } from 'node:timers/promises'
import { connect } from 'holdfast'

const [url = 'redis://localhost:6379', api = 'http://127.0.0.1:8080'] = process.argv.slice(2)
const name = process.env.NAME ?? 'this process'

const holdfast = await connect(url)

/** Says whether the API took it. */
async function write(body, fence) {
  const response = await fetch(`${api}/reports/daily`, {
    method: 'PUT',
    headers: { 'x-fence': String(fence) },
    body,
  })
  if (response.status === 409) return false
  if (!response.ok) throw new Error(`the API answered ${response.status}`)
  return true
}

await holdfast
  .mutex('report:daily')
  .run(
    async ({ fence }) => {
      console.log(`holding, fence ${fence}`)
      await work(1500)
      // Nothing here looks at the lease: a process can be paused between any look and its write.
      const written = await write(`by ${name}`, fence)
      console.log(written ? `written, fence ${fence}` : `refused, fence ${fence} is stale`)
    },
    { ttlMs: 1000 },
  )
  .catch((error) => console.log(`told: ${error.code}`))

const report = await fetch(`${api}/reports/daily`)
console.log(`the API says: ${await report.text()}`)
await holdfast.close()
