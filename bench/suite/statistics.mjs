/** The value below which `part` of the numbers lie. */
export function quantile(numbers, part) {
  const sorted = Float64Array.from(numbers).sort()
  if (sorted.length === 0) return Number.NaN
  const at = (sorted.length - 1) * part
  const low = sorted[Math.floor(at)]
  const high = sorted[Math.ceil(at)]
  return low + (high - low) * (at - Math.floor(at))
}

export const median = (numbers) => quantile(numbers, 0.5)

/** Median and quartiles: what half of the rounds showed. */
export function spread(numbers) {
  return {
    median: median(numbers),
    low: quantile(numbers, 0.25),
    high: quantile(numbers, 0.75),
    rounds: numbers.length,
  }
}

/** Jain's index of fairness: 1 when all got the same, 1/n when one got everything. */
export function jain(shares) {
  const sum = shares.reduce((total, share) => total + share, 0)
  const squares = shares.reduce((total, share) => total + share * share, 0)
  return squares === 0 ? Number.NaN : (sum * sum) / (shares.length * squares)
}
