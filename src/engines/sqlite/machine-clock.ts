import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { uptime } from 'node:os'

/** The clocks that all processes of one machine read alike. */
export interface MachineSources {
  /** Microseconds of the monotonic clock: one zero for all processes, may stand in a suspend. */
  readonly monotonicUs: () => number
  /** Microseconds since boot, suspended time included. May be coarse; may throw. */
  readonly uptimeUs: () => number
  /** Milliseconds of the calendar clock: only to suspect that something happened. */
  readonly wallMs: () => number
  /** Names this boot; `''` where the system does not tell. */
  readonly boot: string
}

/** How far the clocks may part before it counts as a suspend; above what their reading costs. */
const SUSPEND_US = 50_000

/** Asking for the uptime costs a file read, so it is asked for this often unless in doubt. */
const CHECK_US = 1_000_000

/**
 * The moment on this machine: the monotonic clock, raised by the time that the machine was
 * suspended. How much that is stands in the file, so that all processes say the same.
 */
export class MachineClock {
  readonly sources: MachineSources
  #checkedUs = Number.NEGATIVE_INFINITY
  #checkedWallMs = 0
  #measuredUs: number | undefined

  constructor(sources: MachineSources) {
    this.sources = sources
  }

  monotonicUs(): number {
    return this.sources.monotonicUs()
  }

  /** What to raise the monotonic clock by: what is known, or more after a suspend. */
  suspendedUs(knownUs: number): number {
    const measured = this.#measure()
    return measured !== undefined && measured > knownUs + SUSPEND_US ? measured : knownUs
  }

  /**
   * For a boot that nobody has measured yet. A container may see an uptime of its own: a sum below
   * zero would be a suspend for whoever sees the machine's.
   */
  firstSuspendedUs(): number {
    return Math.max(0, this.#measure() ?? 0)
  }

  #measure(): number | undefined {
    const { monotonicUs, wallMs, uptimeUs } = this.sources
    const nowUs = monotonicUs()
    const sinceUs = nowUs - this.#checkedUs
    const wallUs = (wallMs() - this.#checkedWallMs) * 1000
    if (sinceUs < CHECK_US && Math.abs(wallUs - sinceUs) < SUSPEND_US) return this.#measuredUs
    this.#checkedUs = nowUs
    this.#checkedWallMs = wallMs()
    try {
      // The uptime first: whatever goes by in between makes the difference smaller, never larger.
      const upUs = uptimeUs()
      this.#measuredUs = Math.floor(upUs - monotonicUs())
    } catch {
      this.#measuredUs = undefined
    }
    return this.#measuredUs
  }
}

/** The clocks of this machine. */
export function machineSources(): MachineSources {
  return {
    monotonicUs: () => {
      const [seconds, nanoseconds] = process.hrtime()
      return seconds * 1_000_000 + Math.floor(nanoseconds / 1000)
    },
    uptimeUs: () => uptime() * 1_000_000,
    wallMs: () => Date.now(),
    boot: bootId(),
  }
}

let known: string | undefined

function bootId(): string {
  known ??= readBootId()
  return known
}

function readBootId(): string {
  try {
    if (process.platform === 'linux') {
      return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    }
    if (process.platform === 'darwin') {
      const asked = ['-n', 'kern.bootsessionuuid']
      return execFileSync('/usr/sbin/sysctl', asked, { encoding: 'utf8', timeout: 2000 }).trim()
    }
  } catch {
    // Then a new boot shows by a monotonic clock that went back.
  }
  return ''
}
