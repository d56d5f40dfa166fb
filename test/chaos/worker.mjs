/**
 * A process that takes locks again and again and writes down what it does, until it is told to
 * stop or is killed. What it writes is in the file at once, so that a kill loses nothing of it.
 * Moments are milliseconds of the monotonic clock, which all processes of a machine share.
 */
import { openSync, readSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { openResource } from './resource-client.mjs'

const settings = JSON.parse(process.argv[2])
const { journal, lock, capacity, kind, loops, holdMs, longHoldMs, waitMs } = settings

const now = () => Number(process.hrtime.bigint()) / 1e6
const out = openSync(journal, 'a')
const note = (what, entry) => writeSync(out, `${JSON.stringify({ what, ...entry })}\n`)
const between = ([least, most]) => least + Math.random() * (most - least)

for (const event of ['unhandledRejection', 'uncaughtException']) {
  process.on(event, (error) => note('unhandled', { at: now(), message: `${event}: ${error}` }))
}

let stopping = false
const commands = {
  /** Blocks the event loop without using the processor. */
  block({ ms }) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
  },
  stop() {
    stopping = true
  },
}
const input = createInterface({ input: process.stdin })
input.on('line', (line) => {
  const { command, ...rest } = JSON.parse(line)
  commands[command](rest)
})

/** A number in a file that nobody guards but the lock. */
const file = openSync(settings.counter, 'r+')
const bytes = Buffer.alloc(16)
const counter = {
  read() {
    readSync(file, bytes, 0, 16, 0)
    return Number(bytes.toString())
  },
  write(value) {
    bytes.write(String(value).padStart(16))
    writeSync(file, bytes, 0, 16, 0)
  },
}

async function opened() {
  const { open } = await import(settings.maker)
  while (!stopping) {
    try {
      return await open(settings)
    } catch (error) {
      note('failed', { at: now(), stage: 'connect', code: error.code ?? error.name })
      await pause(20)
    }
  }
  return undefined
}

const resource = await openResource(settings.resource)
const locks = await opened()
let turns = 0

/** Takes the lock, works under it, and leaves. */
async function takeTurn() {
  turns += 1
  const turn = `${settings.name}.${turns}`
  const permits = kind === 'mutex' ? capacity : Math.random() < 0.3 ? capacity : 1
  note('ask', { turn, lock, at: now(), permits, capacity })
  let lease
  try {
    lease = await locks.acquire(lock, { permits, capacity, timeoutMs: waitMs })
  } catch (error) {
    note('failed', { turn, at: now(), stage: 'acquire', code: error.code ?? String(error) })
    await pause(between([5, 30]))
    return
  }
  const at = now()
  // What holds now held a moment ago, and so at the moment that is written down.
  if (lease.held) note('enter', { turn, at, fence: lease.fence })
  else note('late', { turn, at, fence: lease.fence })
  if (lease.held) await work(lease, turn, permits === capacity)
  note('exit', { turn, at: now() })
  try {
    const there = await lease.release()
    note('released', { turn, at: now(), there })
  } catch (error) {
    note('failed', { turn, at: now(), stage: 'release', code: error.code ?? String(error) })
  }
}

/** Whether the lease stands; what is written is a moment at which it did for certain. */
function stands(lease, turn) {
  const at = now()
  if (lease.held) {
    note('held', { turn, at })
    return true
  }
  // Whoever asks is told by all ways at once.
  note('told', { turn, at: now(), how: 'asked', signalled: lease.signal.aborted })
  return false
}

async function work(lease, turn, alone) {
  const tell = () => note('told', { turn, at: now(), how: 'signal', signalled: true })
  if (lease.signal.aborted) tell()
  else lease.signal.addEventListener('abort', tell)
  const { fence } = lease
  const from = now()
  const endMs = from + between(Math.random() < settings.longShare ? longHoldMs : holdMs)
  const seen = alone ? await resource.read(lock, fence, turn) : undefined
  const readAt = now()
  const read = alone ? counter.read() : 0
  let standing = stands(lease, turn)
  const { careless } = settings
  while ((standing || careless) && now() < endMs) {
    await pause(Math.min(10, Math.max(1, endMs - now())))
    // Whoever was told once stays out.
    standing &&= careless || stands(lease, turn)
  }
  if (!alone) return
  if (standing || careless) {
    note('update', { turn, at: now(), read, readAt })
    counter.write(read + 1)
    const at = now()
    note('updated', { turn, at, held: lease.held })
  }
  if (seen === 'refused') {
    note('refused', { turn, at: now(), held: stands(lease, turn), late: !standing })
    return
  }
  // Also when the lease is lost: to refuse that is the resource's part, and the fence's.
  const written = await resource.write(lock, fence, turn, seen + 1)
  if (written === 'refused') {
    note('refused', { turn, at: now(), held: lease.held, late: !standing })
  } else if (!standing) note('accepted', { turn, at: now(), fence })
}

async function loop() {
  while (!stopping) {
    await takeTurn()
    if (settings.restMs) await pause(between(settings.restMs))
  }
}

/** Says when this process did not run although it should have. */
function watchLag() {
  let beat = now()
  setInterval(() => {
    const at = now()
    if (at - beat > 30) note('lag', { at, ms: at - beat - 20 })
    beat = at
  }, 20).unref()
}

note('ready', { at: now() })
watchLag()
if (locks) {
  await Promise.all(Array.from({ length: loops }, loop))
  await locks.close()
}
note('closed', { at: now() })
resource.close()
input.close()
