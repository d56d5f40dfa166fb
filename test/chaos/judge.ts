import { notLinearizable } from './history.ts'
import type { Journal, Turn } from './records.ts'
import { isSlow, lagWithin, recoveries } from './recovery.ts'

/** One fault that was injected: from when until when, and whom it struck. */
export interface Strike {
  readonly kind: string
  readonly from: number
  /** When what it broke was whole again. */
  readonly until: number
  /** The locks it concerned. */
  readonly locks: readonly string[]
  /** The process it was aimed at, by its id. */
  readonly process?: string
}

/** How a process came to its end. */
export type End = 'killed' | 'closed' | 'crashed' | 'hung'

export interface ResourceReport {
  readonly accepted: number
  readonly refused: number
  readonly lost: number
  readonly shared: number
}

/** What a run of the laboratory left for the judge. */
export interface Evidence {
  readonly journals: readonly Journal[]
  readonly ends: ReadonlyMap<string, End>
  readonly strikes: readonly Strike[]
  readonly resource: ResourceReport
  /** Keys, rows or holds that were left when everybody had gone and every lease was over. */
  readonly leftovers: readonly string[]
  /** When the laboratory itself did not run. */
  readonly lags?: readonly { readonly at: number; readonly ms: number }[]
  readonly ttlMs: number
  /** How long after a fault service may take to resume; see the scenario. */
  readonly recoveryMs: number
  /** The scenario breaks what exclusion rests on: leases may overlap, for no longer than a ttl. */
  readonly mayOverlap: boolean
}

export interface Figures {
  turns: number
  strikes: number
  /** How many of the strikes hit a process that held, or waited. */
  struckHolders: number
  struckWaiters: number
  /** Pairs of leases that both stood at one moment, neither holder told. */
  overlaps: number
  longestOverlapMs: number
  /** How often one began while the holder of another, who had been told, was still at work. */
  overlapsTold: number
  /** How often one began while another slept: its lease was over, and it has not looked since. */
  overlapsAsleep: number
  notLinearizable: number
  /** Leases that were lost, and how many of their holders were told while they worked. */
  told: number
  /** Writes to the unguarded counter that came after the end of the lease. */
  lateWrites: number
  lostUpdates: number
  /** Of these, those that neither a late write nor leases that may overlap explain. */
  lostUpdatesUnexplained: number
  fencedWrites: number
  fencedRefusals: number
  fencedLost: number
  fenceFalls: number
  stuckMs: number
  unserved: number
  leaks: number
  crashes: number
  hangs: number
  unhandled: number
  recoveryMs: readonly number[]
  lagMs: number
  failures: Record<string, number>
}

export interface Verdict {
  readonly figures: Figures
  /** Each broken promise in a sentence; nothing when all were kept. */
  readonly violations: readonly string[]
}

/** Says what the journals show. It knows nothing but what workers and the laboratory wrote down. */
export function judge(evidence: Evidence): Verdict {
  const turns = evidence.journals.flatMap((journal) => journal.turns)
  const violations: string[] = []
  const figures: Figures = {
    turns: turns.filter(({ enteredAt }) => enteredAt !== undefined).length,
    strikes: evidence.strikes.length,
    ...struck(evidence, turns),
    ...exclusion(evidence, turns, violations),
    told: turns.filter(({ toldAt }) => toldAt !== undefined).length,
    ...counters(evidence, turns, violations),
    ...fences(evidence, turns, violations),
    ...progress(evidence, turns, violations),
    ...processes(evidence, violations),
    lagMs: maxLag(evidence),
    failures: failuresOf(evidence),
  }
  return { figures, violations }
}

function struck({ strikes }: Evidence, turns: readonly Turn[]) {
  const during = (turn: Turn, at: number, from: number | undefined, to: number | undefined) =>
    from !== undefined && from <= at && (to === undefined || to >= at) && turn
  let struckHolders = 0
  let struckWaiters = 0
  for (const { process, from } of strikes) {
    const own = turns.filter((turn) => turn.process === process)
    if (own.some((turn) => during(turn, from, turn.enteredAt, turn.exitedAt))) struckHolders += 1
    const waits = (turn: Turn) =>
      during(turn, from, turn.askedAt, turn.grantedAt ?? turn.failed?.at)
    if (own.some(waits)) struckWaiters += 1
  }
  return { struckHolders, struckWaiters }
}

function byLock(turns: readonly Turn[]): Turn[][] {
  const locks = new Map<string, Turn[]>()
  for (const turn of turns) {
    if (turn.enteredAt === undefined) continue
    const all = locks.get(turn.lock) ?? []
    locks.set(turn.lock, all)
    all.push(turn)
  }
  return [...locks.values()].map((all) => all.sort((a, b) => entered(a) - entered(b)))
}

const entered = (turn: Turn): number => turn.enteredAt ?? Number.NaN
const heldUntil = (turn: Turn): number => turn.heldUntil ?? entered(turn)

/** Who was in with whom. More permits than there are is what no two leases may have together. */
function exclusion(evidence: Evidence, turns: readonly Turn[], violations: string[]) {
  let [overlaps, overlapsTold, overlapsAsleep, longestOverlapMs, broken] = [0, 0, 0, 0, 0]
  let untoldMs = 0
  for (const all of byLock(turns)) {
    let inside: Turn[] = []
    for (const turn of all) {
      const at = entered(turn)
      const working = inside.filter((other) => (other.exitedAt ?? heldUntil(other)) > at)
      const standing = working.filter((other) => heldUntil(other) > at)
      const taken = standing.reduce((sum, { permits }) => sum + permits, 0)
      if (taken + turn.permits > turn.capacity) {
        overlaps += 1
        const end = Math.max(
          ...standing.map((other) => Math.min(heldUntil(other), heldUntil(turn))),
        )
        longestOverlapMs = Math.max(longestOverlapMs, end - at)
        // Whoever lost its lease with the data hears of it when it renews, or when it would end.
        const lagMs = lagWithin(evidence.journals, evidence.strikes, at, end)
        if (end - at > evidence.ttlMs + lagMs) untoldMs = Math.max(untoldMs, end - at)
        const others = standing.map((other) => `${other.turn} (fence ${other.fence})`).join(', ')
        if (!evidence.mayOverlap) {
          violations.push(
            `${turn.lock}: ${turn.turn} (fence ${turn.fence}) came in at ${at.toFixed(1)}, ` +
              `while the lease of ${others} stood`,
          )
        }
      } else if (working.length > standing.length && turn.permits === turn.capacity) {
        const told = working.every(({ toldAt = Number.POSITIVE_INFINITY }) => toldAt <= at)
        if (told) overlapsTold += 1
        else overlapsAsleep += 1
      }
      inside = [...working, turn]
    }
    if (all.some(({ permits, capacity }) => permits < capacity)) continue
    const history = all.map((turn) => ({
      turn: turn.turn,
      askedAt: turn.askedAt,
      enteredAt: entered(turn),
      leftAt: heldUntil(turn),
    }))
    if (notLinearizable(history)) broken += 1
  }
  if (untoldMs > 0) violations.push(`a holder was not told for ${untoldMs.toFixed(0)} ms`)
  if (broken > 0 && !evidence.mayOverlap) violations.push(`${broken} histories of a mutex are none`)
  return { overlaps, overlapsTold, overlapsAsleep, longestOverlapMs, notLinearizable: broken }
}

/** The longest time for which the machine did not let a worker run that nobody had stopped. */
function maxLag({ journals, strikes }: Evidence): number {
  const lags = journals.flatMap(({ process, lags: all }) => {
    const own = strikes.filter((strike) => strike.process === process)
    return all.filter(({ at, ms }) => !own.some(({ from }) => from > at - ms - 100 && from < at))
  })
  return Math.max(0, ...lags.map(({ ms }) => ms))
}

/**
 * The number that nothing but the lock guards. A write by a process that slept through the end of
 * its lease is late, and no lock can prevent it; what it overwrites is its doing. Updates that were
 * begun and never told of are late as well, as far as anybody knows.
 */
function counters(evidence: Evidence, turns: readonly Turn[], violations: string[]) {
  const { mayOverlap } = evidence
  let [lateWrites, lostUpdates, lostUpdatesUnexplained] = [0, 0, 0]
  for (const all of byLock(turns)) {
    const updates = all.flatMap(({ turn, process, update }) =>
      update ? [{ turn, ...update, end: update.to ?? killedAt(evidence, process) }] : [],
    )
    updates.sort((a, b) => (a.to ?? a.from) - (b.to ?? b.from))
    const late = updates.filter(({ held }) => held !== true)
    lateWrites += updates.filter(({ held }) => held === false).length
    for (const [index, update] of updates.entries()) {
      const before = updates[index - 1]
      if (before === undefined || update.read === before.read + 1) continue
      // A write whose process was killed may not have happened.
      if (before.held === undefined || update.held === undefined) continue
      lostUpdates += 1
      const since = Math.min(before.from, update.readAt)
      const explained = late.some(({ from, end }) => end >= since && from <= (update.to ?? 0))
      if (explained || mayOverlap) continue
      lostUpdatesUnexplained += 1
      violations.push(
        `${update.turn} read ${update.read} after ${before.turn} wrote ${before.read + 1}`,
      )
    }
  }
  return { lateWrites, lostUpdates, lostUpdatesUnexplained }
}

/** When a process was killed for certain, after which it writes no more. */
function killedAt({ ends, strikes }: Evidence, process: string): number {
  const own = strikes.filter((strike) => strike.process === process)
  if (ends.get(process) !== 'killed' || own.length === 0) return Number.POSITIVE_INFINITY
  return Math.max(...own.map(({ until }) => until))
}

/** The fence grows from grant to grant, and the resource that goes by it loses nothing. */
function fences(evidence: Evidence, turns: readonly Turn[], violations: string[]) {
  const { resource, mayOverlap } = evidence
  let fenceFalls = 0
  for (const all of byLock(turns)) {
    const order = mayOverlap ? surelyLater : inOrder
    for (const [before, after] of order(all)) {
      if ((before.fence ?? 0) < (after.fence ?? 0)) continue
      fenceFalls += 1
      violations.push(
        `${after.lock}: ${after.turn} got fence ${after.fence} after ${before.turn} ${before.fence}`,
      )
    }
  }
  if (resource.lost > 0) violations.push(`${resource.lost} updates were lost behind the fence`)
  if (resource.shared > 0) violations.push(`${resource.shared} times two turns had one fence`)
  const wrong = turns.filter(({ refusals }) => refusals.some(({ held }) => held))
  if (wrong.length > 0 && !mayOverlap) {
    violations.push(
      `${wrong.length} holders were refused by the resource, such as ${wrong[0]?.turn}`,
    )
  }
  return {
    fencedWrites: resource.accepted,
    fencedRefusals: resource.refused,
    fencedLost: resource.lost,
    fenceFalls,
  }
}

/**
 * Where no two leases overlap, they were granted in the order in which they began: each fence is
 * larger than all before it. Shares of one lock are granted together, and their news may overtake
 * each other: a share is compared with what came up to the last turn that had the lock alone.
 */
function* inOrder(all: readonly Turn[]): Generator<[Turn, Turn]> {
  let [largest, alone]: (Turn | undefined)[] = []
  for (const turn of all) {
    const isAlone = turn.permits === turn.capacity
    const before = isAlone ? largest : alone
    if (before) yield [before, turn]
    if ((largest?.fence ?? 0) < (turn.fence ?? 0)) largest = turn
    if (isAlone) alone = largest
  }
}

/** Where leases may overlap, only who asked after another was in was granted later for certain. */
function* surelyLater(all: readonly Turn[]): Generator<[Turn, Turn]> {
  for (const turn of all) {
    let last: Turn | undefined
    for (const other of all) {
      if (entered(other) >= turn.askedAt) break
      if (last === undefined || (other.fence ?? 0) > (last.fence ?? 0)) last = other
    }
    if (last) yield [last, turn]
  }
}

/** Its clock was set ahead while it waited, and its limit with it: that time counts as gone by. */
function lostTime({ strikes }: Evidence, { process, askedAt, failed }: Turn): boolean {
  const over = failed?.at ?? 0
  return strikes.some(
    (strike) =>
      strike.kind === 'worker-clock-ahead' &&
      strike.process === process &&
      strike.from < over &&
      strike.until > askedAt - 50,
  )
}

function progress(evidence: Evidence, turns: readonly Turn[], violations: string[]) {
  const { ends } = evidence
  const unserved = turns.filter((turn) => {
    const open = turn.grantedAt === undefined && turn.failed === undefined
    const late = turn.failed?.code === 'HOLDFAST_ACQUIRE_TIMEOUT' && !lostTime(evidence, turn)
    return late || (open && ends.get(turn.process) !== 'killed')
  })
  if (unserved.length > 0) {
    const [{ turn, lock } = { turn: '', lock: '' }] = unserved
    violations.push(`${unserved.length} waiters were never served, such as ${turn} at ${lock}`)
  }
  let stuckMs = 0
  for (const all of byLock(turns)) {
    for (const [index, turn] of all.entries()) {
      const before = all[index - 1]
      if (before) stuckMs = Math.max(stuckMs, entered(turn) - Math.max(heldUntil(before), 0))
    }
  }
  const measured = recoveries(evidence, byLock(turns))
  const slow = measured.filter((each) => isSlow(each, evidence.recoveryMs))
  if (slow.length > 0) {
    const { ms, lagMs } = slow.reduce((a, b) => (b.ms > a.ms ? b : a))
    violations.push(
      `service resumed ${ms.toFixed(0)} ms after a fault and had ${evidence.recoveryMs} ms, ` +
        `of which the machine stood still for ${lagMs.toFixed(0)} ms (${slow.length} times)`,
    )
  }
  const recoveryMs = measured.map(({ ms }) => ms)
  return { unserved: unserved.length, stuckMs, recoveryMs }
}

function processes(evidence: Evidence, violations: string[]) {
  const { journals, ends, leftovers } = evidence
  const count = (wanted: End) => [...ends.values()].filter((end) => end === wanted).length
  const [crashes, hangs] = [count('crashed'), count('hung')]
  const unhandled = journals.flatMap((journal) => journal.unhandled)
  if (crashes > 0) violations.push(`${crashes} processes ended by themselves`)
  if (hangs > 0) violations.push(`${hangs} processes did not end when they were told to`)
  if (unhandled.length > 0) violations.push(`nobody caught ${unhandled[0]}`)
  const leftInside = journals.flatMap((journal) =>
    journal.turns.filter(
      ({ exitedAt, releasedAt, failed }) =>
        exitedAt !== undefined && releasedAt === undefined && failed === undefined,
    ),
  )
  const hung = leftInside.filter((turn) => ends.get(turn.process) !== 'killed')
  if (hung.length > 0) violations.push(`the release of ${hung[0]?.turn} never came back`)
  const mute = journals.flatMap(({ turns }) => turns.filter(({ unsignalled }) => unsignalled))
  if (mute.length > 0) violations.push(`the signal of ${mute[0]?.turn} did not fire with its loss`)
  if (leftovers.length > 0) violations.push(`left behind: ${leftovers.slice(0, 5).join(', ')}`)
  return {
    leaks: leftovers.length,
    crashes,
    hangs: hangs + hung.length,
    unhandled: unhandled.length,
  }
}

function failuresOf({ journals }: Evidence): Record<string, number> {
  const failures: Record<string, number> = {}
  for (const { failures: all } of journals) {
    for (const each of all) failures[each] = (failures[each] ?? 0) + 1
  }
  return failures
}
