import type { Interval } from './journal.ts'

export interface Check {
  /** Pairs of intervals that have more than a moment in common. */
  readonly overlaps: number
  readonly maxConcurrentHolders: number
}

/** Looks at the recorded intervals alone: what the lock believes does not count. */
export function checkIntervals(intervals: readonly Pick<Interval, 'fromMs' | 'toMs'>[]): Check {
  // At one and the same moment, who leaves comes before who enters.
  const moments = intervals
    .filter(({ fromMs, toMs }) => toMs > fromMs)
    .flatMap(({ fromMs, toMs }) => [
      { atMs: fromMs, step: 1 },
      { atMs: toMs, step: -1 },
    ])
    .sort((a, b) => a.atMs - b.atMs || a.step - b.step)
  let holders = 0
  let overlaps = 0
  let maxConcurrentHolders = intervals.length > 0 ? 1 : 0
  for (const { step } of moments) {
    if (step === 1) overlaps += holders
    holders += step
    maxConcurrentHolders = Math.max(maxConcurrentHolders, holders)
  }
  return { overlaps, maxConcurrentHolders }
}
