import { randomBytes } from 'node:crypto'
import { uptime } from 'node:os'
import type { Clock, Random, Timer } from '../core/clock.ts'

/** The clocks of a machine, each in milliseconds from a zero of its own. */
export interface ClockSources {
  /** Never set, never goes back; may stand still while the machine is suspended. */
  readonly monotonic: () => number
  /** The calendar: anybody may set it. */
  readonly wall: () => number
  /**
   * Counts suspended time and is never set, at a resolution of 10 ms or better. `null` where there
   * is none; may throw where it cannot be read.
   */
  readonly boot: (() => number) | null
}

/** The largest delay that setTimeout takes; it fires a longer one at once. */
const TIMEOUT_MAX_MS = 2_147_483_647

/** How far wall and monotonic clock may drift apart before somebody asks why. */
const SUSPICIOUS_MS = 50

/** Twice the resolution of the boot clock: what two readings of it may be wrong by. */
const BOOT_NOISE_MS = 20

/**
 * A clock that counts the time a machine was suspended.
 *
 * The monotonic clock stands still in a suspend, the wall clock does not; but the wall clock also
 * jumps when it is set. A boot clock tells the two apart. Without one, a jump ahead counts as time
 * that went by, because a lease that is given up early harms nobody.
 */
export function createClock(sources: ClockSources): Clock {
  const { monotonic, wall } = sources
  const boot = () => {
    try {
      return sources.boot?.() ?? null
    } catch {
      return null
    }
  }
  let suspendedMs = 0
  /** How far wall and boot clock are ahead of the monotonic clock. */
  let wallLeadMs = wall() - monotonic()
  let bootLeadMs = leadOf(boot(), monotonic())

  const explain = (jumpMs: number, monotonicMs: number) => {
    const before = bootLeadMs
    bootLeadMs = leadOf(boot(), monotonicMs)
    wallLeadMs += jumpMs
    if (before === null || bootLeadMs === null) {
      suspendedMs += Math.max(0, jumpMs)
    } else if (bootLeadMs - before > BOOT_NOISE_MS) {
      suspendedMs += bootLeadMs - before
    }
  }

  const now = () => {
    const monotonicMs = monotonic()
    const jumpMs = wall() - monotonicMs - wallLeadMs
    if (jumpMs > SUSPICIOUS_MS || jumpMs < -SUSPICIOUS_MS) explain(jumpMs, monotonicMs)
    return monotonicMs + suspendedMs
  }

  return { now, setTimer: (action, delayMs) => startTimer(now, action, delayMs) }
}

function leadOf(bootMs: number | null, monotonicMs: number): number | null {
  return bootMs === null ? null : bootMs - monotonicMs
}

/** The clock of this machine. */
export const systemClock: Clock = createClock({
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  // Elsewhere the time since boot is computed from the wall clock, or stands still like the other.
  boot: process.platform === 'linux' ? () => uptime() * 1000 : null,
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
