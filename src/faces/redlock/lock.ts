import type { Redlock } from './redlock.ts'
import type { ExecutionResult, ExecutionStats } from './types.ts'

/**
 * A lock on resources. It can be made anew from its `resources`, `value` and `expiration`, to
 * release or extend it elsewhere.
 */
export class Lock {
  readonly redlock: Redlock
  readonly resources: string[]
  /** What the resource's key holds; with several resources, what their keys' values derive from. */
  readonly value: string
  readonly attempts: readonly Promise<ExecutionStats>[]
  /** Until when the lock is certain to last, by `Date.now()`; 0 once released or extended. */
  expiration: number

  constructor(
    redlock: Redlock,
    resources: string[],
    value: string,
    attempts: readonly Promise<ExecutionStats>[],
    expiration: number,
  ) {
    this.redlock = redlock
    this.resources = resources
    this.value = value
    this.attempts = attempts
    this.expiration = expiration
  }

  /** See `Redlock.release`. */
  async release(): Promise<ExecutionResult> {
    return await this.redlock.release(this)
  }

  /** See `Redlock.extend`. */
  async extend(duration: number): Promise<Lock> {
    return await this.redlock.extend(this, duration)
  }
}
