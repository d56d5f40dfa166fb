/**
 * A rival and a holder in a pid namespace that still sees the /proc of another: says whether the
 * rival gets the lock while the holder lives, and once it is killed.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const [library, path] = process.argv.slice(2)
const { connect } = await import(`${library}/index.js`)
const worker = fileURLToPath(new URL('worker.mjs', import.meta.url))
const start = () =>
  spawn(process.execPath, [worker, JSON.stringify({ library, path })], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
let holder = start()
// Where its number belongs to nobody out there, nothing can be mistaken.
for (let tries = 0; tries < 50 && !existsSync(`/proc/${holder.pid}`); tries++) {
  holder.kill('SIGKILL')
  holder = start()
}
const lines = createInterface({ input: holder.stdout })
await once(lines, 'line')
holder.stdin.write(`${JSON.stringify({ id: 1, command: 'acquire', lock: 'a', ttlMs: 60_000 })}\n`)
await once(lines, 'line')
const holdfast = await connect(`sqlite:${path}`)
const told = await holdfast
  .mutex('a')
  .acquire({ timeoutMs: 2_000 })
  .then(
    () => 'held',
    ({ code }) => code,
  )
holder.kill('SIGKILL')
await once(holder, 'exit')
const lease = await holdfast.mutex('a').acquire({ timeoutMs: 20_000 })
console.log(`${process.pid < 10} ${told} ${lease.held}`)
await holdfast.close()
