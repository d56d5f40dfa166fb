import { type Claim, type Engine, EngineError, type Place, type Standing } from 'holdfast'
import { MemoryStore, memory } from 'holdfast/memory'
import type { SimulatedClock } from 'holdfast/testing'
import type { Chance } from './chance.ts'
import type { ProcessClock } from './process-clock.ts'

/** What messages meet on their way, at all times. */
export interface Weather {
  readonly delayMs: readonly [number, number]
  /** Chance for each message, requests and answers alike. */
  readonly lose?: number
  /** Chance that a request arrives twice. */
  readonly duplicate?: number
  /** Chance that a message takes much longer than others, and is overtaken. */
  readonly straggle?: number
}

/** How long a caller waits for an answer. */
export const COMMAND_TIMEOUT_MS = 1_000

const STRAGGLER_MS = [100, 3_000] as const

/** What the server's side of every connection is wrapped in: checks, and engines that are wrong. */
export type Wrap = (engine: Engine, store: MemoryStore, clock: ProcessClock) => Engine

/** A server: its locks, and whether anybody reaches it. */
export class Server {
  readonly name: string
  store: MemoryStore
  up = true
  readonly #make: () => MemoryStore
  readonly #listeners = new Set<() => void>()

  constructor(name: string, make: () => MemoryStore) {
    this.name = name
    this.#make = make
    this.store = make()
  }

  /** Calls back whenever connections to the server have broken and are there again. */
  onBack(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  stop(): void {
    this.up = false
  }

  start(): void {
    this.up = true
    for (const listener of this.#listeners) listener()
  }

  /** Loses all it has. */
  wipe(): void {
    this.store = this.#make()
  }
}

/** One way between a process and a server: messages may be lost in either direction. */
export class Network {
  readonly world: SimulatedClock
  readonly chance: Chance
  weather: Weather
  /** Messages that were lost, sent twice or overtaken. */
  readonly counts = {
    messages: 0,
    'messages lost': 0,
    'messages twice': 0,
    'messages overtaken': 0,
  }
  /** Messages under way. */
  flying = 0

  constructor(world: SimulatedClock, chance: Chance, weather: Weather) {
    this.world = world
    this.chance = chance
    this.weather = weather
  }

  send(cut: boolean, arrive: () => void): void {
    const { delayMs, lose = 0, straggle = 0 } = this.weather
    this.counts.messages++
    if (cut || this.chance.happens(lose)) {
      this.counts['messages lost']++
      return
    }
    const straggles = this.chance.happens(straggle)
    if (straggles) this.counts['messages overtaken']++
    this.flying++
    this.world.setTimer(
      () => {
        this.flying--
        arrive()
      },
      this.chance.between(straggles ? STRAGGLER_MS : delayMs),
    )
  }

  copies(): number {
    const twice = this.chance.happens(this.weather.duplicate ?? 0)
    if (twice) this.counts['messages twice']++
    return twice ? 2 : 1
  }
}

/** The engine of one process on one server, through the network. */
export class Wire implements Engine {
  readonly name = 'wire'
  readonly guarantees
  /** Which directions are cut off. */
  readonly cut = { requests: false, answers: false }
  readonly #server: Server
  readonly #network: Network
  readonly #clock: ProcessClock
  readonly #wrap: Wrap
  #store: MemoryStore
  #engine: Engine
  /** The server's calendar as told by its last answer, and when that question was sent. */
  #told: { readonly micros: number; readonly atMs: number } | undefined

  constructor(server: Server, network: Network, clock: ProcessClock, wrap: Wrap) {
    this.#server = server
    this.#network = network
    this.#clock = clock
    this.#wrap = wrap
    this.#store = server.store
    this.#engine = wrap(memory({ clock, store: server.store }), server.store, clock)
    this.guarantees = this.#engine.guarantees
  }

  async acquire(claim: Claim): Promise<Standing> {
    const sentAt = this.#clock.now()
    // A server refuses what comes after its sender gave up.
    const lastAt = sentAt + COMMAND_TIMEOUT_MS
    const call = async (engine: Engine) =>
      this.#clock.now() > lastAt ? undefined : asSent(await engine.acquire(claim), claim, sentAt)
    return await this.#call('acquire', call, claim.name)
  }

  async renew(places: readonly Place[]): ReturnType<Engine['renew']> {
    const sentAt = this.#clock.now()
    const call = async (engine: Engine) => {
      const standings = await engine.renew(places)
      return standings.map((standing, at) => asSent(standing, places[at] as Place, sentAt))
    }
    return await this.#call('renew', call)
  }

  release(...args: Parameters<Engine['release']>): Promise<boolean> {
    return this.#call('release', (engine) => engine.release(...args), args[0].name)
  }

  inspect(name: string): ReturnType<Engine['inspect']> {
    return this.#call('inspect', (engine) => engine.inspect(name), name)
  }

  list(...args: Parameters<Engine['list']>): ReturnType<Engine['list']> {
    return this.#call('list', (engine) => engine.list(...args))
  }

  enlist(entry: Parameters<NonNullable<Engine['enlist']>>[0]) {
    return this.#call('enlist', async (engine) => await engine.enlist?.(entry)) as ReturnType<
      NonNullable<Engine['enlist']>
    >
  }

  origin(): Promise<string | undefined> {
    return this.#call('origin', async (engine) => (await engine.origin?.()) ?? '')
  }

  fenceMicros(): number | undefined {
    return this.#told && this.#told.micros + (this.#clock.now() - this.#told.atMs) * 1000
  }

  wait(place: Place, signal: AbortSignal): Promise<Standing> {
    return new Promise((resolve, reject) => {
      const inner = new AbortController()
      const end = () => {
        off()
        signal.removeEventListener('abort', onAbort)
        inner.abort(new Error('no more news are wanted'))
      }
      const tell = (news: Standing) =>
        this.#network.send(this.cut.answers || !this.#server.up, () =>
          this.#clock.enter(() => {
            if (inner.signal.aborted) return
            end()
            resolve(news)
          }),
        )
      const onAbort = () => {
        end()
        reject(signal.reason as Error)
      }
      const look = () => tell({ state: 'waiting', ahead: 0, ticket: 0, lookMs: 0 })
      const off = this.#server.onBack(look)
      signal.addEventListener('abort', onAbort)
      if (signal.aborted) return onAbort()
      this.#current.wait(place, inner.signal).then(tell, () => undefined)
    })
  }

  async close(): Promise<void> {
    await this.#engine.close()
  }

  /** The server's side of the connection, a new one when the server lost its data. */
  get #current(): Engine {
    if (this.#store !== this.#server.store) {
      void this.#engine.close()
      this.#store = this.#server.store
      const engine = memory({ clock: this.#clock, store: this.#store })
      this.#engine = this.#wrap(engine, this.#store, this.#clock)
    }
    return this.#engine
  }

  #call<T>(
    operation: string,
    run: (engine: Engine) => Promise<T | undefined>,
    lock?: string,
  ): Promise<T> {
    const network = this.#network
    const sentAt = this.#clock.now()
    return new Promise((resolve, reject) => {
      let open = true
      const settle = (settled: () => void) =>
        this.#clock.enter(() => {
          if (!open) return
          open = false
          timer.cancel()
          settled()
        })
      const timer = this.#clock.setTimer(
        () => settle(() => reject(this.#failure(operation, 'unknown', lock))),
        COMMAND_TIMEOUT_MS,
      )
      const answer = (settled: () => void) => {
        const micros = this.#server.store.nowMicros()
        network.send(this.cut.answers || !this.#server.up, () =>
          settle(() => {
            this.#told = { micros, atMs: sentAt }
            settled()
          }),
        )
      }
      const arrive = () => {
        if (!this.#server.up) return
        run(this.#current).then(
          (value) => {
            if (value !== undefined) answer(() => resolve(value))
          },
          (error: unknown) => answer(() => reject(error as Error)),
        )
      }
      if (!this.#server.up && !this.cut.requests) {
        network.send(false, () => settle(() => reject(this.#failure(operation, 'none', lock))))
        return
      }
      for (let copy = network.copies(); copy > 0; copy--) network.send(this.cut.requests, arrive)
    })
  }

  #failure(operation: string, outcome: 'none' | 'unknown', lock: string | undefined): EngineError {
    const problem = outcome === 'none' ? 'the server is down' : 'no answer in time'
    const engine = this.#server.name
    return new EngineError({ engine, operation, outcome, transient: true, problem, lock })
  }
}

/** A lease counts from before it was asked for, as a server far away cannot be relied on more. */
function asSent<S extends { readonly state: string }>(
  standing: S,
  place: Place,
  sentAt: number,
): S {
  if (standing.state !== 'held') return standing
  const { deadline } = standing as unknown as { deadline: number }
  return { ...standing, deadline: Math.min(deadline, sentAt + place.ttlMs) }
}
