import { createHoldfast, type Engine, type Holdfast } from 'holdfast'
import { MemoryStore } from 'holdfast/memory'
import { quorum } from 'holdfast/quorum'
import { SimulatedClock, seededRandom } from 'holdfast/testing'
import { Chance } from './chance.ts'
import type { Breach } from './checks.ts'
import { Judge } from './judge.ts'
import { LineOrder } from './line-order.ts'
import { Network, Server, Wire, type Wrap } from './network.ts'
import { ProcessClock } from './process-clock.ts'
import { type Fault, isExclusive, type Scenario } from './scenarios.ts'
import { work } from './worker.ts'

/** How one history came out. */
export interface History {
  readonly breaches: readonly Breach[]
  /** Timers and messages that came due. */
  readonly steps: number
  readonly counts: Readonly<Record<string, number>>
}

/** A process with its workers. */
interface Process {
  readonly name: string
  readonly clock: ProcessClock
  readonly wires: readonly Wire[]
  readonly holdfast: Holdfast
  readonly doing: Map<symbol, string>
  /** Its workers, each until it has ended. */
  readonly working: Promise<void>[]
  dead: boolean
  /** It closes, or has. */
  leaving: boolean
}

/** Patience with what must come to an end once nothing fails any more. */
const PATIENCE_MS = 60_000
/** The time that a look at a lock which is free again may come late. */
const LOOK_MS = 2_000
/** Messages of a quiet network. */
const QUIET = { delayMs: [0.2, 4] } as const

/** Engines of processes are made wrong by this, to see that it is noticed. */
export type Spoil = (engine: Engine, clock: ProcessClock, world: SimulatedClock) => Engine

const lockNames = (kind: string, count: number): string[] =>
  Array.from({ length: count }, (_, at) => `${kind} ${at}`)

/** Plays a scenario. The seed decides everything. */
export async function play(scenario: Scenario, seed: number, spoil?: Spoil): Promise<History> {
  const world = new World(scenario, seed, spoil)
  await world.live()
  await world.calm()
  await world.probe()
  await world.end()
  return world.history
}

class World {
  readonly #scenario: Scenario
  readonly #clock = new SimulatedClock(1_000)
  readonly #chance: Chance
  readonly #judge: Judge
  readonly #order: LineOrder
  readonly #network: Network
  readonly #servers: readonly Server[]
  readonly #processes: Process[] = []
  readonly #strikes: Record<string, number> = {}
  readonly #spoil: Spoil | undefined
  #over = false
  #born = 0
  #steps = 0

  constructor(scenario: Scenario, seed: number, spoil?: Spoil) {
    this.#scenario = scenario
    this.#spoil = spoil
    const clock = this.#clock
    this.#chance = new Chance(seededRandom(seed))
    this.#judge = new Judge(clock, isExclusive(scenario))
    this.#order = new LineOrder(this.#judge)
    this.#network = new Network(clock, this.#chance, scenario.weather)
    this.#servers = Array.from({ length: Math.max(1, scenario.nodes) }, (_, at) => {
      const own = new ProcessClock(clock, this.#rate())
      const skewUs = Math.floor(this.#chance.between([0, 5_000]))
      const nowMicros = () => 1.7e15 + skewUs + Math.floor(clock.now() * 1000)
      return new Server(`server ${at}`, () => new MemoryStore({ clock: own, nowMicros }))
    })
    for (let count = scenario.workload.processes; count > 0; count--) this.#start()
  }

  get history(): History {
    const { counts, breaches } = this.#judge
    const steps = this.#steps
    return { breaches, steps, counts: { ...counts, ...this.#network.counts, ...this.#strikes } }
  }

  /** Lets everybody work while faults strike. */
  async live(): Promise<void> {
    const { faults, forMs } = this.#scenario
    for (const fault of faults) this.#plan(fault)
    await this.#advance(forMs)
    this.#over = true
  }

  /** Nothing fails any more: whatever was begun must come to an end. */
  async calm(): Promise<void> {
    this.#network.weather = QUIET
    for (const server of this.#servers) if (!server.up) server.start()
    for (const process of this.#living) {
      process.clock.resume()
      for (const { cut } of process.wires) cut.requests = cut.answers = false
    }
    const idle = new Map<string, number>()
    await this.#until(() => {
      this.#watchIdle(idle)
      return this.#living.every(({ doing }) => doing.size === 0)
    })
    for (const { doing } of this.#living) {
      for (const what of doing.values()) this.#judge.note('no waiter forgotten', what)
    }
  }

  /**
   * Notes a lock that somebody waits for while nobody holds it, for longer than what faults left
   * behind may last: the lease of a dead holder, the place of a waiter that died with it, a look.
   */
  #watchIdle(idle: Map<string, number>): void {
    const now = this.#clock.now()
    const asked = this.#living.flatMap(({ doing }) => [...doing.values()])
    const { names, kinds, ttlMs } = this.#scenario.workload
    const mostMs = 2 * ttlMs[1] + LOOK_MS
    for (const name of kinds.flatMap((kind) => lockNames(kind, names))) {
      const wanted = asked.some((what) => what.endsWith(`asks for ${name}`))
      const since = idle.get(name) ?? now
      if (!wanted || this.#judge.isHeld(name)) idle.delete(name)
      else if (now - since <= mostMs) idle.set(name, since)
      else {
        this.#judge.note('served in time', `${name}: wanted and free for ${mostMs} ms`)
        idle.delete(name)
      }
    }
  }

  /** A process that comes now is served at once. */
  async probe(): Promise<void> {
    const { names, kinds } = this.#scenario.workload
    const { holdfast, clock } = this.#start()
    for (const kind of kinds) {
      for (const name of lockNames(kind, names)) {
        const asked = this.#ask(holdfast, kind, name)
        const failed = await this.#finish(asked, 2 * this.#scenario.workload.ttlMs[1] + 10_000)
        if (failed !== undefined) this.#judge.note('everything converges', `${name}: ${failed}`)
      }
    }
    if (!clock.runs) this.#judge.note('everything converges', 'the probe does not run')
  }

  /** Closes everything and looks what is left. */
  async end(): Promise<void> {
    const closing = Promise.all(this.#living.map(({ holdfast }) => holdfast.close()))
    const failed = await this.#finish(closing, PATIENCE_MS)
    if (failed !== undefined) this.#judge.note('nothing leaked', `close: ${failed}`)
    const done = Promise.all(this.#living.flatMap(({ working }) => working))
    const working = await this.#finish(done, PATIENCE_MS)
    if (working !== undefined) this.#judge.note('nothing leaked', `workers: ${working}`)
    await this.#advance(10_000)
    for (const { name, clock } of this.#living) {
      if (clock.timers > 0) this.#judge.note('nothing leaked', `${name}: ${clock.timers} timers`)
    }
    if (this.#network.flying > 0) this.#judge.note('nothing leaked', 'messages that never arrive')
    const { names, kinds } = this.#scenario.workload
    for (const { store, name: server } of this.#servers) {
      for (const name of kinds.flatMap((kind) => lockNames(kind, names))) {
        if (store.inspect(name) === null) continue
        this.#judge.note('nothing leaked', `${server}: ${name} is taken or waited for`)
      }
    }
  }

  get #living(): readonly Process[] {
    return this.#processes.filter(({ dead }) => !dead)
  }

  #rate(): number {
    const { drift } = this.#scenario
    return 1 + this.#chance.between([-drift, drift])
  }

  #start(): Process {
    const name = `process ${++this.#born}`
    const clock = new ProcessClock(this.#clock, this.#rate())
    const { random } = this.#chance
    const wrap = this.#wrap
    const wires = this.#servers.map((server) => new Wire(server, this.#network, clock, wrap))
    const warn = ({ seen }: { seen: string }) => this.#judge.note('no wrong warning', seen)
    const engine =
      this.#scenario.nodes === 0
        ? (wires[0] as Engine)
        : quorum(wires, { clock, random, warn, nodeTimeoutMs: 500 })
    const holdfast = createHoldfast({ engine, clock, random })
    const doing = new Map<symbol, string>()
    const { workload } = this.#scenario
    const over = () => this.#over || process.leaving
    const around = { name, holdfast, clock, chance: this.#chance, judge: this.#judge }
    const workers = this.#over ? 0 : workload.workers
    const process: Process = {
      name,
      clock,
      wires,
      holdfast,
      doing,
      working: [],
      dead: false,
      leaving: false,
    }
    for (let count = workers; count > 0; count--) {
      process.working.push(work({ ...around, workload, over, doing }))
    }
    this.#processes.push(process)
    return process
  }

  /** The server's side of a connection, with its line watched. */
  get #wrap(): Wrap {
    return (engine, store, clock) => {
      const inner = this.#spoil?.(engine, clock, this.#clock) ?? engine
      if (this.#scenario.nodes > 0) return inner
      const order = this.#order
      const watched = Object.create(inner) as Engine
      watched.acquire = (claim) =>
        order.around(store, [claim.name], () => inner.acquire(claim), claim)
      watched.renew = (places) => {
        const names = [...new Set(places.map(({ name }) => name))]
        return order.around(store, names, () => inner.renew(places))
      }
      watched.release = (place, options) =>
        order.around(store, [place.name], () => inner.release(place, options))
      for (const call of ['wait', 'inspect', 'list', 'enlist', 'origin', 'close'] as const) {
        const member = inner[call] as ((...args: unknown[]) => unknown) | undefined
        if (member !== undefined) Object.assign(watched, { [call]: member.bind(inner) })
      }
      return watched
    }
  }

  #plan(fault: Fault): void {
    this.#clock.setTimer(() => {
      if (this.#over) return
      this.#strike(fault)
      this.#plan(fault)
    }, this.#chance.between(fault.everyMs))
  }

  #strike(fault: Fault): void {
    const lastsMs = this.#chance.between(fault.forMs)
    const heal = this.#hit(fault)
    if (heal === undefined) return
    this.#strikes[fault.kind] = (this.#strikes[fault.kind] ?? 0) + 1
    this.#clock.setTimer(heal, lastsMs)
  }

  /** Lets a fault happen, where it can; gives back what ends it. */
  #hit({ kind, most = 1 }: Fault): (() => void) | undefined {
    const running = this.#living.filter(({ clock, leaving }) => clock.runs && !leaving)
    const process = running.length === 0 ? undefined : this.#chance.of(running)
    const server = this.#chance.of(this.#servers)
    switch (kind) {
      case 'pause':
        process?.clock.pause()
        return process && (() => process.clock.resume())
      case 'crash':
        return process && this.#crash(process)
      case 'restart':
        return process && this.#restart(process)
      case 'server down':
      case 'data loss': {
        const down = this.#servers.filter(({ up }) => !up).length
        if (!server.up || down >= most) return undefined
        server.stop()
        return () => {
          // The calm at the end brought it back before, with what it had.
          if (server.up) return
          if (kind === 'data loss') {
            server.wipe()
            this.#order.forget()
          }
          server.start()
        }
      }
      default: {
        if (process === undefined) return undefined
        const { cut } = this.#chance.of(process.wires)
        if (kind !== 'cut answers') cut.requests = true
        if (kind !== 'cut requests') cut.answers = true
        return () => {
          cut.requests = cut.answers = false
        }
      }
    }
  }

  #crash(process: Process): () => void {
    process.dead = true
    process.clock.kill()
    return () => {
      if (!this.#over) this.#start()
    }
  }

  /** Closes as a program does that ends, and starts another. */
  #restart(process: Process): () => void {
    process.leaving = true
    process.holdfast.close().catch((error: unknown) => {
      this.#judge.note('nothing leaked', `${process.name} does not close: ${String(error)}`)
    })
    return () => {
      if (!this.#over) this.#start()
    }
  }

  async #ask(holdfast: Holdfast, kind: string, name: string): Promise<void> {
    if (kind === 'election') {
      await (await holdfast.election(name).campaign()).resign()
      return
    }
    const lock =
      kind === 'mutex'
        ? holdfast.mutex(name)
        : kind === 'semaphore'
          ? holdfast.semaphore(name, { capacity: 3 })
          : holdfast.readWriteLock(name).write
    await (await lock.acquire()).release()
  }

  /** Why a promise did not come to a good end in time; `undefined` where it did. */
  async #finish(promise: Promise<unknown>, mostMs: number): Promise<string | undefined> {
    let outcome: string | undefined = `nothing for ${mostMs} ms`
    let open = true
    promise.then(
      () => {
        outcome = undefined
        open = false
      },
      (error: unknown) => {
        outcome = String(error)
        open = false
      },
    )
    await this.#until(() => !open, mostMs)
    return outcome
  }

  async #until(condition: () => boolean, mostMs = PATIENCE_MS): Promise<void> {
    const endMs = this.#clock.now() + mostMs
    while (!condition() && this.#clock.now() < endMs) await this.#advance(25)
  }

  async #advance(ms: number): Promise<void> {
    const untilMs = this.#clock.now() + ms
    while (this.#clock.nextMs <= untilMs) {
      const before = this.#clock.nextMs
      await this.#clock.advance(Math.max(0, before - this.#clock.now()))
      this.#steps++
    }
    await this.#clock.advance(untilMs - this.#clock.now())
  }
}
