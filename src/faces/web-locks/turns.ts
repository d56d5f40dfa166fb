import { onAbort } from '../../core/abort.ts'

/**
 * Lets the requests of one manager for one name reach the engine in the order in which they were
 * made, whatever the connection does to them: one is sent when the one before stands in the line,
 * or is answered.
 */
export class Turns {
  readonly #last = new Map<string, Promise<void>>()

  /**
   * Calls `enter` when it is the turn of this request; `enter` calls `stands` as soon as the next
   * may go. Rejects with the signal's reason when that aborts before.
   */
  async take<T>(
    name: string,
    signal: AbortSignal | undefined,
    enter: (stands: () => void) => Promise<T>,
  ): Promise<T> {
    const before = this.#last.get(name)
    let stands: () => void = () => undefined
    const standing = new Promise<void>((resolve) => {
      stands = resolve
    })
    // Whoever gives up early must not let those behind overtake those in front.
    const over = Promise.all([before, standing]).then(() => {
      if (this.#last.get(name) === over) this.#last.delete(name)
    })
    this.#last.set(name, over)
    try {
      if (before !== undefined) await unlessAborted(before, signal)
      return await enter(stands)
    } finally {
      stands()
    }
  }

  /** Resolves when everything asked for until now stands in its line or is answered. */
  async all(): Promise<void> {
    await Promise.all(this.#last.values())
  }
}

function unlessAborted(before: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return before
  return new Promise((resolve, reject) => {
    const stop = onAbort(signal, () => reject(signal.reason as Error))
    void before.then(() => {
      stop()
      resolve()
    })
  })
}
