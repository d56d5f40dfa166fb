/**
 * The decisions of the protocol, apart from everything that sends and waits: the engine runs by
 * them, and test/model explores them exhaustively.
 */

/** How many of all configured nodes decide, whether or not they answer. */
export function majorityOf(nodes: number): number {
  return Math.floor(nodes / 2) + 1
}

/** What one node said of a grant: the fence it holds for us, that it does not, or nothing yet. */
export type GrantVote = number | 'no' | 'open'

/** What the votes of a grant add up to. */
export type GrantDecision =
  | { readonly step: 'report' | 'raise'; readonly fence: number }
  | { readonly step: 'beaten' | 'open' }

/**
 * A fence may be reported once a majority holds exactly that. Where a majority granted different
 * ones, the largest must be written to a majority first: a later grant may meet only the nodes that
 * drew a smaller one, and would then come out smaller than this.
 */
export function decideGrant(votes: readonly GrantVote[]): GrantDecision {
  const majority = majorityOf(votes.length)
  const fences = votes.filter((vote) => typeof vote === 'number')
  for (const fence of fences) {
    if (countOf(fences, fence) >= majority) return { step: 'report', fence }
  }
  if (fences.length >= majority) return { step: 'raise', fence: Math.max(...fences) }
  const open = countOf(votes, 'open')
  return { step: fences.length + open < majority ? 'beaten' : 'open' }
}

/**
 * Whether a majority confirmed the raised fence. A node counts only if it says that the lock was
 * still ours when it raised its counter: `no` where it was not.
 */
export function decideRaise(
  votes: readonly GrantVote[],
  fence: number,
): 'confirmed' | 'failed' | 'open' {
  const majority = majorityOf(votes.length)
  const confirmed = countOf(votes, fence)
  if (confirmed >= majority) return 'confirmed'
  return confirmed + countOf(votes, 'open') < majority ? 'failed' : 'open'
}

/** What one node said of a renewal; `unknown` where it gave no usable answer. */
export type RenewalVote = 'held' | 'absent' | 'unknown' | 'open'

/**
 * A lease stands while a majority confirms it, and is gone once a majority no longer can. Between
 * the two nothing is known, and the holder goes on trying until its deadline.
 */
export function decideRenewal(votes: readonly RenewalVote[]): RenewalVote {
  const majority = majorityOf(votes.length)
  if (countOf(votes, 'held') >= majority) return 'held'
  if (votes.length - countOf(votes, 'absent') < majority) return 'absent'
  return countOf(votes, 'open') > 0 ? 'open' : 'unknown'
}

/** Until when a majority keeps others out, by the deadlines of the nodes that hold for us. */
export function majorityDeadline(deadlines: readonly number[], nodes: number): number {
  const latestFirst = [...deadlines].sort((a, b) => b - a)
  return latestFirst[majorityOf(nodes) - 1] ?? Number.NEGATIVE_INFINITY
}

/** The value that a majority of all nodes names, if there is one. */
export function majorityValue<T>(values: readonly T[], nodes: number): T | undefined {
  return values.find((value) => countOf(values, value) >= majorityOf(nodes))
}

function countOf<T>(values: readonly T[], wanted: T): number {
  let count = 0
  for (const value of values) if (value === wanted) count++
  return count
}
