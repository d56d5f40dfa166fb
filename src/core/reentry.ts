import type { Context } from './context.ts'
import type { Shape } from './engine.ts'
import { DeadlockError, ShapeError } from './errors.ts'
import type { Lease } from './lease.ts'

/** One lock that `run` holds around the work that runs now. */
export interface Hold {
  readonly lease: Lease
  /** The `run` has ended. What it started may live on, without a right to the lock. */
  over: boolean
  /** What the work around holds. */
  readonly outer: Hold | undefined
}

/**
 * Which locks the work that runs now stands inside. The right to enter again belongs to that work
 * and what it starts, and ends with the `run` that gave it: nobody else of the process has it.
 */
export class Reentry {
  readonly #context: Context<Hold | undefined>

  constructor(context: Context<Hold | undefined>) {
    this.#context = context
  }

  /** Runs `work` inside no lease, whoever calls. */
  outside(work: () => void): void {
    this.#context.run(undefined, work)
  }

  /** Runs `work` inside these leases; it resolves or rejects as `work` does. */
  async within<T>(leases: readonly Lease[], work: () => T | PromiseLike<T>): Promise<T> {
    const holds: Hold[] = []
    let outer = this.#context.getStore()
    for (const lease of leases) {
      outer = { lease, over: false, outer }
      holds.push(outer)
    }
    try {
      return await this.#context.run(outer, work)
    } finally {
      for (const hold of holds) hold.over = true
    }
  }

  /**
   * The lease of a lock that the work around holds; `undefined` when it holds none. Throws
   * `DeadlockError` when it holds too few permits, and `ShapeError` when it is another lock.
   */
  find(name: string, shape: Shape, permits: number): Lease | undefined {
    let most: Lease | undefined
    for (let hold = this.#context.getStore(); hold !== undefined; hold = hold.outer) {
      if (hold.over || hold.lease.name !== name) continue
      const held = hold.lease.shape
      if (held.kind !== shape.kind || held.capacity !== shape.capacity) {
        throw new ShapeError(name, shape, held)
      }
      if (hold.lease.permits >= permits) return hold.lease
      if (most === undefined || hold.lease.permits > most.permits) most = hold.lease
    }
    if (most !== undefined) throw new DeadlockError(name, shape, permits, most.permits)
    return undefined
  }
}
