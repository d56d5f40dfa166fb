const BUCKETS = 1024

/** What is kept for one identity, and what is kept behind it in the same bucket. */
export interface Kept<T> {
  readonly identity: string
  nextInBucket: T | undefined
}

/**
 * Finds by identity what comes and goes with every call. A Map would make a new table every few
 * calls, see `Chain`. Identities are random, so that their last digits spread them evenly.
 */
export class ByIdentity<T extends Kept<T>> {
  readonly #buckets: (T | undefined)[] = Array.from({ length: BUCKETS })
  #size = 0

  get size(): number {
    return this.#size
  }

  get(identity: string): T | undefined {
    let kept = this.#buckets[bucketOf(identity)]
    while (kept !== undefined && kept.identity !== identity) kept = kept.nextInBucket
    return kept
  }

  /** Nothing is kept for its identity yet. */
  add(kept: T): void {
    const bucket = bucketOf(kept.identity)
    kept.nextInBucket = this.#buckets[bucket]
    this.#buckets[bucket] = kept
    this.#size += 1
  }

  delete(identity: string): void {
    const bucket = bucketOf(identity)
    let before: T | undefined
    for (let kept = this.#buckets[bucket]; kept !== undefined; kept = kept.nextInBucket) {
      if (kept.identity === identity) {
        if (before === undefined) this.#buckets[bucket] = kept.nextInBucket
        else before.nextInBucket = kept.nextInBucket
        kept.nextInBucket = undefined
        this.#size -= 1
        return
      }
      before = kept
    }
  }

  clear(): void {
    this.#buckets.fill(undefined)
    this.#size = 0
  }

  /** All that are kept now, in no order. */
  toArray(): T[] {
    const all: T[] = []
    for (const first of this.#buckets) {
      for (let kept = first; kept !== undefined; kept = kept.nextInBucket) all.push(kept)
    }
    return all
  }
}

/** The multiplier lets the digits of hexadecimal numbers meet all buckets. */
function bucketOf(identity: string): number {
  const { length } = identity
  const high = identity.charCodeAt(length - 3) * 11 + identity.charCodeAt(length - 2)
  // Too short a name has no such digits.
  return (high * 11 + identity.charCodeAt(length - 1)) % BUCKETS || 0
}
