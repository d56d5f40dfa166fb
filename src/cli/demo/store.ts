/** What became of a write. */
export interface WriteResult {
  readonly accepted: boolean
  /** The largest fence seen before this write. */
  readonly largest: number
}

/** A resource under a lock: it takes no write with a smaller fence than the largest it saw. */
export class GuardedStore {
  #largest = 0

  write(fence: number): WriteResult {
    const largest = this.#largest
    const accepted = fence >= largest
    if (accepted) this.#largest = fence
    return { accepted, largest }
  }
}
