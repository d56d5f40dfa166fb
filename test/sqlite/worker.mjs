/**
 * A process that uses the locks of one file as it is told: one JSON command per line, one answer
 * each. Moments are nanoseconds of the monotonic clock, which all processes of a machine share.
 */
import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { answerCommands, say } from '../support/answers.mjs'

const { library, path, user } = JSON.parse(process.argv[2])
const { createHoldfast } = await import(`${library}/index.js`)
const { connectSqlite, sqlite } = await import(`${library}/engines/sqlite/index.js`)

if (user !== undefined) {
  // Loads the binding: that user may have no right to read it.
  await sqlite({ path }).close()
  process.setgroups(user.groups)
  process.setgid(user.uid)
  process.setuid(user.uid)
}

const holdfast = createHoldfast({ engine: await connectSqlite(path) })
const leases = new Map()
const instant = () => Number(process.hrtime.bigint())

/** One read-modify-write that loses an update when two do it at once. */
function count(folder, lock, fence) {
  const file = join(folder, lock)
  const [before, seen] = readFileSync(file, 'utf8').split(' ').map(Number)
  if (seen >= fence) throw new Error(`fence ${fence} came to ${lock} after ${seen}`)
  writeFileSync(`${file}.${process.pid}`, `${before + 1} ${fence}`)
  renameSync(`${file}.${process.pid}`, file)
  return before + 1
}

const commands = {
  async acquire({ lock, ...options }) {
    const lease = await holdfast.mutex(lock).acquire(options)
    leases.set(lock, lease)
    return { at: instant(), fence: lease.fence }
  },
  async release({ lock }) {
    return await leases.get(lock).release()
  },
  /** Answers when the lease is lost. */
  async lost({ lock }) {
    const { signal } = leases.get(lock)
    if (!signal.aborted) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    }
    return { at: instant(), message: signal.reason.message, reason: signal.reason.reason }
  },
  async cpu() {
    return process.cpuUsage()
  },
  /** Takes locks at random and counts under each, until the time is over or it is killed. */
  async storm({ folder, locks, ttlMs, forMs, random: start }) {
    let state = start
    const random = () => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0
      return state / 2 ** 32
    }
    const journal = join(folder, `journal-${process.pid}`)
    const end = performance.now() + forMs
    while (performance.now() < end) {
      const lock = `lock-${Math.floor(random() * locks)}`
      const lease = await holdfast.mutex(lock).acquire({ ttlMs })
      const { fence } = lease
      appendFileSync(journal, `start ${lock} ${fence} ${instant()}\n`)
      if (random() < 0.5) await new Promise((resolve) => setTimeout(resolve, random() * 4))
      const value = count(folder, lock, fence)
      appendFileSync(journal, `done ${lock} ${fence} ${instant()} ${value}\n`)
      await lease.release()
    }
  },
  async close() {
    await holdfast.close()
    input.close()
  },
}

const input = answerCommands(commands)
say({ id: 0, value: null })
