import fc from 'fast-check'
import { ALL, type Kind, type Place, type Shape } from '../../src/core/engine.ts'
import { acquire, inspect, type Manner, release, renew } from './calls.ts'
import type { Actor, Reference } from './reference.ts'
import { PROCESSES, type System } from './system.ts'

type Command = fc.AsyncCommand<Reference, System>

type Lives = Pick<Place, 'ttlMs' | 'waitTtlMs' | 'grantTtlMs' | 'minHoldMs' | 'lockDelayMs'>

const LOCKS = 2
/** How much longer than a short life a long one is: no history has so many pauses. */
const LONG = 2000
const COMMANDS_MAX = 60

const SHAPES: readonly Shape[] = [
  { kind: 'mutex', capacity: 1 },
  { kind: 'semaphore', capacity: 3 },
  { kind: 'read-write', capacity: ALL },
  { kind: 'election', capacity: 1 },
]

/** A shape that now and then meets a lock of another one. */
const ODD: Shape = { kind: 'semaphore', capacity: 2 }

/** Histories of calls on locks of these kinds. */
export function histories(
  kinds: readonly Kind[],
  shortMs: number,
): fc.Arbitrary<Iterable<Command>> {
  const shapes = SHAPES.filter(({ kind }) => kinds.includes(kind))
  const manner = fc.oneof(
    { weight: 7, arbitrary: fc.constant<Manner>('once') },
    { weight: 3, arbitrary: fc.constant<Manner>('twice') },
    // A connection has to be made anew.
    { weight: 1, arbitrary: fc.constant<Manner>('lost') },
  )
  const actor = fc.nat(999)
  const force = fc.constantFrom(false, false, false, false, true)
  const often = { weight: 4, arbitrary: fc.constant(LONG * shortMs) }
  const life = fc.oneof(often, { weight: 3, arbitrary: fc.constant(shortMs) })
  // A lock that stays taken for the rest of the history teaches nothing more.
  const extra = fc.oneof(
    { weight: 30, arbitrary: fc.constant(0) },
    { weight: 4, arbitrary: fc.constant(shortMs) },
    { weight: 1, arbitrary: fc.constant(LONG * shortMs) },
  )
  const arrival = (firstShape: number) =>
    fc
      .record({
        lock: fc.nat(LOCKS - 1),
        process: fc.nat(PROCESSES - 1),
        odd: fc.nat(9).map((number) => number === 0 && kinds.includes(ODD.kind)),
        share: fc.integer({ min: 1, max: 3 }),
        wait: fc.constantFrom(true, true, true, false),
        lives: fc.record<Lives>({
          ttlMs: life,
          waitTtlMs: life,
          grantTtlMs: life,
          minHoldMs: extra,
          lockDelayMs: extra,
        }),
        manner,
      })
      .map(({ lock, odd, ...details }) => {
        const shape = odd ? ODD : (shapes[(firstShape + lock) % shapes.length] as Shape)
        return new Arrive({ lock, shape, ...details })
      })
  return fc
    .nat(shapes.length - 1)
    .chain((firstShape) =>
      fc.commands(
        [
          arrival(firstShape),
          arrival(firstShape),
          fc
            .record({ actor, wait: fc.boolean(), ticket: fc.boolean(), manner })
            .map((details) => new Again(details)),
          fc.record({ actor, manner }).map((details) => new Renew(details)),
          fc
            .record({ process: fc.nat(PROCESSES - 1), manner })
            .map((details) => new RenewAll(details)),
          fc.record({ actor, manner, force }).map((details) => new Release(details)),
          actor.map((each) => new Hear(each)),
          fc.nat(LOCKS - 1).map((lock) => new Inspect(lock)),
          fc.boolean().map((look) => new Pause(shortMs, look)),
        ],
        { maxCommands: COMMANDS_MAX, size: 'max' },
      ),
    )
}

/** A newcomer asks for a lock. */
class Arrive implements Command {
  readonly details: {
    readonly lock: number
    readonly process: number
    readonly shape: Shape
    readonly share: number
    readonly wait: boolean
    readonly lives: Lives
    readonly manner: Manner
  }

  constructor(details: Arrive['details']) {
    this.details = details
  }

  check(): boolean {
    return true
  }

  async run(reference: Reference, system: System): Promise<void> {
    if (system.blurred) return
    const { lock, process, shape, share, wait, lives, manner } = this.details
    const whole = shape.kind === 'read-write' && share === 3
    const permits = shape.kind === 'read-write' ? 1 : Math.min(share, shape.capacity)
    const number = reference.actors.length
    const place: Place = {
      name: String(lock),
      shape,
      permits: whole ? ALL : permits,
      identity: number.toString(16).padStart(32, '0'),
      about: `actor ${number}`,
      ...lives,
    }
    const actor: Actor = {
      number,
      process,
      lock,
      place,
      tickets: undefined,
      pushed: undefined,
      left: false,
    }
    reference.actors.push(actor)
    await acquire(reference, system, actor, { wait, ticket: false, manner })
  }

  toString(): string {
    const { lock, process, shape, share, wait, lives, manner } = this.details
    const { ttlMs, waitTtlMs, grantTtlMs, minHoldMs, lockDelayMs } = lives
    const times = [ttlMs, waitTtlMs, grantTtlMs, minHoldMs, lockDelayMs].join('/')
    const verb = wait ? 'acquire' : 'try'
    const what = `${lock} ${shape.kind}(${shape.capacity}) share ${share}`
    return `p${process} ${verb} ${what}, ${times}, ${manner}`
  }
}

/** Somebody who came before asks again. An identity that has released never comes back. */
class Again implements Command {
  readonly details: {
    readonly actor: number
    readonly wait: boolean
    readonly ticket: boolean
    readonly manner: Manner
  }

  constructor(details: Again['details']) {
    this.details = details
  }

  check({ actors }: Readonly<Reference>): boolean {
    return actors.some((actor) => !actor.left)
  }

  async run(reference: Reference, system: System): Promise<void> {
    if (system.blurred) return
    const actor = pick(
      reference.actors.filter(({ left }) => !left),
      this.details.actor,
    )
    await acquire(reference, system, actor, this.details)
  }

  toString(): string {
    const { actor, wait, ticket, manner } = this.details
    return `again #${actor}${wait ? '' : ', try'}${ticket ? ' with ticket' : ''}, ${manner}`
  }
}

class Renew implements Command {
  readonly actor: number
  readonly manner: Manner

  constructor(details: { actor: number; manner: Manner }) {
    this.actor = details.actor
    this.manner = details.manner
  }

  check({ actors }: Readonly<Reference>): boolean {
    return actors.length > 0
  }

  async run(reference: Reference, system: System): Promise<void> {
    if (system.blurred) return
    await renew(reference, system, [pick(reference.actors, this.actor)], this.manner)
  }

  toString(): string {
    return `renew #${this.actor}, ${this.manner}`
  }
}

/** A process renews all it ever asked for in one call. */
class RenewAll implements Command {
  readonly process: number
  readonly manner: Manner

  constructor(details: { process: number; manner: Manner }) {
    this.process = details.process
    this.manner = details.manner
  }

  check({ actors }: Readonly<Reference>): boolean {
    return actors.some(({ process }) => process === this.process)
  }

  async run(reference: Reference, system: System): Promise<void> {
    if (system.blurred) return
    const all = reference.actors.filter(({ process }) => process === this.process)
    await renew(reference, system, all, this.manner)
  }

  toString(): string {
    return `p${this.process} renew all, ${this.manner}`
  }
}

class Release implements Command {
  readonly details: { readonly actor: number; readonly manner: Manner; readonly force: boolean }

  constructor(details: Release['details']) {
    this.details = details
  }

  check({ actors }: Readonly<Reference>): boolean {
    return actors.length > 0
  }

  async run(reference: Reference, system: System): Promise<void> {
    if (system.blurred) return
    const actor = pick(reference.actors, this.details.actor)
    await release(reference, system, actor, this.details)
  }

  toString(): string {
    const { actor, manner, force } = this.details
    return `release #${actor}${force ? ' by force' : ''}, ${manner}`
  }
}

/** A waiter that was granted hears of it without asking. */
class Hear implements Command {
  readonly actor: number

  constructor(actor: number) {
    this.actor = actor
  }

  check({ actors }: Readonly<Reference>): boolean {
    return actors.some(({ pushed }) => pushed !== undefined)
  }

  async run(reference: Reference, system: System): Promise<void> {
    if (system.blurred || !system.pushes) return
    const granted = reference.actors.filter(({ pushed }) => pushed !== undefined)
    const actor = pick(granted, this.actor)
    const fence = actor.pushed ?? 0
    actor.pushed = undefined
    const news = await system.news(actor)
    // An engine that has lost its connection meanwhile may say instead that it is time to look.
    if (news.state === 'waiting' && news.lookMs === 0)
      await renew(reference, system, [actor], 'once')
    else system.compare(actor, { state: 'held', fence, ttlMs: 0 }, news)
  }

  toString(): string {
    return `hear #${this.actor}`
  }
}

class Inspect implements Command {
  readonly lock: number

  constructor(lock: number) {
    this.lock = lock
  }

  check(): boolean {
    return true
  }

  async run(reference: Reference, system: System): Promise<void> {
    if (!system.blurred) await inspect(reference, system, this.lock)
  }

  toString(): string {
    return `inspect ${this.lock}`
  }
}

/** Every short life ends, with the delay that may follow it, and no long one. */
class Pause implements Command {
  readonly shortMs: number
  /** Whether somebody looks at once; else whatever call comes next finds what has ended. */
  readonly look: boolean

  constructor(shortMs: number, look: boolean) {
    this.shortMs = shortMs
    this.look = look
  }

  check(): boolean {
    return true
  }

  async run(reference: Reference, system: System): Promise<void> {
    if (system.blurred) return
    reference.advance(3 * this.shortMs)
    await system.pause(3 * this.shortMs)
    for (let lock = 0; this.look && lock < LOCKS; lock++) await inspect(reference, system, lock)
  }

  toString(): string {
    return this.look ? 'pause, look' : 'pause'
  }
}

function pick<T>(from: readonly T[], number: number): T {
  return from[number % from.length] as T
}
