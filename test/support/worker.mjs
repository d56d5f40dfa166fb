/**
 * A process that takes locks as it is told. Reads one JSON command per line and answers each with
 * one line. Moments are nanoseconds of the monotonic clock, which all processes of a machine share.
 */
import { answerCommands, say } from './answers.mjs'

const { library, url, options, wallOffsetMs } = JSON.parse(process.argv[2])

let offsetMs = wallOffsetMs
const RealDate = Date
globalThis.Date = class extends RealDate {
  constructor(...parts) {
    super(...(parts.length > 0 ? parts : [RealDate.now() + offsetMs]))
  }
  static now() {
    return RealDate.now() + offsetMs
  }
}

const { connect } = await import(`${library}/index.js`)
const holdfast = await connect(url, options)
const leases = new Map()
const controllers = new Map()
const instant = () => Number(process.hrtime.bigint())
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const commands = {
  async acquire({ lock, as = lock, ...rest }) {
    const controller = new AbortController()
    controllers.set(as, controller)
    const { signal } = controller
    const lease = await holdfast.mutex(lock).acquire({ ...rest, signal })
    const at = instant()
    leases.set(as, { lease, signal: lease.signal })
    return { at, fence: lease.fence, identity: lease.identity }
  },
  async cancel({ as }) {
    controllers.get(as).abort()
  },
  async release({ as }) {
    const { lease } = leases.get(as)
    const at = instant()
    return { at, released: await lease.release() }
  },
  async look({ as }) {
    const { lease, signal } = leases.get(as)
    const { held, state, remainingMs } = lease
    return { held, state, remainingMs, aborted: signal.aborted }
  },
  async setWall({ offsetMs: next }) {
    offsetMs = next
  },
  /** Blocks the event loop and asks at once, like code that was in the middle of its work. */
  async block({ as, ms }) {
    const { lease, signal } = leases.get(as)
    const end = performance.now() + ms
    while (performance.now() < end) {}
    let thrown
    const { held } = lease
    try {
      lease.assertHeld()
    } catch (error) {
      thrown = error.code
    }
    const ownSignal = lease.signal.aborted
    await pause(0)
    return { held, thrown, ownSignal, aborted: signal.aborted }
  },
  /** Asks without a break whether the lease is held; answers when it last was. */
  async spin({ as, ms }) {
    const { lease } = leases.get(as)
    const end = performance.now() + ms
    let lastHeldAt = lease.held ? instant() : 0
    say({ spinning: as })
    while (performance.now() < end) {
      const at = instant()
      if (lease.held) lastHeldAt = at
    }
    return { lastHeldAt }
  },
  /** Takes and leaves the lock again and again; answers with who had it when. */
  async turns({ lock, turns, holdMs = 0, forMs = Number.POSITIVE_INFINITY, ...rest }) {
    const intervals = []
    const end = performance.now() + forMs
    while (intervals.length < turns && performance.now() < end) {
      await holdfast.mutex(lock).run(async ({ fence }) => {
        const from = instant()
        await pause(holdMs)
        intervals.push({ from, to: instant(), fence })
      }, rest)
    }
    return { intervals }
  },
  async close() {
    await holdfast.close()
    input.close()
  },
}

const input = answerCommands(commands)
say({ ready: true })
