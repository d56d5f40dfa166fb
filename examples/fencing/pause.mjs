/**
 * Shows a late write being refused. Starts an example of this folder twice: the first process takes
 * the lock and is stopped (SIGSTOP) before it writes. Its lease ends, the second one is granted and
 * writes. Then the first is woken, and writes too late.
 *
 *   node examples/fencing/pause.mjs redis-value.mjs redis://localhost:6379
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const [example = 'redis-value.mjs', ...settings] = process.argv.slice(2)
const script = fileURLToPath(new URL(example, import.meta.url))
const children = []

/** Starts the example, prints what it says, and waits for lines. */
function start(name) {
  const child = spawn(process.execPath, [script, ...settings], {
    env: { ...process.env, NAME: name },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  const lines = createInterface({ input: child.stdout })
  lines.on('line', (line) => console.log(`${name}: ${line}`))
  const ended = once(child, 'exit').then(([code, signal]) => {
    if (code !== 0) throw new Error(`${name} ended with ${code ?? signal}`)
  })
  const said = (start) =>
    new Promise((resolve) => lines.on('line', (line) => line.startsWith(start) && resolve()))
  return { child, ended, said: (start) => Promise.race([said(start), failed(ended)]) }
}

async function failed(ended) {
  await ended
  // What the process said last may still be on its way.
  await new Promise((resolve) => setTimeout(resolve, 1000))
  throw new Error('the process ended too early')
}

process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

const first = start('first')
await first.said('holding')
first.child.kill('SIGSTOP')
console.log('first is stopped')

const second = start('second')
await second.said('written')
await second.ended

first.child.kill('SIGCONT')
console.log('first is woken')
await first.ended
