import type { ExecutionStats } from './types.ts'

/** One or more of the resources are locked by somebody else, or not locked by this lock. */
export class ResourceLockedError extends Error {
  override readonly name = 'ResourceLockedError'
  override readonly message: string

  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.message = message
  }
}

/** An operation had no success. `attempts` tells which client said what; `cause` is the reason. */
export class ExecutionError extends Error {
  override readonly name = 'ExecutionError'
  override readonly message: string
  readonly attempts: readonly Promise<ExecutionStats>[]

  constructor(
    message: string,
    attempts: readonly Promise<ExecutionStats>[],
    options?: { cause?: unknown },
  ) {
    super(message, options)
    this.message = message
    this.attempts = attempts
  }
}
