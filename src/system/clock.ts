import { randomBytes } from 'node:crypto'
import type { Clock, Random, Timer } from '../core/clock.ts'

/** The clocks of a machine, each in milliseconds from a zero of its own. */
export interface ClockSources {
  /** Never set, never goes back; may stand still while the machine is suspended. */
  readonly monotonic: () => number
  /** The calendar: anybody may set it. */
  readonly wall: () => number
}

/** The largest delay that setTimeout takes; it fires a longer one at once. */
const TIMEOUT_MAX_MS = 2_147_483_647

/** How far wall and monotonic clock may drift apart before it counts. */
const SUSPICIOUS_MS = 50

/**
 * A clock that counts the time a machine was suspended.
 *
 * The monotonic clock stands still in a suspend; so does every other clock of a machine that a
 * hypervisor paused, but for the wall clock, which is corrected afterwards. A wall clock that jumps
 * ahead therefore counts as time that went by. That is wrong where somebody only set it, and then a
 * lease is given up early, which harms nobody. One that is set back changes nothing.
 */
export function createClock({ monotonic, wall }: ClockSources): Clock {
  let suspendedMs = 0
  /** How far the wall clock is ahead of the monotonic clock. */
  let leadMs = wall() - monotonic()

  const now = () => {
    const monotonicMs = monotonic()
    const jumpMs = wall() - monotonicMs - leadMs
    if (jumpMs > SUSPICIOUS_MS || jumpMs < -SUSPICIOUS_MS) {
      leadMs += jumpMs
      suspendedMs += Math.max(0, jumpMs)
    }
    return monotonicMs + suspendedMs
  }

  return { now, setTimer: (action, delayMs) => startTimer(now, action, delayMs) }
}

/** The clock of this machine. */
export const systemClock: Clock = createClock({
  monotonic: () => performance.now(),
  wall: () => Date.now(),
})

/** Microseconds since 1970 by the wall clock. */
export function wallMicros(): number {
  return Date.now() * 1000
}

const IDENTITY_BYTES = 16
const POOL_BYTES = 256 * IDENTITY_BYTES

let pool = Buffer.alloc(0)
let used = 0

/** Chance from the operating system. */
export const systemRandom: Random = {
  identity() {
    // One call for many: asking the generator costs ten times as much as the bytes.
    if (used >= pool.length) {
      pool = randomBytes(POOL_BYTES)
      used = 0
    }
    used += IDENTITY_BYTES
    return pool.toString('hex', used - IDENTITY_BYTES, used)
  },
  fraction: () => Math.random(),
}

function startTimer(now: () => number, action: () => void, delayMs: number): Timer {
  const dueMs = now() + (delayMs > 0 ? delayMs : 0)
  const arm = () => {
    const leftMs = Math.min(Math.ceil(Math.max(0, dueMs - now())), TIMEOUT_MAX_MS)
    const timeout = setTimeout(onTimeout, leftMs)
    timeout.unref()
    return timeout
  }
  const onTimeout = () => {
    // The event loop counts whole milliseconds and may be early by a part of one.
    if (now() < dueMs) timeout = arm()
    else action()
  }
  let timeout = arm()
  return { cancel: () => clearTimeout(timeout) }
}
