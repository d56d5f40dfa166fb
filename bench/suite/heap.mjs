/** What held locks cost in this process's heap, and what is left of them. */
import { contenderNamed } from '../contenders/index.mjs'
import { collect } from './collect.mjs'

const { contender, url, locks: count } = JSON.parse(process.argv[2])
const opened = await contenderNamed(contender).open({ url, ttlMs: 60_000 })

async function inUse() {
  for (let times = 0; times < 3; times++) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    collect()
  }
  return process.memoryUsage().heapUsed
}

const held = Array.from({ length: count }, () => null)

/** 64 at a time: the requests on their way are not what is measured. */
async function each(work) {
  let next = 0
  const lane = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: 64 }, lane))
}

const takeAll = (label) =>
  each(async (at) => {
    const lock = opened.lock(`${label} ${at}`)
    held[at] = { lock, grant: await lock.acquire() }
  })

const leaveAll = () =>
  each(async (at) => {
    const { lock, grant } = held[at]
    held[at] = null
    await lock.release(grant)
  })

// What grows once, such as hidden tables and compiled code, is there before it is measured.
for (const label of ['first', 'second']) {
  await takeAll(label)
  await leaveAll()
}
const before = await inUse()
await takeAll('measured')
const full = await inUse()
await leaveAll()
const after = await inUse()
process.send({ held: (full - before) / count, left: (after - before) / count })
process.exit()
