/**
 * One of many processes leads. When it ends or is killed, the next one follows by itself. Start a
 * few, then kill the leader (kill -9):
 *
 *   node examples/election/candidate.mjs redis://localhost:6379 a
 */
import { setTimeout as wait } from 'node:timers/promises'
import { connect } from 'holdfast'

const [url = 'redis://localhost:6379', name = `process ${process.pid}`] = process.argv.slice(2)

const holdfast = await connect(url)
// After a crash the next one leads when the lease is over: shorter is sooner, and more renewals.
const election = holdfast.election('scheduler', { ttlMs: 1000 })
const end = new AbortController()
process.once('SIGTERM', () => end.abort())

async function follow() {
  for await (const leader of election.observe({ signal: end.signal })) {
    console.log(leader === null ? 'nobody leads' : `${leader.note} leads`)
  }
}

async function candidate() {
  while (!end.signal.aborted) {
    const leadership = await election.campaign({ note: name, signal: end.signal })
    console.log(`I lead, fence ${leadership.fence}`)
    try {
      while (!end.signal.aborted) {
        // One round of what a leader does. It stops at once when the leadership is lost.
        const signal = AbortSignal.any([leadership.signal, end.signal])
        await wait(100, undefined, { signal })
      }
    } catch {
      console.log('I lead no more')
    } finally {
      await leadership.resign()
    }
  }
}

await Promise.all([
  follow(),
  candidate().catch((error) => {
    if (!end.signal.aborted) throw error
  }),
])
await holdfast.close()
