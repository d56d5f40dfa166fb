const LONGEST_TIMER_MS = 2_147_483_647

/**
 * Keeps the process alive from the first use of a port to its close. Sockets do so too, but not
 * between two of them, when the server is away and everything waits on timers that do not.
 */
export class Anchor {
  #timer: NodeJS.Timeout | undefined
  #gone = false

  hold(): void {
    if (!this.#timer && !this.#gone) this.#timer = setInterval(() => {}, LONGEST_TIMER_MS)
  }

  async letGo(): Promise<void> {
    this.#gone = true
    clearInterval(this.#timer)
    // Destroyed sockets let go of the process at the end of this turn of the event loop.
    for (let turn = 0; turn < 2; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  }
}
