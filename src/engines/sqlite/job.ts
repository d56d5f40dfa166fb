import type { Transaction } from './transaction.ts'

/** A call and what is to be done for it in the file. */
export interface Task<T, R> {
  readonly operation: string
  readonly lock: string | undefined
  readonly work: (transaction: Transaction) => T
  readonly after: (result: T, transaction: Transaction) => R
  readonly quick: ((transaction: Transaction) => T | undefined) | undefined
}

/** A task that waits for its turn in the file. */
export interface Job {
  readonly operation: string
  readonly lock: string | undefined
  /** By the monotonic clock: how long to go on trying. */
  readonly untilMs: number
  /** Does its part of the transaction; what it returns is called after the commit. */
  readonly work: (transaction: Transaction) => () => void
  /** Does it in one statement outside of any transaction, or nothing and answers undefined. */
  readonly quick: ((transaction: Transaction) => (() => void) | undefined) | undefined
  readonly reject: (error: Error) => void
}

export function jobOf<T, R>(
  { operation, lock, work, after, quick }: Task<T, R>,
  timeoutMs: number,
  { resolve, reject }: { resolve: (value: R) => void; reject: (error: Error) => void },
): Job {
  return {
    operation,
    lock,
    untilMs: performance.now() + timeoutMs,
    reject,
    work: (transaction) => {
      const result = work(transaction)
      return () => resolve(after(result, transaction))
    },
    quick:
      quick &&
      ((transaction) => {
        const result = quick(transaction)
        return result === undefined ? undefined : () => resolve(after(result, transaction))
      }),
  }
}
