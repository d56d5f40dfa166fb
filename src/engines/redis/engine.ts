import type { Clock } from '../../core/clock.ts'
import type {
  Claim,
  Engine,
  Guarantees,
  ListQuery,
  LockPage,
  LockState,
  Place,
  ReleaseOptions,
  Shape,
  Standing,
  Unknown,
} from '../../core/engine.ts'
import { closedError, EngineError, ShapeError } from '../../core/errors.ts'
import type { Expectations, Finding } from '../../core/finding.ts'
import { diagnoseServer } from './diagnosis.ts'
import { engineError } from './failure.ts'
import { renewInGroups } from './groups.ts'
import { type LockKeys, lockKeys } from './keys.ts'
import { listLocks } from './list.ts'
import { News } from './news.ts'
import { RedisFailure, type RedisPort, type Reply } from './port.ts'
import { allOf, type Call, type Recipe, recipeOf } from './recipes.ts'
import { lockState, number, occupant, shapeOf, text } from './replies.ts'
import { inspect } from './scripts.generated.ts'
import { ServerTime } from './server-time.ts'

/** Most holders, and most waiters, that `inspect` shows. */
const SHOWN = 100

/** What an identity looks like; the value of another program's key seldom does. */
const IDENTITY = /^[0-9a-f]{32}$/

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
 * Locks on one Redis or Valkey primary. Every call is one script, so that a step and the grant
 * that follows from it cannot be torn apart.
 */
export class RedisEngine implements Engine {
  readonly name = 'redis'
  readonly guarantees: Guarantees = {
    fence: true,
    fifo: true,
    push: true,
    shared: true,
    kinds: ['mutex', 'semaphore', 'read-write', 'election'],
  }
  readonly #port: RedisPort
  readonly #settings: RedisSettings
  readonly #serverTime: ServerTime
  readonly #news: News
  #subscription: { close(): Promise<void> } | undefined
  #listening = false
  readonly #awaitingReady = new Set<() => void>()
  #closing: Promise<void> | undefined

  constructor(port: RedisPort, settings: RedisSettings) {
    this.#port = port
    this.#settings = settings
    this.#serverTime = new ServerTime(settings.clock)
    this.#news = new News(settings.clock, this.#serverTime)
    port.onBreak(() => this.#serverTime.forget())
  }

  /** Learns the server's time; rejects with `EngineError` when there is no server. */
  async ping(): Promise<void> {
    await this.#learnTime('connect')
  }

  async #learnTime(operation: string, lock?: string): Promise<void> {
    const sentAt = this.#settings.clock.now()
    const reply = await this.#send(operation, lock, () =>
      this.#port.command('time', [], { timeoutMs: this.#settings.commandTimeoutMs }),
    )
    const [seconds, micros] = reply as Reply[]
    this.#serverTime.told(sentAt, number(seconds) * 1_000_000 + number(micros))
  }

  async acquire(claim: Claim): Promise<Standing> {
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
    const { commandTimeoutMs, fenceTtlMs: keepMs, channel, clock } = this.#settings
    const keys = this.#keys(claim.name)
    for (let resynced = false, looked = false; ; ) {
      if (!this.#serverTime.known) await this.#learnTime('acquire', claim.name)
      const sentAt = clock.now()
      const notAfterMs = this.#serverTime.serverMs(commandTimeoutMs)
      const terms = { keepMs, notAfterMs, channel }
      const call = recipeOf(claim.shape).acquire(keys, claim, terms)
      const reply = await this.#run('acquire', call, claim.name)
      if (reply[0] === 'shape') {
        const found = shapeOf(reply[1])
        if (looked) throw new ShapeError(claim.name, claim.shape, found)
        // Only its own scripts can tell whether the time of all who are there is over.
        await this.#leave({ ...claim, shape: found })
        looked = true
      } else if (reply[0] === 'late') {
        // Either the request was late or the server's clock was set; its answer says which.
        this.#serverTime.told(sentAt, number(reply[1]))
        if (resynced) throw this.#lateError(claim)
        resynced = true
      } else if (reply[0] !== 'again') {
        return this.#standing(claim, reply, sentAt)
      }
    }
  }

  #standing(claim: Claim, reply: readonly Reply[], sentAt: number): Standing {
    switch (reply[0]) {
      case 'held':
        this.#serverTime.told(sentAt, number(reply[3]))
        return { state: 'held', fence: number(reply[1]), deadline: sentAt + number(reply[2]) }
      case 'waiting': {
        const [, ahead, look, nowUs, ticket, holder, ours, about] = reply
        this.#serverTime.told(sentAt, number(nowUs))
        return {
          state: 'waiting',
          ahead: number(ahead),
          ticket: number(ticket),
          lookMs: number(look),
          ...occupant(holder, ours, about),
        }
      }
      case 'absent':
        this.#serverTime.told(sentAt, number(reply[1]))
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

  renew(places: readonly Place[]): Promise<readonly (Standing | Unknown)[]> {
    return renewInGroups(
      places,
      ({ shape }) => recipeOf(shape),
      (some, recipe) => this.#renew(some, recipe),
    )
  }

  async #renew(places: readonly Place[], recipe: Recipe): Promise<readonly (Standing | Unknown)[]> {
    const named = places.map((place) => ({ keys: this.#keys(place.name), place }))
    const call = recipe.renew(named, { keepMs: this.#settings.fenceTtlMs })
    // The failure of a request for many locks is not about the first of them.
    const lock = places.length > 1 ? undefined : places[0]?.name
    const sentAt = this.#settings.clock.now()
    const [nowUs, ...replies] = await this.#run('renew', call, lock, patience(places))
    this.#serverTime.told(sentAt, number(nowUs))
    return places.map((place, index) => {
      const reply = (replies[index] ?? []) as readonly Reply[]
      // A place that the line lost comes back, and goes on listening.
      if (reply[0] === 'held') this.#news.forget(place.identity)
      return this.#renewed(place, reply, sentAt)
    })
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

  async release(place: Place, { force = false }: ReleaseOptions = {}): Promise<boolean> {
    this.#news.forget(place.identity)
    // Another program's key holds what it likes, and goes only by force.
    if (!force && !IDENTITY.test(place.identity)) return false
    return await this.#leave(place, force)
  }

  async #leave(place: Place, force = false): Promise<boolean> {
    const terms = { keepMs: this.#settings.fenceTtlMs, force }
    const call = recipeOf(place.shape).release(this.#keys(place.name), place, terms)
    const sentAt = this.#settings.clock.now()
    const reply = await this.#run('release', call, place.name)
    this.#serverTime.told(sentAt, number(reply[1]))
    return reply[0] === 1
  }

  async inspect(name: string): Promise<LockState | null> {
    const call = { script: inspect, keys: allOf(this.#keys(name)), args: [SHOWN] }
    const reply = await this.#run('inspect', call, name)
    if (reply[0] === 'free') return null
    if (reply[0] === 'occupied') {
      throw this.#occupied(name, { kind: 'mutex', capacity: 1 }, reply[1])
    }
    return lockState(name, reply)
  }

  async list(query: ListQuery): Promise<LockPage> {
    const { prefix, commandTimeoutMs: timeoutMs } = this.#settings
    return await this.#send('list', undefined, () =>
      listLocks(this.#port, { prefix, timeoutMs }, query),
    )
  }

  fenceMicros(): number | undefined {
    return this.#serverTime.latestUs
  }

  /** The run of the server: another database or prefix of it fails with it. */
  async origin(): Promise<string | undefined> {
    const timeoutMs = this.#settings.commandTimeoutMs
    const [reply] = await Promise.all([
      this.#send('connect', undefined, () => this.#port.command('info', ['server'], { timeoutMs })),
      this.#serverTime.known ? undefined : this.#learnTime('connect'),
    ])
    return /^run_id:(\w+)/m.exec(text(reply))?.[1]
  }

  async diagnose(expected: Expectations): Promise<readonly Finding[]> {
    const around = { ...this.#settings, port: this.#port }
    return await this.#send('diagnose', undefined, () => diagnoseServer(around, expected))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#news.close()
    this.#wakeListeners()
    await this.#subscription?.close()
    await this.#port.close()
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

  async #run(
    operation: string,
    { script, keys, args }: Call,
    lock?: string,
    patienceMs: number = Number.POSITIVE_INFINITY,
  ): Promise<readonly Reply[]> {
    const timeoutMs = Math.min(this.#settings.commandTimeoutMs, patienceMs)
    const [key = ''] = keys
    const rest = [keys.length, ...keys, ...args]
    const reply = await this.#send(operation, lock, async () => {
      try {
        return await this.#port.command('evalsha', [script.sha1, ...rest], { timeoutMs, key })
      } catch (error) {
        // The server never saw the script, or forgot it: restarted, failed over, SCRIPT FLUSH.
        if (!(error instanceof RedisFailure) || error.kind !== 'noscript') throw error
        return await this.#port.command('eval', [script.source, ...rest], { timeoutMs, key })
      }
    })
    return reply as readonly Reply[]
  }

  /** Runs a command and turns its failure into what the core understands. */
  async #send<T>(
    operation: string,
    lock: string | undefined,
    command: () => Promise<T>,
  ): Promise<T> {
    if (this.#closing !== undefined) throw closedError()
    try {
      return await command()
    } catch (error) {
      throw engineError(this.name, operation, error, lock)
    }
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
