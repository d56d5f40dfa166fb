/**
 * A row of SQLite that refuses stale writes, with locks in SQLite as well: no server at all.
 * `pause.mjs` runs it twice:
 *
 *   node examples/fencing/pause.mjs sqlite-row.mjs sqlite:./locks.db ./reports.db
 */
import { setTimeout as work } from 'node:timers/promises'
import { DatabaseSync } from '@photostructure/sqlite'
import { connect } from 'holdfast'

const [url = 'sqlite:./locks.db', file = './reports.db'] = process.argv.slice(2)
const name = process.env.NAME ?? 'this process'

const holdfast = await connect(url)
const database = new DatabaseSync(file, { timeout: 5000 })
database.exec(`
  CREATE TABLE IF NOT EXISTS reports (id TEXT PRIMARY KEY, body TEXT, fence INTEGER NOT NULL);
  INSERT OR IGNORE INTO reports VALUES ('daily', NULL, 0);
`)

/** Says whether the row took it. Check and write are one statement, so nothing comes between. */
function write(body, fence) {
  const { changes } = database
    .prepare('UPDATE reports SET body = ?1, fence = ?2 WHERE id = ?3 AND fence <= ?2')
    .run(body, fence, 'daily')
  return changes === 1
}

await holdfast
  .mutex('report:daily')
  .run(
    async ({ fence }) => {
      console.log(`holding, fence ${fence}`)
      await work(1500)
      // Nothing here looks at the lease: a process can be paused between any look and its write.
      const written = write(`by ${name}`, fence)
      console.log(written ? `written, fence ${fence}` : `refused, fence ${fence} is stale`)
    },
    { ttlMs: 1000 },
  )
  .catch((error) => console.log(`told: ${error.code}`))

const row = database.prepare(`SELECT body FROM reports WHERE id = 'daily'`).get()
console.log(`the row says: ${row.body}`)
database.close()
await holdfast.close()
