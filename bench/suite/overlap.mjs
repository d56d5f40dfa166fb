/** Whoever says that two had one lock at once; the run has failed. */
export class OverlapError extends Error {
  name = 'OverlapError'
}

/** Stands inside the lock and counts. Every contended turn goes through it. */
export class Gate {
  #inside = new Map()
  #fences = new Map()
  overlaps = 0

  enter(name, fence) {
    if (this.#inside.get(name)) this.overlaps += 1
    this.#inside.set(name, true)
    if (fence === undefined) return
    if (fence <= (this.#fences.get(name) ?? 0)) this.overlaps += 1
    this.#fences.set(name, fence)
  }

  leave(name) {
    this.#inside.set(name, false)
  }

  check(contender) {
    if (this.overlaps > 0) throw overlapping(contender, this.overlaps)
  }
}

/**
 * Finds overlaps among turns of several processes, by the clock that they share: the next may begin
 * only after the one before began to leave. A fence must be larger than the one before.
 *
 * @param {{ from: number, to: number, fence: number | undefined }[]} turns in the order of `from`
 */
export function overlapsIn(turns) {
  let overlaps = 0
  let leftAt = 0
  let fence = 0
  for (const turn of turns) {
    if (turn.from < leftAt || turn.fence <= fence) overlaps += 1
    leftAt = Math.max(leftAt, turn.to)
    fence = Math.max(fence, turn.fence || 0)
  }
  return overlaps
}

export function overlapping(contender, count) {
  return new OverlapError(
    `${contender}: ${count} overlap(s): the lock was held twice at once, or a fence did not grow`,
  )
}
