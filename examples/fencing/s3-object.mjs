/**
 * An object of S3, or of a store like it, that refuses stale writes: the fence lies in the metadata
 * of the object, and a conditional write makes sure that nobody wrote since it was read. Start
 * `s3-store.mjs`, which does as S3 does, then
 *
 *   node examples/fencing/pause.mjs s3-object.mjs redis://localhost:6379 http://127.0.0.1:9000
 */
import { setTimeout as work } from 'node:timers/promises'
import { connect } from 'holdfast'

const [url = 'redis://localhost:6379', store = 'http://127.0.0.1:9000'] = process.argv.slice(2)
const name = process.env.NAME ?? 'this process'
const object = `${store}/reports/daily.json`

const holdfast = await connect(url)

/** Says whether the object took it. */
async function write(report, fence) {
  for (;;) {
    const found = await fetch(object, { method: 'HEAD' })
    if (!found.ok && found.status !== 404) throw new Error(`HEAD was answered ${found.status}`)
    const seen = Number(found.headers.get('x-amz-meta-fence') ?? 0)
    if (fence < seen) return false
    const condition = found.ok
      ? { 'if-match': found.headers.get('etag') }
      : { 'if-none-match': '*' }
    const put = await fetch(object, {
      method: 'PUT',
      headers: { ...condition, 'x-amz-meta-fence': String(fence) },
      // The fence is in the content too: an ETag is its MD5, and must differ between two writers.
      body: JSON.stringify({ report, fence }),
    })
    if (put.ok) return true
    // Somebody wrote or deleted it since it was looked at: look again.
    if (![404, 409, 412].includes(put.status)) throw new Error(`PUT was answered ${put.status}`)
  }
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

const { report } = await (await fetch(object)).json()
console.log(`the object says: ${report}`)
await holdfast.close()
