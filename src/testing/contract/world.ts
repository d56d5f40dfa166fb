import { strict as assert } from 'node:assert'
import { randomBytes } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import {
  type Absent,
  ALL,
  type Engine,
  type Guarantees,
  type Held,
  type HolderState,
  type Kind,
  type Place,
  type Shape,
  type Standing,
  type Waiting,
} from '../../core/engine.ts'
import { EngineError } from '../../core/errors.ts'

/** Engines over one store, and the time they run in. A fresh one is started for every test. */
export interface World {
  /** Another engine on the same store: to the store it is another process. */
  engine(): Promise<Engine>
  /** The clock of the engines. */
  readonly clock: Clock
  /** Lets this much time go by: at once where time is simulated. */
  advance(ms: number): Promise<void>
  /** Lets time go by until the condition is true; throws when that takes too long. */
  settle(condition: () => boolean | Promise<boolean>): Promise<void>
  /**
   * The answer to the next call on this engine is lost after the store has carried it out. The call
   * then succeeds all the same, or rejects with an EngineError. Leave it out where it cannot be
   * done.
   */
  loseReply?(engine: Engine): Promise<void>
  /** Closes every engine. */
  stop(): Promise<void>
}

/** What the properties need of a test runner; those of Vitest and `node:test` fit. */
export interface TestRunner {
  /** Groups tests. */
  readonly describe: (title: string, body: () => void) => unknown
  /** Declares one test. */
  readonly it: (title: string, body: (context: TestContext) => Promise<void>) => unknown
}

/** What a test runner hands to a test. */
export interface TestContext {
  /** Ends the test as skipped; the note says what is missing. */
  skip(note?: string): unknown
}

/** Guarantees without which a property means nothing. */
export interface Needs {
  readonly kinds?: readonly Kind[]
  readonly fifo?: true
  readonly push?: true
  readonly fence?: true
  readonly loseReply?: true
}

/** Where a group of properties is declared. */
export interface Suite {
  /** Groups tests. */
  readonly describe: (title: string, body: () => void) => unknown
  readonly property: (title: string, needs: Needs, body: (world: World) => Promise<void>) => void
}

/** A way to use a lock as an exclusive one. */
export interface Form {
  readonly title: string
  readonly shape: Shape
  readonly permits: number
}

/** The four exclusive locks: what holds of a mutex holds of each. */
export const EXCLUSIVE: readonly Form[] = [
  { title: 'mutex', shape: { kind: 'mutex', capacity: 1 }, permits: 1 },
  { title: 'semaphore of one', shape: { kind: 'semaphore', capacity: 1 }, permits: 1 },
  { title: 'write lock', shape: { kind: 'read-write', capacity: ALL }, permits: ALL },
  { title: 'election', shape: { kind: 'election', capacity: 1 }, permits: 1 },
]

/** A semaphore of three: the smallest where places of different weight can block each other. */
export const THREE: Shape = { kind: 'semaphore', capacity: 3 }

/** A read-write lock. */
export const READ_WRITE: Shape = { kind: 'read-write', capacity: ALL }

/** A life that tests wait for: long enough for a slow machine, short enough for many tests. */
export const SHORT_MS = 240

/** A life that no test outlives. */
export const LONG_MS = 60_000

/** A name that nobody used before. */
export function freshName(): string {
  return `contract:${randomBytes(8).toString('hex')}`
}

/** A place with a fresh identity. Unless told otherwise: a mutex, and a long life. */
export function place(name: string, details: Partial<Place> = {}): Place {
  return {
    name,
    shape: { kind: 'mutex', capacity: 1 },
    permits: 1,
    identity: randomBytes(16).toString('hex'),
    ttlMs: LONG_MS,
    waitTtlMs: LONG_MS,
    grantTtlMs: LONG_MS,
    minHoldMs: 0,
    lockDelayMs: 0,
    about: '',
    ...details,
  }
}

/** Makes places of one fresh name and one form. */
export function placesOf(form: Form): (details?: Partial<Place>) => Place {
  const name = freshName()
  return (details) => place(name, { shape: form.shape, permits: form.permits, ...details })
}

/** Several processes. */
export async function processes(world: World, count: number): Promise<Engine[]> {
  return await Promise.all(Array.from({ length: count }, () => world.engine()))
}

/** Asks for a grant at once. */
export async function attempt(engine: Engine, place: Place): Promise<Held | Absent> {
  const standing = await engine.acquire({ ...place, wait: false })
  assert.notEqual(standing.state, 'waiting', 'a place that would not wait stands in the line')
  return standing as Held | Absent
}

/** Joins the line, or is granted. */
export async function join(engine: Engine, place: Place): Promise<Standing> {
  return await engine.acquire({ ...place, wait: true })
}

/** Takes what must be free. */
export async function take(engine: Engine, place: Place): Promise<Held> {
  return asHeld(await join(engine, place))
}

/** Waits for what must be taken. */
export async function queue(engine: Engine, place: Place): Promise<Waiting> {
  return asWaiting(await join(engine, place))
}

/** Renews one place, which also says where it stands; again where a slow machine got no answer. */
export async function look(engine: Engine, place: Place, tries = 5): Promise<Standing> {
  const answer = await engine.renew([place]).catch((error: unknown) => {
    if (error instanceof EngineError && error.transient && tries > 1) return undefined
    throw error
  })
  if (answer === undefined) return await look(engine, place, tries - 1)
  const [standing, ...others] = answer
  assert.deepEqual(others, [], 'more standings than places')
  assert.ok(standing !== undefined, 'fewer standings than places')
  if (standing.state === 'unknown') throw standing.error
  return standing
}

export function asHeld(standing: Standing): Held {
  assert.equal(standing.state, 'held')
  return standing as Held
}

export function asWaiting(standing: Standing): Waiting {
  assert.equal(standing.state, 'waiting')
  return standing as Waiting
}

export function asAbsent(standing: Standing): Absent {
  assert.equal(standing.state, 'absent')
  return standing as Absent
}

/** Looks again and again, as a waiter without pushes does, until the place is granted. */
export async function untilHeld(world: World, engine: Engine, place: Place): Promise<Held> {
  let standing: Standing | undefined
  await world.settle(async () => {
    standing = await join(engine, place)
    return standing.state === 'held'
  })
  return standing as Held
}

/** Tries again and again, never joining the line, until the place is granted. */
export async function untilTaken(world: World, engine: Engine, place: Place): Promise<Held> {
  let standing: Standing | undefined
  await world.settle(async () => {
    standing = await attempt(engine, place)
    return standing.state === 'held'
  })
  return standing as Held
}

/**
 * Runs a part of a property whose calls keep a short life: `beat` is called after each of them.
 * What failed while the machine stood still for half of such a life is tried anew.
 */
export async function kept(
  world: World,
  body: (beat: () => void) => Promise<void>,
  tries = 5,
): Promise<void> {
  let late = false
  let lastMs = world.clock.now()
  const beat = () => {
    const nowMs = world.clock.now()
    if (nowMs - lastMs > SHORT_MS / 2) late = true
    lastMs = nowMs
  }
  try {
    await body(beat)
  } catch (error) {
    beat()
    if (!late || tries === 1) throw error
    await kept(world, body, tries - 1)
  }
}

/** Lets time go by until a promise has settled, and gives its outcome. */
export async function outcome<T>(world: World, promise: Promise<T>): Promise<T> {
  let over = false
  const done = () => {
    over = true
  }
  promise.then(done, done)
  await world.settle(() => over)
  return await promise
}

async function untilGranted(engine: Engine, place: Place): Promise<Standing> {
  const { signal } = new AbortController()
  let standing = await engine.wait(place, signal)
  // Hints to look are news too, and may come whenever the line moved.
  while (standing.state !== 'held') standing = await engine.wait(place, signal)
  return standing
}

/** Listens for the grant of a place that waits, and for nothing else. */
export function listen(engine: Engine, place: Place): Promise<Standing> {
  const news = untilGranted(engine, place)
  // A test that fails before it asks for the news must not fail a second time for them.
  news.catch(() => undefined)
  return news
}

/** The holders of a lock that have an identity: what stays taken by nobody has none. */
export async function holders(engine: Engine, name: string): Promise<HolderState[]> {
  const state = await engine.inspect(name)
  return state === null ? [] : state.holders.filter((holder) => holder.identity !== '')
}

/** The first guarantee that a property needs and an engine lacks. */
export function missing(needs: Needs, has: Guarantees, world: World): string | undefined {
  for (const kind of needs.kinds ?? []) {
    if (!has.kinds.includes(kind)) return `kind ${kind}`
  }
  if (needs.fifo === true && !has.fifo) return 'fifo'
  if (needs.push === true && !has.push) return 'push'
  if (needs.fence === true && !has.fence) return 'fence'
  if (needs.loseReply === true && world.loseReply === undefined) return 'a way to lose replies'
  return undefined
}
