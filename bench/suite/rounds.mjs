import { spread } from './statistics.mjs'

/**
 * Runs every contender once a round, round after round, so that whatever else the machine does
 * meets all of them. Each round begins with another one.
 *
 * @param {object} plan
 * @param {{ name: string }[]} plan.contenders
 * @param {number} plan.rounds
 * @param {number} [plan.warmUp] rounds that compile and connect, and are not counted
 * @param {(contender: any) => Promise<Record<string, number>>} plan.turn
 * @param {(contender: any) => number} [plan.roundsOf] fewer rounds, for those that are slow; they
 *   do not warm up
 * @param {(done: number, all: number) => void} [plan.progress]
 * @param {number} [plan.budgetMs] no further round begins later than this, when there are three
 * @returns {Promise<Map<string, Record<string, number>[]>>} by name; the place in the list is the
 *   round
 */
export async function interleave({ contenders, rounds, warmUp = 2, turn, roundsOf, ...more }) {
  const { progress, budgetMs = Number.POSITIVE_INFINITY } = more
  let from = 0
  const results = new Map(contenders.map(({ name }) => [name, []]))
  for (let round = -warmUp; round < rounds; round++) {
    progress?.(Math.max(0, round), rounds)
    if (round === 0) from = performance.now()
    if (round >= 3 && performance.now() - from > budgetMs) break
    for (let step = 0; step < contenders.length; step++) {
      const contender = contenders[(step + round + warmUp) % contenders.length]
      const own = Math.min(rounds, roundsOf?.(contender) ?? rounds)
      if (round >= own || (own < rounds && round < 0)) continue
      const result = await turn(contender)
      if (round >= 0) results.get(contender.name).push(result)
    }
  }
  return results
}

/** One value of all rounds. */
export function measured(results, name, key) {
  return spread(results.get(name).map((round) => round[key]))
}

/** How one stands to another, each round with the same round: a slow moment strikes both. */
export function ratio(results, name, floor, key) {
  const own = results.get(name)
  const other = results.get(floor)
  return spread(own.map((round, at) => round[key] / other[at][key]))
}
