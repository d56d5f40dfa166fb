import { type About, readAbout } from './about.ts'
import type { Core } from './core.ts'
import type { HolderState, LockPage, LockState, Place, WaiterState } from './engine.ts'
import { EngineError } from './errors.ts'
import { checkObject, checkText, checkWhole } from './options.ts'

/** Which locks `names` goes through. */
export interface NamesOptions {
  /** Only names that start with this; all by default. */
  readonly prefix?: string
  /** About how many names a page holds: 1 to 10000, 100 by default. */
  readonly limit?: number
}

/** Which locks `list` returns. */
export interface ListOptions extends NamesOptions {
  /** Where the page before ended. */
  readonly cursor?: string
}

/** A holder, with what its process told of itself. */
export interface HolderReport extends Omit<HolderState, 'about'> {
  readonly about: About
}

/** A waiter, with what its process told of itself. */
export interface WaiterReport extends Omit<WaiterState, 'about'> {
  readonly about: About
}

/** A lock at one moment. */
export interface LockReport extends Omit<LockState, 'holders' | 'waiters'> {
  /** Who holds it. One without an identity is nobody: a minimum hold or a lock delay. */
  readonly holders: readonly HolderReport[]
  /** The first 100 in line order. */
  readonly waiters: readonly WaiterReport[]
}

/** What `forceRelease` did. */
export interface BreakReport {
  readonly name: string
  /** The holders that were broken, as they were seen right before. */
  readonly broken: readonly HolderReport[]
}

/** See `Holdfast.inspect`. */
export async function inspect(core: Core, name: string): Promise<LockReport | null> {
  core.assertOpen(name)
  const state = await core.reach(() => core.engine.inspect(name))
  if (state === null) return null
  const told = <T extends { about: string }>(place: T) => ({
    ...place,
    about: readAbout(place.about),
  })
  return { ...state, holders: state.holders.map(told), waiters: state.waiters.map(told) }
}

/** See `Holdfast.list`. */
export async function list(core: Core, options: ListOptions): Promise<LockPage> {
  checkObject('options', options)
  const { prefix = '', cursor, limit = 100 } = options
  checkText('prefix', prefix)
  if (cursor !== undefined) checkText('cursor', cursor)
  checkWhole('limit', limit, 1, 10_000)
  core.assertOpen()
  const query = { prefix, limit, ...(cursor === undefined ? {} : { cursor }) }
  return await core.reach(() => core.engine.list(query))
}

/** See `Holdfast.names`. */
export async function* names(
  core: Core,
  options: NamesOptions,
): AsyncGenerator<string, void, undefined> {
  checkObject('options', options)
  const seen = new Set<string>()
  let cursor: string | undefined
  do {
    const page = await list(core, { ...options, ...(cursor === undefined ? {} : { cursor }) })
    for (const name of page.names) {
      if (seen.has(name)) continue
      seen.add(name)
      yield name
    }
    cursor = page.cursor
  } while (cursor !== undefined)
}

/** See `Holdfast.forceRelease`. */
export async function forceRelease(core: Core, name: string): Promise<BreakReport> {
  const state = await inspect(core, name)
  if (state === null) return { name, broken: [] }
  // One release ends all that stays taken by nobody, so each identity is asked for once.
  const permits = new Map(state.holders.map((holder) => [holder.identity, holder.permits]))
  const broken = new Set<string>()
  await Promise.all(
    Array.from(permits, async ([identity, share]) => {
      if (await breakOff(core, state, identity, share)) broken.add(identity)
    }),
  )
  return { name, broken: state.holders.filter(({ identity }) => broken.has(identity)) }
}

/** Breaks the hold of one identity; says whether it was there. */
export async function breakOff(
  core: Core,
  { name, kind, capacity }: LockReport,
  identity: string,
  permits: number,
): Promise<boolean> {
  const asked = { name, shape: { kind, capacity }, permits, settings: core.defaults }
  const place = { ...core.place(asked), identity, minHoldMs: 0, lockDelayMs: 0 }
  let doubtful = false
  const there = await core.reach(async () => {
    try {
      return await core.engine.release(place, { force: true })
    } catch (error) {
      doubtful ||= !(error instanceof EngineError) || error.outcome !== 'none'
      throw error
    }
  })
  // After a lost reply the repeated call finds nothing: the first one had done it.
  const broken = there || doubtful
  if (broken) tellOwn(core, place)
  return broken
}

/** A lease of this Holdfast need not wait for its next renewal to hear of its end. */
function tellOwn(core: Core, { name, identity }: Place): void {
  for (const tended of core.renewal.tended) {
    const { place } = tended
    if (place.identity === identity && place.name === name) tended.stands({ state: 'absent' })
  }
}
