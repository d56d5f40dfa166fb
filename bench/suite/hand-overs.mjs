import { jain, median, quantile } from './statistics.mjs'

/** Of one round of several processes on one lock. */
export function handOvers({ turns, startAt, cpuUs }, processes, forMs) {
  const end = startAt + forMs * 1e6
  const counted = turns.filter(({ from }) => from >= startAt && from <= end)
  const shares = Array.from({ length: processes }, () => 0)
  const gaps = []
  for (let at = 0; at < counted.length; at++) {
    shares[counted[at].process] += 1
    const before = counted[at - 1]
    if (before && before.process !== counted[at].process) {
      gaps.push((counted[at].from - before.to) / 1000)
    }
  }
  return {
    perSecond: (gaps.length / forMs) * 1000,
    grants: (counted.length / forMs) * 1000,
    jain: jain(shares),
    gapUs: median(gaps),
    gap99Us: quantile(gaps, 0.99),
    cpuUs: cpuUs / turns.length,
    shares,
  }
}
