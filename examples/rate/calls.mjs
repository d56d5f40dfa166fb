/**
 * Calls of an API that allows so many at a time and so many per second, for all processes together:
 * a semaphore bounds the calls under way, and `minHoldMs` keeps each permit taken for a period,
 * also when the call was shorter. Start a few:
 *
 *   node examples/rate/calls.mjs redis://localhost:6379 http://127.0.0.1:8080 20
 */
import { connect } from 'holdfast'

const [url = 'redis://localhost:6379', api = 'http://127.0.0.1:8080', count = '20'] =
  process.argv.slice(2)

const holdfast = await connect(url)
// At most 4 at a time, and 4 in each period. All processes must say the same capacity.
const calls = holdfast.semaphore('api', { capacity: 4, minHoldMs: 500 })

const answers = await Promise.all(
  Array.from({ length: Number(count) }, async (_, index) => {
    return await calls.run(
      async ({ signal }) => (await fetch(`${api}/${index}`, { signal })).status,
    )
  }),
)
console.log(`${answers.filter((status) => status === 200).length} of ${count} calls answered 200`)
await holdfast.close()
