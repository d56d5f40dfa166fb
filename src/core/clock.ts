import { onAbort } from './abort.ts'

/** A timer that has been set. */
export interface Timer {
  /** Stops the timer. Calling it again, or after it fired, does nothing. */
  cancel(): void
}

/**
 * Time, handed in from outside, so that everything above the engines runs under a simulated clock.
 */
export interface Clock {
  /**
   * Milliseconds that never go back and that count the time a machine was suspended. The zero is
   * arbitrary.
   */
  now(): number
  /**
   * Calls `action` once, `delayMs` from now. A timer does not keep the process alive. Any number is
   * accepted: below 0 counts as 0, and a delay past the platform's limit fires no earlier than
   * asked.
   */
  setTimer(action: () => void, delayMs: number): Timer
}

/** Chance, handed in from outside. */
export interface Random {
  /** 128 random bits as 32 lowercase hex digits, from a cryptographic source. */
  identity(): string
  /** A fraction from 0 up to 1, for jitter only. */
  fraction(): number
}

/** Resolves after `ms`; rejects with the signal's reason as soon as that aborts. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error)
      return
    }
    const timer = clock.setTimer(() => {
      stop?.()
      resolve()
    }, ms)
    const stop =
      signal &&
      onAbort(signal, () => {
        timer.cancel()
        reject(signal.reason as Error)
      })
  })
}
