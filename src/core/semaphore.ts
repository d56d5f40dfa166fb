import type { Core } from './core.ts'
import { quote } from './errors.ts'
import { Lock } from './lock.ts'
import { checkWhole, type LeaseOptions, type LeaseSettings, MAX_MS, show } from './options.ts'

/** What a semaphore is made with. */
export interface SemaphoreOptions extends LeaseOptions {
  /** Permits in all: 1 to 2147483647. Everybody must name the same. */
  readonly capacity: number
}

/** How much of a semaphore one lease takes. */
export interface PermitOptions {
  /** 1 to the capacity, 1 by default. */
  readonly permits?: number
}

/**
 * A lock that several leases share: together they hold at most `capacity` permits. Served in order:
 * a waiter that asks for many is not overtaken by those behind it that ask for few.
 */
export class Semaphore extends Lock<PermitOptions> {
  /** Permits in all. */
  readonly capacity: number

  /** @internal */
  constructor(core: Core, name: string, capacity: number, settings: LeaseSettings) {
    checkWhole('capacity', capacity, 1, MAX_MS)
    const permits = (options: unknown) => permitsOf(name, capacity, options)
    super(core, { name, shape: { kind: 'semaphore', capacity }, permits }, settings)
    this.capacity = capacity
  }
}

function permitsOf(name: string, capacity: number, options: unknown): number {
  const permits: unknown = (options as PermitOptions | undefined)?.permits ?? 1
  const semaphore = `the capacity of semaphore ${quote(name)} (${capacity})`
  if (typeof permits !== 'number') {
    throw new TypeError(`permits must be a number from 1 to ${semaphore}, got ${show(permits)}.`)
  }
  if (!Number.isInteger(permits) || permits < 1 || permits > capacity) {
    throw new RangeError(
      `permits must be a whole number from 1 to ${semaphore}, got ${show(permits)}.`,
    )
  }
  return permits
}
