import type { Evidence, Strike } from './judge.ts'
import type { Turn } from './records.ts'

/** How long after a fault a lock was taken again. */
export interface Recovery {
  readonly ms: number
  /** For how much of that the machine did not let the processes at the lock run. */
  readonly lagMs: number
}

/** The server and the laboratory wait for the machine as long as the workers do. */
export const isSlow = ({ ms, lagMs }: Recovery, recoveryMs: number): boolean =>
  ms > recoveryMs + 2 * lagMs

/**
 * For each fault the slowest of the locks it concerned. `locks` holds the turns of each lock in the
 * order in which they began. A fault that was followed by another before that is measured from the
 * last one, since what comes then is its doing; but service that was overdue when the next one
 * struck, or when the last call for the lock failed, counts with the time that is known.
 */
export function recoveries(
  {
    strikes,
    journals,
    lags = [],
    recoveryMs,
  }: Pick<Evidence, 'strikes' | 'journals' | 'lags' | 'recoveryMs'>,
  locks: readonly (readonly Turn[])[],
): Recovery[] {
  const laboratory = { process: 'laboratory', lags }
  const byName = new Map(locks.map((turns) => [turns[0]?.lock, turns]))
  const byProcess = new Map(journals.map((journal) => [journal.process, journal]))
  return strikes.flatMap((strike) => {
    const measured = strike.locks.flatMap((lock) => {
      const turns = byName.get(lock) ?? []
      const next = turns.find(({ enteredAt = 0 }) => enteredAt > strike.until)?.enteredAt
      const disturbed = disturbedAt(strikes, strike, lock, next)
      // Nobody came any more: the run was over. Who still waited counts as unserved.
      const to = disturbed ?? next ?? lastFailure(journals, lock)
      if (to === undefined) return []
      const present = new Set(turns.map(({ process }) => process))
      const near = [...present].flatMap((process) => byProcess.get(process) ?? [])
      const all = [...near, laboratory]
      const from = wantedSince(journals, lock, strike.until, to)
      const recovery = { ms: to - from, lagMs: lagWithin(all, strikes, from, to) }
      return to === next || isSlow(recovery, recoveryMs) ? [recovery] : []
    })
    const [first, ...others] = measured
    if (first === undefined) return []
    return [others.reduce((a, b) => (b.ms - b.lagMs > a.ms - a.lagMs ? b : a), first)]
  })
}

/**
 * From when on somebody alive asked for the lock: where kills left nobody, it is free until a new
 * process has started, which is no doing of the lock.
 */
function wantedSince(
  journals: Evidence['journals'],
  lock: string,
  healed: number,
  next: number,
): number {
  const asked = journals
    .flatMap(({ turns }) => turns)
    .filter((turn) => turn.lock === lock && turn.askedAt < next)
    .filter(
      ({ enteredAt, grantedAt, failed }) =>
        (enteredAt ?? failed?.at ?? grantedAt ?? healed) > healed,
    )
  return Math.max(healed, Math.min(...asked.map(({ askedAt }) => askedAt)))
}

/** When the next fault struck before anybody came; its time may lie before the end of this one. */
function disturbedAt(
  all: readonly Strike[],
  strike: Strike,
  lock: string,
  next = Number.POSITIVE_INFINITY,
): number | undefined {
  const others = all.filter(
    (other) =>
      other !== strike &&
      other.locks.includes(lock) &&
      other.from < next &&
      other.until > strike.until,
  )
  return others.length === 0 ? undefined : Math.min(...others.map(({ from }) => from))
}

/** When the last call for a lock failed. */
function lastFailure(journals: Evidence['journals'], lock: string): number | undefined {
  const failures = journals
    .flatMap(({ turns }) => turns)
    .flatMap((turn) =>
      turn.lock === lock && turn.failed?.stage === 'acquire' ? [turn.failed.at] : [],
    )
  return failures.length === 0 ? undefined : Math.max(...failures)
}

/** How long the slowest of these processes was not let run, of those that nobody had stopped. */
export function lagWithin(
  journals: readonly { process: string; lags: NonNullable<Evidence['lags']> }[],
  strikes: readonly Strike[],
  from: number,
  to: number,
): number {
  const totals = journals.map(({ process, lags }) => {
    const within = lags.filter(({ at, ms }) => at > from && at - ms < to)
    const own = strikes.filter((strike) => strike.process === process)
    const idle = within.filter(
      ({ at, ms }) => !own.some((one) => one.from > at - ms - 100 && one.from < at),
    )
    return idle.reduce((sum, { ms }) => sum + ms, 0)
  })
  return Math.max(0, ...totals)
}
