/** One successful turn at a mutex, as a history knows it: two calls, each with begin and end. */
export interface MutexTurn {
  readonly turn: string
  /** The acquire was called, and came back. */
  readonly askedAt: number
  readonly enteredAt: number
  /**
   * The release was called. A lease that was lost is released by nobody's call: then this is the
   * last moment at which its holder saw it stand.
   */
  readonly leftAt: number
}

/**
 * Whether the history of a mutex is linearizable: whether each call can be given one moment between
 * its begin and its end such that acquires and releases alternate. Gives the first two turns that
 * cannot, or undefined.
 *
 * For a mutex this needs no search. An acquire takes effect at `enteredAt` at the latest and its
 * release at `leftAt` at the earliest, so whatever moments are chosen, the lock is taken all of
 * [enteredAt, leftAt]. Two turns whose such intervals meet cannot be put one after the other. If no
 * two meet, sort the turns by them, and let each acquire take effect right at `enteredAt` and each
 * release right at `leftAt`: they alternate, and each lies within its call. Calls without an answer
 * (a crash, an error) may have had no effect at all and forbid nothing; a holder that died is left
 * out after the last moment it was seen to hold.
 */
export function notLinearizable(
  turns: readonly MutexTurn[],
): readonly [MutexTurn, MutexTurn] | undefined {
  const order = [...turns].sort((a, b) => a.enteredAt - b.enteredAt || a.leftAt - b.leftAt)
  let last: MutexTurn | undefined
  for (const turn of order) {
    if (last !== undefined && turn.enteredAt < last.leftAt) return [last, turn]
    if (last === undefined || turn.leftAt > last.leftAt) last = turn
  }
  return undefined
}
