/**
 * Puts events of several processes into the order of their times: each message is kept for a
 * moment, since one that happened earlier may arrive later.
 */
export class Chronicle<E extends { readonly atMs: number }> {
  readonly #keepMs: number
  #kept: { event: E; arrivedAtMs: number }[] = []

  constructor(keepMs: number) {
    this.#keepMs = keepMs
  }

  add(event: E, arrivedAtMs: number): void {
    this.#kept.push({ event, arrivedAtMs })
  }

  /** Takes out what is old enough by `nowMs`, with all that happened before it, earliest first. */
  take(nowMs: number): E[] {
    let upToMs = Number.NEGATIVE_INFINITY
    for (const { event, arrivedAtMs } of this.#kept) {
      if (arrivedAtMs <= nowMs - this.#keepMs) upToMs = Math.max(upToMs, event.atMs)
    }
    const due = this.#kept.filter(({ event }) => event.atMs <= upToMs)
    this.#kept = this.#kept.filter(({ event }) => event.atMs > upToMs)
    return due.map(({ event }) => event).sort((a, b) => a.atMs - b.atMs)
  }
}
