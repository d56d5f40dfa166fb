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
import { closedError, EngineError, ShapeError, UnsupportedError } from '../../core/errors.ts'
import { Ears } from './ears.ts'
import { engineError } from './failure.ts'
import { type LockKeys, lockKeys, slotOfKey } from './keys.ts'
import { listLocks } from './list.ts'
import { News } from './news.ts'
import { RedisFailure, type RedisPort, type Reply } from './port.ts'
import { renewApart } from './renew-apart.ts'
import { lockState, number, occupant, text } from './replies.ts'
import type { Script } from './script.ts'
import * as scripts from './scripts.generated.ts'
import { type ServerTime, ServerTimes } from './server-time.ts'

/** Most waiters that `inspect` shows. */
const SHOWN_WAITERS = 100

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
 * Mutexes on Redis or Valkey. Every call is one script, so that a step and the grant
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
  readonly #settings: RedisSettings
  readonly #serverTimes: ServerTimes
  readonly #news: News
  readonly #ears: Ears
  #closing: Promise<void> | undefined

  constructor(port: RedisPort, settings: RedisSettings) {
    this.#port = port
    this.#settings = settings
    this.#serverTimes = new ServerTimes(settings.clock)
    this.#news = new News(settings.clock, this.#serverTimes)
    this.#ears = new Ears(port, settings.clock, settings.commandTimeoutMs, {
      message: (text, server) => this.#news.deliver(text, server),
      ready: () => this.#news.lookAll(),
    })
    port.onBreak((server) => this.#serverTimes.of(server).forget())
  }

  /** Learns the server's time; rejects with `EngineError` when there is no server. */
  async ping(): Promise<void> {
    await this.#learnTime('connect')
  }

  async #learnTime(operation: string, key?: string): Promise<void> {
    const { clock, commandTimeoutMs: timeoutMs } = this.#settings
    const reply = await this.#send(operation, key, async () => {
      const [first = ''] = await this.#port.servers({ timeoutMs })
      const server = key === undefined ? first : this.#port.serverOf(key)
      const sentAt = clock.now()
      const answer = (await this.#port.command('time', [], { timeoutMs, server })) as Reply[]
      return { server, sentAt, answer }
    })
    const [seconds, micros] = reply.answer
    const serverUs = number(seconds) * 1_000_000 + number(micros)
    this.#serverTimes.of(reply.server).told(reply.sentAt, serverUs)
  }

  async acquire(claim: Claim): Promise<Standing> {
    this.#refuseOtherKinds(claim)
    if (claim.wait) this.#news.expect(claim)
    try {
      let standing = await this.#acquire(claim)
      if (standing.state === 'waiting' && !(await this.#ears.listen(this.#channel(claim)))) {
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
    const { commandTimeoutMs, fenceTtlMs, clock } = this.#settings
    const keys = this.#keys(claim.name)
    for (let resynced = false; ; resynced = true) {
      if (!this.#timeOf(claim).known) await this.#learnTime('acquire', keys.lock)
      const sentAt = clock.now()
      const reply = await this.#run('acquire', scripts.acquire, keysOf(keys), [
        claim.identity,
        claim.ttlMs,
        claim.grantTtlMs,
        claim.waitTtlMs,
        claim.lockDelayMs,
        claim.minHoldMs,
        fenceTtlMs,
        this.#timeOf(claim).serverMs(commandTimeoutMs),
        claim.wait ? 1 : 0,
        claim.ticket ?? '',
        this.#channel(claim),
        claim.about,
      ])
      if (reply[0] !== 'late') return this.#standing(claim, reply, sentAt)
      // Either the request was late or the server's clock was set; its answer says which.
      this.#timeOf(claim).told(sentAt, number(reply[1]))
      if (resynced) throw this.#lateError(claim)
    }
  }

  #standing(claim: Claim, reply: readonly Reply[], sentAt: number): Standing {
    switch (reply[0]) {
      case 'held':
        this.#timeOf(claim).told(sentAt, number(reply[3]))
        return { state: 'held', fence: number(reply[1]), deadline: sentAt + number(reply[2]) }
      case 'waiting': {
        const [, ahead, look, nowUs, ticket, holder, ours, about] = reply
        this.#timeOf(claim).told(sentAt, number(nowUs))
        return {
          state: 'waiting',
          ahead: number(ahead),
          ticket: number(ticket),
          lookMs: number(look),
          ...occupant(holder, ours, about),
        }
      }
      case 'absent':
        this.#timeOf(claim).told(sentAt, number(reply[1]))
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
    const { prefix } = this.#settings
    const slot = ({ name }: Place) => slotOfKey(this.#port.keyPrefix + prefix + name)
    return await renewApart(places, slot, (some) => this.#renew(some))
  }

  async #renew(places: readonly Place[]): Promise<readonly (Standing | Unknown)[]> {
    const [first] = places
    if (first === undefined) return []
    const keys: string[] = []
    const args: (string | number)[] = [this.#settings.fenceTtlMs]
    for (const place of places) {
      keys.push(...keysOf(this.#keys(place.name)))
      const { identity, ttlMs, waitTtlMs, lockDelayMs, minHoldMs } = place
      args.push(identity, ttlMs, waitTtlMs, lockDelayMs, minHoldMs)
    }
    const sentAt = this.#settings.clock.now()
    const answer = await this.#run('renew', scripts.renew, keys, args, patience(places))
    const [nowUs, ...replies] = answer
    this.#timeOf(first).told(sentAt, number(nowUs))
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

  async release(place: Place): Promise<boolean> {
    this.#refuseOtherKinds(place)
    this.#news.forget(place.identity)
    const sentAt = this.#settings.clock.now()
    const reply = await this.#run('release', scripts.release, keysOf(this.#keys(place.name)), [
      place.identity,
      place.minHoldMs,
      this.#settings.fenceTtlMs,
      place.lockDelayMs,
    ])
    this.#timeOf(place).told(sentAt, number(reply[1]))
    return reply[0] === 1
  }

  async inspect(name: string): Promise<LockState | null> {
    const keys = keysOf(this.#keys(name))
    const reply = await this.#run('inspect', scripts.inspect, keys, [SHOWN_WAITERS])
    const shape: Shape = { kind: 'mutex', capacity: 1 }
    if (reply[0] === 'free') return null
    if (reply[0] === 'occupied') throw this.#occupied(name, shape, reply[1])
    return lockState(name, reply)
  }

  async list(query: ListQuery): Promise<LockPage> {
    const { prefix, commandTimeoutMs: timeoutMs } = this.#settings
    return await this.#send('list', undefined, () =>
      listLocks(this.#port, { prefix, timeoutMs }, query),
    )
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#news.close()
    await this.#ears.close()
    await this.#port.close()
  }

  /** The clock of the server that serves the lock now. */
  #timeOf({ name }: { name: string }): ServerTime {
    return this.#serverTimes.of(this.#port.serverOf(this.#settings.prefix + name))
  }

  #channel({ name }: Place): string {
    const { channel, prefix } = this.#settings
    return this.#port.channelFor(channel, prefix + name)
  }

  #keys(name: string): LockKeys {
    return lockKeys(this.#settings.prefix, name, this.#port.keyPrefix)
  }

  async #run(
    operation: string,
    script: Script,
    keys: readonly string[],
    args: readonly (string | number)[],
    patienceMs: number = Number.POSITIVE_INFINITY,
  ): Promise<readonly Reply[]> {
    const timeoutMs = Math.min(this.#settings.commandTimeoutMs, patienceMs)
    const [key = ''] = keys
    const rest = [keys.length, ...keys, ...args]
    // The failure of a request for many locks is not about the first of them.
    const named = keys.length > 5 ? undefined : key
    const reply = await this.#send(operation, named, async () => {
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
    key: string | undefined,
    command: () => Promise<T>,
  ): Promise<T> {
    if (this.#closing !== undefined) throw closedError()
    try {
      return await command()
    } catch (error) {
      const lock = key?.slice(this.#settings.prefix.length)
      throw engineError(this.name, operation, error, lock)
    }
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
