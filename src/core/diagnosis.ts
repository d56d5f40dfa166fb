import { sleep } from './clock.ts'
import type { Core } from './core.ts'
import type { Claim, Place } from './engine.ts'
import { bySeverity, type Finding } from './finding.ts'

/** Life of the leases that are taken to look whether that works. */
const TRIAL_TTL_MS = 10_000

/** Round trips that are measured; the slowest counts. */
const ROUND_TRIPS = 5

/** Renewals begin at a third of the ttl, and a lost one must leave time for others. */
const TIGHT = 3
const COMFORTABLE = 10

/** A step of the trial that did not come out as it must. */
class TrialFailure extends Error {
  readonly finding: Finding

  constructor(code: string, seen: string, endangers: string, advice: string) {
    super(seen)
    this.finding = { code, severity: 'danger', seen, endangers, advice }
  }
}

/** What endangers the promises on this engine, the worst first. */
export async function diagnose(core: Core): Promise<readonly Finding[]> {
  const { engine, defaults, requestTimeoutMs } = core
  const findings: Finding[] = []
  if (!engine.guarantees.shared) findings.push(sharedByNobody(engine.name))
  try {
    const { ttlMs } = defaults
    const told = await engine.diagnose?.({ ttlMs, requestTimeoutMs, quick: false })
    findings.push(...(told ?? []))
  } catch (error) {
    core.assertOpen()
    // The trial would wait for the same answer again.
    return bySeverity([...findings, unreachable(error)])
  }
  return bySeverity([...findings, ...(await trial(core))])
}

function sharedByNobody(engine: string): Finding {
  return {
    code: 'not-shared',
    severity: 'note',
    seen: `The ${engine} engine keeps its locks in this process.`,
    endangers: 'Other processes take the same locks at the same time.',
    advice: 'Use sqlite: for the processes of one machine, Redis for more than one machine.',
  }
}

function unreachable(error: unknown): Finding {
  return {
    code: 'unreachable',
    severity: 'danger',
    seen: messageOf(error),
    endangers: 'No lock can be taken, and leases that cannot be renewed are lost.',
    advice: 'Check that the engine runs and can be reached from here.',
  }
}

/** Takes, renews, hands over and releases a lock of its own, and measures how long that takes. */
async function trial(core: Core): Promise<Finding[]> {
  const name = `holdfast-diagnosis:${core.random.identity()}`
  const settings = { ...core.defaults, ttlMs: TRIAL_TTL_MS, minHoldMs: 0, lockDelayMs: 0 }
  const shape = { kind: 'mutex', capacity: 1 } as const
  // An engine may tell a waiter of the very process by the answer to the release. With a delay it
  // has to send the message that others depend on.
  const first = core.place({ name, shape, permits: 1, settings: { ...settings, lockDelayMs: 1 } })
  const second = core.place({ name, shape, permits: 1, settings })
  try {
    const fence = await take(core, first)
    await refuse(core, second)
    const slowestMs = await measure(core, [first, second])
    await look(core, first)
    await leave(core, first)
    const late = await succeed(core, second, fence)
    await leave(core, second)
    return [...late, ...latency(core, slowestMs)]
  } catch (error) {
    core.assertOpen()
    core.abandon(first)
    core.abandon(second)
    return [error instanceof TrialFailure ? error.finding : failed(error)]
  }
}

function failed(error: unknown): Finding {
  return {
    code: 'trial-failed',
    severity: 'danger',
    seen: messageOf(error),
    endangers: 'Locks cannot be taken, renewed or released.',
    advice: 'Do what the message says; other findings may tell why.',
  }
}

async function claim(
  core: Core,
  place: Place,
  wait: boolean,
): ReturnType<Core['engine']['acquire']> {
  const asked: Claim = { ...place, wait }
  return await core.reach(() => core.engine.acquire(asked))
}

async function take(core: Core, place: Place): Promise<number> {
  const standing = await claim(core, place, false)
  if (standing.state === 'held') return standing.fence
  throw new TrialFailure(
    'trial-failed',
    'A lock with a new name could not be taken at once.',
    'Locks cannot be taken.',
    'Report it: the engine does not keep its contract.',
  )
}

/** Whether the engine tells a waiter of its grant, so that one can wait in the trial. */
function isTold(core: Core): boolean {
  return core.engine.guarantees.push && core.engine.guarantees.fifo
}

async function refuse(core: Core, place: Place): Promise<void> {
  const standing = await claim(core, place, isTold(core))
  if (standing.state !== 'held') return
  throw new TrialFailure(
    'exclusion',
    'A lock that was held was granted a second time.',
    'Two holders work at once.',
    'Stop using this engine: look who deletes or overwrites its data, and whether all of its ' +
      'clients reach the same primary.',
  )
}

async function measure(core: Core, [first, second]: readonly [Place, Place]): Promise<number> {
  const places = isTold(core) ? [first, second] : [first]
  let slowestMs = 0
  for (let trip = 0; trip < ROUND_TRIPS; trip += 1) {
    const sentAt = core.clock.now()
    const [standing] = await core.reach(() => core.engine.renew(places))
    slowestMs = Math.max(slowestMs, core.clock.now() - sentAt)
    if (standing?.state === 'unknown') throw standing.error
    if (standing?.state !== 'held') throw goneFailure()
  }
  return slowestMs
}

async function look(core: Core, place: Place): Promise<void> {
  const state = await core.reach(() => core.engine.inspect(place.name))
  if (state?.holders[0]?.identity !== place.identity) throw goneFailure()
}

async function leave(core: Core, place: Place): Promise<void> {
  if (!(await core.reach(() => core.engine.release(place)))) throw goneFailure()
}

function goneFailure(): TrialFailure {
  return new TrialFailure(
    'lock-vanished',
    'A lock that was held was gone a moment later.',
    'Leases end early, and another holder works at the same time until it is told.',
    'Look who deletes keys or flushes the data, and whether reads go to a replica.',
  )
}

/** The second place gets the lock, and hears of it by itself. */
async function succeed(core: Core, place: Place, fence: number): Promise<Finding[]> {
  const heard = isTold(core) ? await hears(core, place) : true
  const standing = await claim(core, place, false)
  if (standing.state !== 'held') throw goneFailure()
  if (core.engine.guarantees.fence && standing.fence <= fence) {
    throw new TrialFailure(
      'fence',
      `The fence went from ${fence} to ${standing.fence}.`,
      'A resource that checks fences refuses the right holder and takes late writes.',
      'Report it with the clock and the version of the engine.',
    )
  }
  return heard ? [] : [deaf()]
}

async function hears(core: Core, place: Place): Promise<boolean> {
  const patience = new AbortController()
  const silence = sleep(core.clock, core.requestTimeoutMs, patience.signal).then(() => false)
  const news = core.engine.wait(place, patience.signal).then(() => true)
  try {
    return await Promise.race([news, silence])
  } finally {
    patience.abort()
    // Whichever came second.
    void Promise.allSettled([news, silence])
  }
}

function deaf(): Finding {
  return {
    code: 'handoff',
    severity: 'warning',
    seen: 'A waiter was not told that it got the lock.',
    endangers: 'A released lock stays unused until its waiter looks for itself.',
    advice: 'Check that this process may subscribe, and that its connections are not cut.',
  }
}

function latency(core: Core, slowestMs: number): Finding[] {
  const { ttlMs } = core.defaults
  const { requestTimeoutMs } = core
  const isTight = slowestMs * TIGHT > ttlMs
  const isLong = slowestMs * COMFORTABLE > ttlMs || slowestMs * TIGHT > requestTimeoutMs
  if (!isLong) return []
  return [
    {
      code: 'latency',
      severity: isTight ? 'danger' : 'warning',
      seen:
        `The slowest of ${ROUND_TRIPS} renewals took ${Math.ceil(slowestMs)} ms; ttlMs is ` +
        `${ttlMs}, requestTimeoutMs ${requestTimeoutMs}.`,
      endangers: 'Leases are lost because their renewal is not confirmed in time.',
      advice: `Use a ttlMs of at least ${Math.ceil(slowestMs * COMFORTABLE)}, or a nearer engine.`,
    },
  ]
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
