/**
 * A row of PostgreSQL that refuses stale writes. `pause.mjs` runs it twice:
 *
 *   node examples/fencing/pause.mjs postgres-row.mjs redis://localhost:6379 postgres://localhost/db
 */
import { setTimeout as work } from 'node:timers/promises'
import { connect } from 'holdfast'
import pg from 'pg'

const [url = 'redis://localhost:6379', database = 'postgres://localhost/postgres'] =
  process.argv.slice(2)
const name = process.env.NAME ?? 'this process'

const holdfast = await connect(url)
const client = new pg.Client(database)
await client.connect()
await client
  .query(`
  CREATE TABLE IF NOT EXISTS fenced_reports (
    id text PRIMARY KEY, body text, fence bigint NOT NULL DEFAULT 0
  )`)
  .catch(ignoreRace)
await client.query(`INSERT INTO fenced_reports (id) VALUES ('daily') ON CONFLICT DO NOTHING`)

/** Two processes that create the same table at the same moment: one of them is told so. */
function ignoreRace(error) {
  if (error.code !== '23505' && error.code !== '42P07') throw error
}

/** Says whether the row took it. Check and write are one statement, so nothing comes between. */
async function write(body, fence) {
  const { rowCount } = await client.query(
    'UPDATE fenced_reports SET body = $1, fence = $2 WHERE id = $3 AND fence <= $2',
    [body, fence, 'daily'],
  )
  return rowCount === 1
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

const { rows } = await client.query(`SELECT body FROM fenced_reports WHERE id = 'daily'`)
console.log(`the row says: ${rows[0].body}`)
await client.end()
await holdfast.close()
