import { anyOf } from '../../core/abort.ts'
import type { Clock, Random } from '../../core/clock.ts'
import type {
  Claim,
  Engine,
  Guarantees,
  Kind,
  ListQuery,
  LockPage,
  LockState,
  Place,
  ReleaseOptions,
  Standing,
  Unknown,
  Waiting,
} from '../../core/engine.ts'
import { closedError, UnsupportedError } from '../../core/errors.ts'
import type { Expectations, Finding } from '../../core/finding.ts'
import { Attempt } from './attempt.ts'
import { Cleaner } from './cleaner.ts'
import { diagnoseAll } from './diagnose.ts'
import { Node } from './node.ts'
import { NodeLists, type Self } from './node-lists.ts'
import { Origins } from './origins.ts'
import type { Parts } from './parts.ts'
import { release } from './release.ts'
import { Renewals } from './renewals.ts'
import { type Seat, withoutRest } from './seat.ts'
import { Seats } from './seats.ts'
import { majorityOf } from './tally.ts'
import { inspectAll, listAll } from './view.ts'

/** How a quorum is set up, every gap filled. */
export interface QuorumSettings {
  readonly clock: Clock
  readonly random: Random
  /** How long one node may take to answer. */
  readonly nodeTimeoutMs: number
  readonly self: Self
}

/** Kinds whose rule survives a majority: at most one holder. */
const KINDS: readonly Kind[] = ['mutex', 'election']

/** A look is due, whatever it will show. */
const LOOK: Waiting = { state: 'waiting', ahead: 0, ticket: 0, lookMs: 0 }

/** Exclusive locks on several independent engines: whoever has a majority has the lock. */
export class QuorumEngine implements Engine {
  readonly name = 'quorum'
  readonly guarantees: Guarantees
  readonly #parts: Parts
  readonly #cleaner: Cleaner
  readonly #seats: Seats
  readonly #renewals: Renewals
  readonly #ending = new AbortController()
  readonly #origins: Origins
  readonly #lists: NodeLists
  #closing: Promise<void> | undefined

  constructor(engines: readonly Engine[], names: readonly string[], settings: QuorumSettings) {
    const { clock, random, nodeTimeoutMs } = settings
    const nodes = engines.map((engine, at) => new Node(at, names[at] as string, engine, clock))
    const every = (has: (guarantees: Guarantees) => boolean) =>
      engines.every(({ guarantees }) => has(guarantees))
    this.guarantees = {
      fence: every(({ fence }) => fence),
      fifo: false,
      // News wake waiters, but a newcomer may get a majority before them.
      push: false,
      shared: every(({ shared }) => shared),
      kinds: KINDS.filter((kind) => every(({ kinds }) => kinds.includes(kind))),
      withoutKinds:
        'A majority of independent nodes bounds no count of holders but one: with more permits ' +
        'than one, each majority admits its own and together they are too many.',
    }
    this.#cleaner = new Cleaner(clock, random)
    this.#parts = {
      nodes,
      majority: majorityOf(nodes.length),
      clock,
      random,
      limitMs: nodeTimeoutMs,
      leave: (node, place, call) => this.#cleaner.leave(node, place, call),
    }
    this.#seats = new Seats(clock)
    this.#origins = new Origins(this.#parts)
    this.#lists = new NodeLists(this.#parts, settings.self)
    this.#renewals = new Renewals(this.#parts)
  }

  /** Rejects when fewer than a majority of the nodes answer, or when two of them are one server. */
  async ping(): Promise<void> {
    await this.inspect('holdfast')
    await Promise.all([this.#origins.check(), this.#lists.check()])
  }

  async acquire(claim: Claim): Promise<Standing> {
    this.#assertOpen(claim.name)
    this.#refuseOtherKinds(claim)
    const origins = this.#origins.check()
    if (origins !== undefined) await origins
    this.#lists.touch()
    const known = this.#seats.get(claim)
    if (known?.state === 'held') {
      const [standing] = await this.#renewals.renew([{ place: claim, seat: known }])
      if (standing?.state === 'held') return standing
      if (standing?.state === 'unknown') throw standing.error
      this.#seats.drop(claim, known)
    }
    return await this.#attempt(this.#seats.of(claim), claim, false)
  }

  /** One attempt at a time for each seat: whoever else asks gets its outcome. */
  async #attempt(seat: Seat, claim: Claim, looking: boolean): Promise<Standing> {
    // Another attempt may have won while this one was made ready: it must not be asked for again.
    const { fence, deadline } = seat
    if (seat.state === 'held') return { state: 'held', fence, deadline }
    seat.attempt ??= this.#run(seat, claim, looking).finally(() => {
      seat.attempt = undefined
    })
    return await seat.attempt
  }

  async #run(seat: Seat, claim: Claim, looking: boolean): Promise<Standing> {
    const fresh = seat.leaving.size > 0 && !(await this.#isClean(seat))
    if (fresh) {
      if (seat.turnstile !== undefined)
        void this.#parts.leave(seat.turnstile, withoutRest(seat.place))
      seat.freshen()
    }
    try {
      const standing = await new Attempt(this.#parts, seat, claim, looking && !fresh).run()
      if (standing.state === 'absent') this.#seats.drop(claim, seat)
      return standing
    } catch (error) {
      if (this.#closing !== undefined) throw closedError(claim.name)
      throw error
    }
  }

  /** Whether all give-backs so far were answered; forgets them if so. */
  async #isClean(seat: Seat): Promise<boolean> {
    const clean = await Promise.all(
      [...seat.leaving.values()].map((leaving) => this.#renewals.within(leaving)),
    )
    if (!clean.every((each) => each === true)) return false
    seat.leaving.clear()
    return true
  }

  async wait(place: Place, signal: AbortSignal): Promise<Standing> {
    signal.throwIfAborted()
    this.#assertOpen(place.name)
    for (;;) {
      const seat = this.#seats.get(place)
      const moved = seat?.moved
      const [stop, letGo] = anyOf([signal, this.#ending.signal, ...(moved ? [moved] : [])])
      const failed = (error: unknown): undefined => {
        signal.throwIfAborted()
        this.#assertOpen(place.name)
        if (moved?.aborted !== true) throw error
      }
      const news = await this.#news(seat, stop).catch(failed).finally(letGo)
      // A place that was lost may have been asked for again: nothing that is known of it counts.
      if (this.#seats.get(place) !== seat) return LOOK
      if (news === undefined || seat === undefined) continue
      if (news.state !== 'held') return LOOK
      if (seat.state === 'held') continue
      if (seat.turnstile !== undefined) seat.grants.add(seat.turnstile)
      return await this.#attempt(seat, { ...place, wait: true }, true)
    }
  }

  #news(seat: Seat | undefined, signal: AbortSignal): Promise<Standing> {
    const engine = seat?.turnstile?.engine
    if (seat !== undefined && engine !== undefined) return engine.wait(seat.place, signal)
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      if (signal.aborted) reject(signal.reason as Error)
    })
  }

  async renew(places: readonly Place[]): Promise<readonly (Standing | Unknown)[]> {
    this.#assertOpen()
    for (const place of places) this.#refuseOtherKinds(place)
    this.#lists.touch()
    const seated = places.map((place) => ({ place, seat: this.#seats.get(place) }))
    const waits = (seat: Seat | undefined): seat is Seat =>
      seat !== undefined && seat.state !== 'held'
    const held = seated.filter(({ seat }) => !waits(seat))
    const renewing = held.length > 0 ? this.#renewals.renew(held) : Promise.resolve([])
    const looks = seated.map(async ({ place, seat }) =>
      waits(seat) ? await this.#look(seat, place) : undefined,
    )
    const [renewed, looked] = await Promise.all([renewing, Promise.all(looks)])
    if (this.#closing !== undefined) throw closedError()
    let next = 0
    return places.map((place, index) => {
      const standing = looked[index] ?? (renewed[next++] as Standing | Unknown)
      if (standing.state === 'absent') this.#seats.drop(place, seated[index]?.seat)
      return standing
    })
  }

  /** A place that waits asks its line first, and all nodes only where it is its turn. */
  async #look(seat: Seat, place: Place): Promise<Standing | Unknown> {
    try {
      if (
        seat.attempt === undefined &&
        seat.turnstile !== undefined &&
        seat.ahead > 0 &&
        !seat.astray
      ) {
        const standing = await this.#renewals.lineOf(seat, seat.turnstile)
        if (standing?.state === 'waiting') seat.ahead = standing.ahead
        if (this.#seats.get(place) !== seat) return { state: 'absent' }
        // An attempt that has begun meanwhile knows more.
        if (standing?.state === 'absent' && seat.attempt === undefined) return standing
        if (standing?.state === 'held') seat.grants.add(seat.turnstile)
        if (standing?.state === 'waiting' && standing.ahead > 0) return standing
      }
      return await this.#attempt(seat, { ...place, wait: true }, seat.turnstile !== undefined)
    } catch (error) {
      return this.#renewals.unknown(error)
    }
  }

  async release(place: Place, options: ReleaseOptions = {}): Promise<boolean> {
    this.#assertOpen(place.name)
    const seat = this.#seats.get(place)
    this.#seats.drop(place, seat)
    return await release(this.#parts, place, seat, options)
  }

  async inspect(name: string): Promise<LockState | null> {
    this.#assertOpen(name)
    return await inspectAll(this.#parts, name)
  }

  async list(query: ListQuery): Promise<LockPage> {
    this.#assertOpen()
    return await listAll(this.#parts, query)
  }

  async diagnose(expected: Expectations): Promise<readonly Finding[]> {
    this.#assertOpen()
    if (!expected.quick) await this.#lists.check()
    return [...this.#lists.findings, ...(await diagnoseAll(this.#parts, expected))]
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#ending.abort(closedError())
    const { limitMs, nodes } = this.#parts
    await this.#cleaner.end(limitMs)
    await Promise.all(nodes.map(({ engine }) => engine.close()))
    await this.#lists.rest()
  }

  #assertOpen(lock?: string): void {
    if (this.#closing !== undefined) throw closedError(lock)
  }

  #refuseOtherKinds({ name, shape }: Place): void {
    if (this.guarantees.kinds.includes(shape.kind)) return
    const { withoutKinds = '' } = this.guarantees
    throw new UnsupportedError(`The quorum engine serves no ${shape.kind}. ${withoutKinds}`, name)
  }
}
