import type {
  Claim,
  Engine,
  Enlisted,
  Guarantees,
  ListQuery,
  LockPage,
  LockState,
  NodeList,
  Place,
  ReleaseOptions,
  Shape,
  Standing,
  Unknown,
} from '../../core/engine.ts'
import { EngineError, ReplicaError, ShapeError } from '../../core/errors.ts'
import type { Expectations, Finding } from '../../core/finding.ts'
import { diagnoseServers } from './diagnosis.ts'
import { Ears } from './ears.ts'
import { passing, unreadable } from './failure.ts'
import { patience, renewInGroups } from './groups.ts'
import { keysOf, type LockKeys, slotOfKey } from './keys.ts'
import { listLocks } from './list.ts'
import { News } from './news.ts'
import { enlistAt } from './node-lists.ts'
import { permissionProblem } from './permissions.ts'
import type { RedisPort, Reply } from './port.ts'
import { allOf, recipeOf } from './recipes.ts'
import type { ReplicaWrites } from './replicas.ts'
import { inFull, lockState, number, occupant, shapeOf, text } from './replies.ts'
import { Requests } from './requests.ts'
import { inspect } from './scripts.generated.ts'
import { type ServerTime, ServerTimes } from './server-time.ts'
import type { RedisSettings } from './settings.ts'

/** Most waiters that `inspect` shows. */
const SHOWN = 100

/** What an identity looks like; the value of another program's key seldom does. */
const IDENTITY = /^[0-9a-f]{32}$/

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
  readonly #requests: Requests
  readonly #settings: RedisSettings
  readonly #times: ServerTimes
  readonly #news: News
  readonly #ears: Ears
  readonly #keys: (name: string) => LockKeys
  #closing: Promise<void> | undefined

  constructor(port: RedisPort, settings: RedisSettings, replicas?: ReplicaWrites) {
    this.#port = port
    this.#settings = settings
    this.#keys = keysOf(settings.prefix, port.keyPrefix)
    this.#requests = new Requests(port, settings.commandTimeoutMs, replicas)
    this.#times = new ServerTimes(settings.clock)
    this.#news = new News(settings.clock, this.#times, { final: replicas === undefined })
    this.#ears = new Ears(port, settings.clock, settings.commandTimeoutMs, {
      message: (text, server) => this.#news.deliver(text, server),
      ready: () => this.#news.lookAll(),
    })
    for (const each of [port, replicas]) each?.onBreak((server) => this.#times.forget(server))
    port.onMove(() => this.#news.lookMoved((place) => this.#channel(place)))
  }

  /** Learns the server's time; rejects with `EngineError` when there is no server. */
  async ping(): Promise<void> {
    await this.#learnTime('connect')
  }

  async #learnTime(operation: string, lock?: string): Promise<void> {
    const { clock, prefix } = this.#settings
    const told = await this.#requests.send(operation, lock, async (port, timeoutMs) => {
      const [first = ''] = await port.servers({ timeoutMs })
      const server = lock === undefined ? first : port.serverOf(prefix + lock)
      const sentAt = clock.now()
      const answer = (await port.command('time', [], { timeoutMs, server })) as Reply[]
      return { server, sentAt, answer }
    })
    const [seconds, micros] = told.answer
    const serverUs = number(seconds) * 1_000_000 + number(micros)
    this.#times.of(told.server).told(told.sentAt, serverUs)
  }

  async acquire(claim: Claim): Promise<Standing> {
    if (claim.wait) this.#news.expect(claim)
    try {
      let standing = await this.#acquire(claim)
      if (standing.state === 'waiting' && !(await this.#isHeard(claim))) {
        // Who frees the lock before the subscription is up tells nobody, and passes the place over.
        this.#news.looking(claim)
        standing = await this.#acquire({ ...claim, ticket: standing.ticket })
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

  /** Whether a message for the place would have come here ever since it stands in the line. */
  async #isHeard(claim: Claim): Promise<boolean> {
    const isUp = await this.#ears.listen(this.#news.channelOf(claim) ?? this.#channel(claim))
    return isUp && !this.#hasMoved(claim)
  }

  /** Whether the line has a channel for the place on which its server reaches nobody any more. */
  #hasMoved(place: Place): boolean {
    const channel = this.#news.channelOf(place)
    return channel !== undefined && channel !== this.#channel(place)
  }

  async #acquire(claim: Claim): Promise<Standing> {
    const { commandTimeoutMs, fenceTtlMs: keepMs, clock } = this.#settings
    const keys = this.#keys(claim.name)
    let time = this.#timeOf(claim.name)
    for (let resynced = false, looked = false; ; ) {
      if (!time.known) {
        await this.#learnTime('acquire', claim.name)
        time = this.#timeOf(claim.name)
      }
      const sentAt = clock.now()
      const notAfterMs = time.serverMs(commandTimeoutMs, sentAt)
      const channel = this.#channel(claim)
      const terms = { keepMs, notAfterMs, channel }
      const asked = this.#longer(claim)
      const call = recipeOf(claim.shape).acquire(keys, asked, terms)
      const answer = await this.#requests.grant('acquire', call, claim.name)
      const { replicas, server } = answer
      const reply = inFull(answer.reply, asked.ttlMs)
      // Another one may have answered than was thought to serve the lock, by another clock.
      time = this.#times.of(server)
      if (reply[0] === 'shape') {
        const found = shapeOf(reply[1])
        if (looked) throw new ShapeError(claim.name, claim.shape, found)
        // Only its own scripts can tell whether the time of all who are there is over.
        await this.#leave({ ...claim, shape: found })
        looked = true
      } else if (reply[0] === 'late') {
        // Either the request was late or the server's clock was set; its answer says which.
        time.told(sentAt, number(reply[1]))
        const problem = 'requests reach the server later than commandTimeoutMs'
        if (resynced) throw passing('acquire', claim.name, 'none', problem)
        resynced = true
      } else if (reply[0] === 'held' && this.#tooFew(replicas)) {
        throw await this.#giveBack(claim, replicas)
      } else if (reply[0] !== 'again') {
        if (reply[0] === 'waiting') this.#joined(claim, channel)
        return this.#standing(claim, reply, { sentAt, time })
      }
    }
  }

  #joined(place: Place, channel: string): void {
    this.#news.joined(place, channel)
    this.#ears.open(channel)
  }

  #standing(
    claim: Claim,
    reply: readonly Reply[],
    { sentAt, time }: { sentAt: number; time: ServerTime },
  ): Standing {
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
        throw unreadable('acquire', claim.name, reply)
    }
  }

  wait(place: Place, signal: AbortSignal): Promise<Standing> {
    return this.#news.next(place, signal)
  }

  renew(places: readonly Place[]): Promise<readonly (Standing | Unknown)[]> {
    // No group is told before the slowest has settled: one that hangs must leave time to all.
    const patienceMs = patience(places)
    const renew = (some: readonly Place[]) => this.#renew(some, patienceMs)
    return renewInGroups(places, (place) => this.#groupOf(place), renew)
  }

  /** Places can be renewed by one request when one script serves them and one slot holds them. */
  #groupOf({ name, shape }: Place): string {
    const { keyPrefix, topology } = this.#port
    const key = keyPrefix + this.#settings.prefix + name
    const slot = topology === 'cluster' ? slotOfKey(key) : 0
    return `${slot} ${shape.kind === 'mutex'}`
  }

  async #renew(
    places: readonly Place[],
    patienceMs: number,
  ): Promise<readonly (Standing | Unknown)[]> {
    const [first] = places
    if (first === undefined) return []
    const named = places.map((place) => ({
      keys: this.#keys(place.name),
      place: this.#longer(place),
    }))
    const call = recipeOf(first.shape).renew(named, { keepMs: this.#settings.fenceTtlMs })
    // The failure of a request for many locks is not about the first of them.
    const lock = places.length > 1 ? undefined : first.name
    const sentAt = this.#settings.clock.now()
    const answer = await this.#requests.grant('renew', call, lock, patienceMs)
    const [nowUs, ...replies] = answer.reply
    this.#times.of(answer.server).told(sentAt, number(nowUs))
    return places.map((place, index) => {
      const reply = (replies[index] ?? []) as readonly Reply[]
      if (reply[0] === 'held' && this.#tooFew(answer.replicas)) {
        return { state: 'unknown', error: this.#replicaError('renew', place, answer.replicas) }
      }
      // A place that the line lost comes back, and goes on listening.
      if (reply[0] === 'held') this.#news.forget(place.identity)
      if (reply[0] === 'unknown') {
        const problem = permissionProblem(text(reply[1]), call.script, [
          this.#keys(place.name).lock,
        ])
        return { state: 'unknown', error: passing('renew', place.name, 'unknown', problem) }
      }
      return this.#renewed(place, reply, sentAt)
    })
  }

  /**
   * A pushed grant was written by the connection of whoever released, so WAIT can speak of it only
   * after a write of this one. A look that asks for no more than is left would write nothing.
   */
  #longer<T extends Place>(place: T): T {
    return this.#requests.replicas === undefined ? place : { ...place, ttlMs: place.ttlMs + 1 }
  }

  #tooFew(replicas: number | undefined): replicas is number {
    return replicas !== undefined && replicas < (this.#requests.replicas?.min ?? 0)
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

  /** Ends a grant that never was a lease, its minimum hold too; says whether that succeeded. */
  async #giveBack(place: Place, confirmed: number): Promise<ReplicaError> {
    const outcome = await this.release(place, { force: true }).then(
      () => 'none' as const,
      () => 'unknown' as const,
    )
    return this.#replicaError('acquire', place, confirmed, outcome)
  }

  #renewed(place: Place, reply: readonly Reply[], sentAt: number): Standing {
    switch (reply[0]) {
      case 'held':
        return { state: 'held', fence: number(reply[1]), deadline: sentAt + number(reply[2]) }
      case 'waiting': {
        // Whoever frees the lock would not be heard: the caller joins once more, where it stands.
        if (this.#hasMoved(place)) return { state: 'absent' }
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
      default:
        throw unreadable('renew', place.name, reply)
    }
  }

  release(place: Place, { force = false }: ReleaseOptions = {}): Promise<boolean> {
    this.#news.forget(place.identity)
    // Another program's key holds what it likes, and goes only by force.
    if (!force && !IDENTITY.test(place.identity)) return Promise.resolve(false)
    return this.#leave(place, force)
  }

  async #leave(place: Place, force = false): Promise<boolean> {
    const channel = this.#news.isEmpty ? undefined : this.#channel(place)
    const terms = { keepMs: this.#settings.fenceTtlMs, force, channel }
    const call = recipeOf(place.shape).release(this.#keys(place.name), place, terms)
    const sentAt = this.#settings.clock.now()
    try {
      const { reply, server } = await this.#requests.run('release', call, place.name)
      if (reply.length > 1) this.#times.of(server).told(sentAt, number(reply[1]))
      if (reply.length > 2) this.#news.deliver(text(reply[2]), server)
      return reply[0] === 1
    } catch (error) {
      // The answer that is lost may have told of a grant.
      if (channel !== undefined) this.#news.lookAll()
      throw error
    }
  }

  async inspect(name: string): Promise<LockState | null> {
    const call = { script: inspect, keys: allOf(this.#keys(name)), args: [SHOWN] }
    const { reply } = await this.#requests.run('inspect', call, name)
    if (reply[0] === 'free') return null
    if (reply[0] === 'occupied') {
      throw this.#occupied(name, { kind: 'mutex', capacity: 1 }, reply[1])
    }
    return lockState(name, reply)
  }

  async list(query: ListQuery): Promise<LockPage> {
    const { prefix } = this.#settings
    return await this.#requests.send('list', undefined, (port, timeoutMs) =>
      listLocks(port, { prefix, timeoutMs }, query),
    )
  }

  fenceMicros(): number | undefined {
    return this.#times.latestUs
  }

  /** The run of the server: another database or prefix of it fails with it. */
  async origin(): Promise<string | undefined> {
    const told = await this.#requests.send('connect', undefined, (port, timeoutMs) =>
      port.command('info', ['server'], { timeoutMs }),
    )
    if (this.#times.latestUs === undefined) await this.#learnTime('connect')
    return /^run_id:(\w+)/m.exec(text(told))?.[1]
  }

  async enlist(entry: NodeList): Promise<Enlisted> {
    return await enlistAt(this.#requests, this.#settings.prefix, entry)
  }

  async diagnose(expected: Expectations): Promise<readonly Finding[]> {
    const around = { ...this.#settings, port: this.#port, replicas: this.#requests.replicas }
    return await this.#requests.send('diagnose', undefined, () => diagnoseServers(around, expected))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#news.close()
    await this.#ears.close()
    await this.#requests.close()
  }

  /** The clock of the server that serves the lock now. */
  #timeOf(lock: string): ServerTime {
    return this.#times.of(this.#port.serverOf(this.#settings.prefix + lock))
  }

  #channel({ name }: Place): string {
    const { channel, prefix } = this.#settings
    return this.#port.channelFor(channel, prefix + name)
  }

  #occupied(name: string, wanted: Shape, type: Reply | undefined): ShapeError {
    const key = this.#port.keyPrefix + this.#settings.prefix + name
    return new ShapeError(name, wanted, null, ` (key ${JSON.stringify(key)}, a ${text(type)})`)
  }
}
