import type { Clock } from '../../core/clock.ts'
import type {
  Claim,
  Engine,
  Guarantees,
  ListQuery,
  LockPage,
  LockState,
  Place,
  Shape,
  Standing,
  Unknown,
} from '../../core/engine.ts'
import { EngineError, ReplicaError, ShapeError, UnsupportedError } from '../../core/errors.ts'
import { type LockKeys, lockKeys, slotOfKey } from './keys.ts'
import { listLocks } from './list.ts'
import { News } from './news.ts'
import type { RedisPort, Reply } from './port.ts'
import type { ReplicaWrites } from './replicas.ts'
import { lockState, number, occupant, text } from './replies.ts'
import { Requests } from './requests.ts'
import * as scripts from './scripts.generated.ts'
import { type ServerTime, ServerTimes } from './server-time.ts'
import { renewBySlot } from './slots.ts'

/** Most waiters that `inspect` shows. */
const SHOWN_WAITERS = 100

const TELL_TIME = "return redis.call('TIME')"

/** Less than this says nothing about a server. */
const LEAST_PATIENCE_MS = 25

/** How the engine is set up, every gap filled. */
export interface RedisSettings {
  readonly clock: Clock
  /** In front of every lock name. */
  readonly prefix: string
  /** How long one command may take. */
  readonly commandTimeoutMs: number
  /** How long the last fence of a lock is kept after its last use. */
  readonly fenceTtlMs: number
  /** Channel on which this process hears of its grants. */
  readonly channel: string
}

/**
 * Mutexes on one Redis or Valkey primary. Every call is one script, so that a step and the grant
 * that follows from it cannot be torn apart.
 */
export class RedisEngine implements Engine {
  readonly name = 'redis'
  readonly guarantees: Guarantees = {
    fence: true,
    fifo: true,
    push: true,
    shared: true,
    kinds: ['mutex'],
  }
  readonly #port: RedisPort
  readonly #requests: Requests
  readonly #settings: RedisSettings
  readonly #times: ServerTimes
  readonly #news: News
  #subscription: { close(): Promise<void> } | undefined
  #listening = false
  readonly #awaitingReady = new Set<() => void>()
  #closing: Promise<void> | undefined

  constructor(port: RedisPort, settings: RedisSettings, replicas?: ReplicaWrites) {
    this.#port = port
    this.#settings = settings
    this.#requests = new Requests(port, settings.commandTimeoutMs, replicas)
    this.#times = new ServerTimes(settings.clock, port.topology === 'cluster')
    // Where replicas must have a grant, a push does not say that they do.
    const timeOf = (place: Place) => (replicas ? undefined : this.#timeOf(place.name))
    this.#news = new News(settings.clock, timeOf)
    port.onBreak(() => this.#times.forget())
  }

  /** Learns the server's time; rejects with `EngineError` when there is no server. */
  async ping(): Promise<void> {
    await this.#learnTime('connect')
  }

  async #learnTime(operation: string, lock?: string): Promise<void> {
    const sentAt = this.#settings.clock.now()
    const reply = await this.#requests.send(operation, lock, (port, timeoutMs) =>
      lock === undefined || port.topology !== 'cluster'
        ? port.command('time', [], { timeoutMs })
        : // Of the nodes of a Cluster, the one that serves the lock.
          port.command('eval', [TELL_TIME, 1, this.#keys(lock).lock], {
            timeoutMs,
            key: this.#keys(lock).lock,
          }),
    )
    const [seconds, micros] = reply as Reply[]
    this.#timeOf(lock ?? '').told(sentAt, number(seconds) * 1_000_000 + number(micros))
  }

  #timeOf(lock: string): ServerTime {
    return this.#times.of(this.#port.keyPrefix + this.#settings.prefix + lock)
  }

  async acquire(claim: Claim): Promise<Standing> {
    this.#refuseOtherKinds(claim)
    if (claim.wait) this.#news.expect(claim)
    try {
      let standing = await this.#acquire(claim)
      if (standing.state === 'waiting' && !(await this.#listen())) {
        // Who frees the lock before the subscription is up tells nobody, and passes the place over.
        standing = await this.#acquire({ ...claim, ticket: standing.ticket })
        this.#news.looked(claim.identity)
      }
      if (standing.state !== 'waiting') this.#news.forget(claim.identity)
      return standing
    } catch (error) {
      // After an unknown outcome a push may still come; the caller will repeat or release.
      if (!(error instanceof EngineError) || error.outcome === 'none') {
        this.#news.forget(claim.identity)
      }
      throw error
    }
  }

  async #acquire(claim: Claim): Promise<Standing> {
    const { commandTimeoutMs, fenceTtlMs, channel, clock } = this.#settings
    const keys = keysOf(this.#keys(claim.name))
    const time = this.#timeOf(claim.name)
    for (let resynced = false; ; resynced = true) {
      if (!time.known) await this.#learnTime('acquire', claim.name)
      const sentAt = clock.now()
      const args = [
        claim.identity,
        claim.ttlMs,
        claim.grantTtlMs,
        claim.waitTtlMs,
        claim.lockDelayMs,
        claim.minHoldMs,
        fenceTtlMs,
        time.serverMs(commandTimeoutMs),
        claim.wait ? 1 : 0,
        claim.ticket ?? '',
        channel,
        claim.about,
      ]
      const { reply, replicas } = await this.#requests.grant({
        operation: 'acquire',
        script: scripts.acquire,
        keys,
        args,
        lock: claim.name,
      })
      if (reply[0] === 'held' && this.#tooFew(replicas)) throw await this.#giveBack(claim, replicas)
      if (reply[0] !== 'late') return this.#standing(claim, reply, sentAt)
      // Either the request was late or the server's clock was set; its answer says which.
      time.told(sentAt, number(reply[1]))
      if (resynced) throw this.#lateError(claim)
    }
  }

  #standing(claim: Claim, reply: readonly Reply[], sentAt: number): Standing {
    const time = this.#timeOf(claim.name)
    switch (reply[0]) {
      case 'held':
        time.told(sentAt, number(reply[3]))
        return { state: 'held', fence: number(reply[1]), deadline: sentAt + number(reply[2]) }
      case 'waiting': {
        const [, ahead, look, nowUs, ticket, holder, ours, about] = reply
        time.told(sentAt, number(nowUs))
        return {
          state: 'waiting',
          ahead: number(ahead),
          ticket: number(ticket),
          lookMs: number(look),
          ...occupant(holder, ours, about),
        }
      }
      case 'absent':
        time.told(sentAt, number(reply[1]))
        return { state: 'absent', ...occupant(reply[2], reply[3], reply[4]) }
      case 'occupied':
        throw this.#occupied(claim.name, claim.shape, reply[1])
      default:
        throw this.#unreadable('acquire', claim.name, reply)
    }
  }

  wait(place: Place, signal: AbortSignal): Promise<Standing> {
    return this.#news.next(place, signal)
  }

  async renew(places: readonly Place[]): Promise<readonly (Standing | Unknown)[]> {
    for (const place of places) this.#refuseOtherKinds(place)
    if (this.#port.topology !== 'cluster') return await this.#renew(places)
    return await renewBySlot(
      places,
      ({ name }) => slotOfKey(this.#port.keyPrefix + this.#settings.prefix + name),
      (some) => this.#renew(some),
    )
  }

  async #renew(places: readonly Place[]): Promise<readonly (Standing | Unknown)[]> {
    const [first] = places
    if (first === undefined) return []
    const keys: string[] = []
    const args: (string | number)[] = [this.#settings.fenceTtlMs]
    for (const place of places) {
      keys.push(...keysOf(this.#keys(place.name)))
      const { identity, waitTtlMs, lockDelayMs, minHoldMs } = place
      args.push(identity, this.#renewedTtlMs(place), waitTtlMs, lockDelayMs, minHoldMs)
    }
    const sentAt = this.#settings.clock.now()
    const answer = await this.#requests.grant({
      operation: 'renew',
      script: scripts.renew,
      keys,
      args,
      patienceMs: patience(places),
      // The failure of a request for many locks is not about the first of them.
      ...(places.length > 1 ? {} : { lock: first.name }),
    })
    const [nowUs, ...replies] = answer.reply
    this.#timeOf(first.name).told(sentAt, number(nowUs))
    return places.map((place, index) => {
      const reply = (replies[index] ?? []) as readonly Reply[]
      if (reply[0] === 'held' && this.#tooFew(answer.replicas)) {
        return { state: 'unknown', error: this.#replicaError('renew', place, answer.replicas) }
      }
      // A place that the line lost comes back, and goes on listening.
      if (reply[0] === 'held') this.#news.forget(place.identity)
      return this.#renewed(place, reply, sentAt)
    })
  }

  /**
   * A pushed grant was written by the connection of whoever released, so WAIT can speak of it only
   * after a write of this one. A renewal that asks for no more than is left would write nothing.
   */
  #renewedTtlMs({ ttlMs }: Place): number {
    return this.#requests.replicas === undefined ? ttlMs : ttlMs + 1
  }

  #tooFew(replicas: number): boolean {
    return replicas < (this.#requests.replicas?.min ?? 0)
  }

  #replicaError(
    operation: string,
    { name }: Place,
    confirmed: number,
    outcome: 'none' | 'unknown' = 'unknown',
  ): ReplicaError {
    const { min = 0, timeoutMs = 0 } = this.#requests.replicas ?? {}
    const engine = this.name
    return new ReplicaError({ engine, operation, outcome, min, confirmed, timeoutMs, lock: name })
  }

  /** Ends a grant that is not to be reported; says in the error whether that succeeded. */
  async #giveBack(place: Place, confirmed: number): Promise<ReplicaError> {
    const outcome = await this.release(place).then(
      () => 'none' as const,
      () => 'unknown' as const,
    )
    return this.#replicaError('acquire', place, confirmed, outcome)
  }

  #renewed(place: Place, reply: readonly Reply[], sentAt: number): Standing | Unknown {
    switch (reply[0]) {
      case 'held':
        return { state: 'held', fence: number(reply[1]), deadline: sentAt + number(reply[2]) }
      case 'waiting': {
        const [, ahead, look, ticket] = reply
        return {
          state: 'waiting',
          ahead: number(ahead),
          ticket: number(ticket),
          lookMs: number(look),
        }
      }
      case 'absent':
        return { state: 'absent' }
      case 'unknown':
        return { state: 'unknown', error: this.#unserved(place.name, text(reply[1])) }
      default:
        throw this.#unreadable('renew', place.name, reply)
    }
  }

  async release(place: Place): Promise<boolean> {
    this.#refuseOtherKinds(place)
    this.#news.forget(place.identity)
    const sentAt = this.#settings.clock.now()
    const reply = await this.#requests.run({
      operation: 'release',
      script: scripts.release,
      keys: keysOf(this.#keys(place.name)),
      args: [place.identity, place.minHoldMs, this.#settings.fenceTtlMs, place.lockDelayMs],
      lock: place.name,
    })
    this.#timeOf(place.name).told(sentAt, number(reply[1]))
    return reply[0] === 1
  }

  async inspect(name: string): Promise<LockState | null> {
    const reply = await this.#requests.run({
      operation: 'inspect',
      script: scripts.inspect,
      keys: keysOf(this.#keys(name)),
      args: [SHOWN_WAITERS],
      lock: name,
    })
    const shape: Shape = { kind: 'mutex', capacity: 1 }
    if (reply[0] === 'free') return null
    if (reply[0] === 'occupied') throw this.#occupied(name, shape, reply[1])
    return lockState(name, reply)
  }

  async list(query: ListQuery): Promise<LockPage> {
    const { prefix } = this.#settings
    return await this.#requests.send('list', undefined, (port, timeoutMs) =>
      listLocks(port, { prefix, timeoutMs }, query),
    )
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#news.close()
    this.#wakeListeners()
    await this.#subscription?.close()
    await this.#requests.close()
  }

  /**
   * The subscription is made when somebody waits for the first time, and kept. Resolves to whether
   * it was up already; waits for it no longer than for a command, since looks do without it.
   */
  async #listen(): Promise<boolean> {
    if (this.#listening) return true
    const { channel, clock, commandTimeoutMs } = this.#settings
    this.#subscription ??= this.#port.subscribe(channel, {
      message: (message) => this.#news.deliver(message),
      ready: () => {
        this.#listening = true
        this.#news.lookAll()
        this.#wakeListeners()
      },
      broken: () => {
        this.#listening = false
      },
    })
    await new Promise<void>((resolve) => {
      const wake = () => {
        timer.cancel()
        this.#awaitingReady.delete(wake)
        resolve()
      }
      const timer = clock.setTimer(wake, commandTimeoutMs)
      this.#awaitingReady.add(wake)
    })
    return false
  }

  #wakeListeners(): void {
    for (const wake of this.#awaitingReady) wake()
  }

  #keys(name: string): LockKeys {
    return lockKeys(this.#settings.prefix, name, this.#port.keyPrefix)
  }

  #refuseOtherKinds(place: Place): void {
    if (place.shape.kind === 'mutex') return
    throw new UnsupportedError(
      `The redis engine serves no ${place.shape.kind} yet; the memory engine does.`,
      place.name,
    )
  }

  #occupied(name: string, wanted: Shape, type: Reply | undefined): ShapeError {
    const key = this.#port.keyPrefix + this.#settings.prefix + name
    return new ShapeError(name, wanted, null, ` (key ${JSON.stringify(key)}, a ${text(type)})`)
  }

  #unserved(lock: string, problem: string): EngineError {
    return new EngineError({
      engine: this.name,
      operation: 'renew',
      outcome: 'unknown',
      transient: true,
      problem,
      lock,
    })
  }

  #lateError(claim: Claim): EngineError {
    return new EngineError({
      engine: this.name,
      operation: 'acquire',
      outcome: 'none',
      transient: true,
      problem: 'requests reach the server later than commandTimeoutMs',
      lock: claim.name,
    })
  }

  #unreadable(operation: string, lock: string, reply: Reply): EngineError {
    return new EngineError({
      engine: this.name,
      operation,
      outcome: 'unknown',
      transient: false,
      problem: `the answer ${JSON.stringify(reply)} is none of this version`,
      lock,
    })
  }
}

/** How long a renewal may go unanswered and leave time for another before the first lease ends. */
function patience(places: readonly Place[]): number {
  let shortestMs = Number.POSITIVE_INFINITY
  for (const { ttlMs, waitTtlMs } of places) shortestMs = Math.min(shortestMs, ttlMs, waitTtlMs)
  return Math.max(LEAST_PATIENCE_MS, shortestMs / 3)
}

function keysOf(keys: LockKeys): string[] {
  return [keys.lock, keys.fence, keys.line, keys.alive, keys.places]
}
