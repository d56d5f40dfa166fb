/**
 * One process of a crew: plays one contender as it is told, and says when it had the lock. Moments
 * are nanoseconds of the monotonic clock, which all processes of a machine share.
 */
import { setMaxListeners } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { contenderNamed } from '../contenders/index.mjs'
import { Ends } from './ends.mjs'
import { FreeLocks, instant, StandingLine, turn } from './lanes.mjs'

const job = JSON.parse(process.argv[2])
const opened = await contenderNamed(job.contender).open(job)
let standing
let free
let ends

const orders = {
  /** Every lane goes on until the time is over. */
  async play({ name, lanes = 1, startAt, forMs }) {
    const lock = opened.lock(name)
    const turns = []
    await until(startAt)
    const end = startAt + forMs * 1e6
    const lane = async () => {
      while (instant() < end) await turn(lock, turns)
    }
    return await costOf(turns, () => Promise.all(Array.from({ length: lanes }, lane)))
  },

  /** So many lanes take so many free locks in turn. */
  async free({ locks, lanes, forMs }) {
    const lock = (_, at) => opened.lock(`key ${at}`)
    if (free?.lanes !== lanes) free = new FreeLocks(Array.from({ length: locks }, lock), lanes)
    return await free.take(forMs)
  },

  /** Gives the lock from one end to the other, so often; the ends of another lock are closed. */
  async give({ name, url, times, settleMs }) {
    if (ends?.name !== name) {
      await ends?.close()
      const at = { ...job, url }
      ends = await Ends.open(() => contenderNamed(job.contender).open(at), name, url)
    }
    return await ends.handOffs(times, settleMs, job.contender)
  },

  /** Every lane has the lock once; what is not done within `capMs` is left undone. */
  async burst({ name, lanes, startAt, capMs }) {
    const lock = opened.lock(name)
    const turns = []
    await until(startAt)
    const all = Promise.all(Array.from({ length: lanes }, () => turn(lock, turns)))
    return await costOf(turns, () => Promise.race([all, pause(capMs)]))
  },

  /** Somebody has the lock, `lanes` wait for it. */
  async wait({ name, lanes, hold }) {
    const lock = opened.lock(name)
    if (hold) await lock.acquire()
    for (let lane = 0; lane < lanes; lane++) lock.acquire().catch(() => {})
    return {}
  },

  /** Holds so many locks, and renews them, until the process ends. */
  async keep({ locks }) {
    const { signal } = new AbortController()
    setMaxListeners(0, signal)
    for (let at = 0; at < locks; at++) {
      const lock = opened.lock(`kept ${at}`)
      if (lock.keep) lock.keep(signal).catch(() => {})
      else await lock.acquire()
    }
    return {}
  },

  /** Somebody has the lock, and so many lanes stand in line that come back after every turn. */
  async stand({ name, lanes }) {
    standing = new StandingLine(opened.lock(name))
    await standing.form(lanes)
    return {}
  },

  /** Lets the line move, until so many have had the lock; the last of them keeps it. */
  move: ({ grants, capMs }) => standing.move(grants, capMs),

  /** Everybody has the lock once more and goes. */
  async scatter() {
    await standing.scatter()
    return {}
  },
}

/** The clock of `setTimeout` is coarse; the last part is waited for turn by turn. */
async function until(startAt) {
  const leftMs = (startAt - instant()) / 1e6
  if (leftMs > 5) await pause(leftMs - 5)
  while (instant() < startAt) await new Promise((resolve) => setImmediate(resolve))
}

async function costOf(turns, work) {
  const before = process.cpuUsage()
  const from = instant()
  await work()
  const ms = (instant() - from) / 1e6
  const { user, system } = process.cpuUsage(before)
  // A copy: turns that end later are not part of it.
  return { turns: Float64Array.from(turns), cpuUs: user + system, ms }
}

process.on('message', (message) => {
  if (message === null) {
    void Promise.all([ends?.close(), opened.close()]).then(() => process.disconnect())
    return
  }
  const { order, ...details } = message
  orders[order](details).then(
    (report) => process.send(report),
    (error) => process.send({ failed: error.stack ?? String(error) }),
  )
})
// A lane that failed while nobody waited for it.
process.on('unhandledRejection', (error) => process.send({ failed: error.stack ?? String(error) }))
process.on('disconnect', () => process.exit())
process.send({ ready: true })
