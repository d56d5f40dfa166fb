import type { Timer } from '../../../core/clock.ts'
import { type Listener, type PortOptions, RedisFailure } from '../port.ts'
import { limit } from './calls.ts'
import type { Connection, Dial } from './connection.ts'
import { failureOf } from './failure.ts'
import { Reconnector } from './reconnector.ts'

/** Nobody sends on a subscribed connection, so a half-open one is found only by asking. */
const BEAT_MS = 5000

/** What becomes of the connection. Neither may throw. */
export interface SubscriptionCourse {
  /** The server refused to serve a channel. */
  refused?(failure: RedisFailure): void
  /** The connection that was up is gone. */
  lost?(): void
}

interface Channel {
  readonly listeners: Set<Listener>
  /** Confirmed by the server on the connection in use. */
  up: boolean
}

/** The connection that messages come in on, kept only while somebody listens. */
export class Subscriptions {
  readonly #options: PortOptions
  readonly #connector: Reconnector
  readonly #server: string | undefined
  readonly #course: SubscriptionCourse
  readonly #channels = new Map<string, Channel>()
  /** Confirmations and the heartbeat that are under way on the connection in use. */
  readonly #limits = new Set<Timer>()
  #beat: Timer | undefined
  #heard = false
  #closed = false

  /** `server` is what the listeners are told of who sent a message. */
  constructor(options: PortOptions, dial: Dial, server?: string, course: SubscriptionCourse = {}) {
    this.#options = options
    this.#server = server
    this.#course = course
    this.#connector = new Reconnector(options, dial, {
      up: (connection) => this.#up(connection),
      lost: () => this.#lost(),
      refused: () => {},
      message: (channel, text) => this.#message(channel, text),
    })
  }

  add(name: string, listener: Listener): { close(): Promise<void> } {
    if (!this.#closed) this.#add(name, listener)
    return {
      close: async () => this.#remove(name, listener),
    }
  }

  /** Whether anybody listens. */
  get listening(): boolean {
    return this.#channels.size > 0
  }

  close(): void {
    this.#closed = true
    this.#channels.clear()
    this.#stop()
  }

  #add(name: string, listener: Listener): void {
    const { live } = this.#connector
    const channel = this.#channels.get(name)
    if (channel) {
      channel.listeners.add(listener)
      if (channel.up) queueMicrotask(() => this.#ready(name, listener))
      return
    }
    this.#channels.set(name, { listeners: new Set([listener]), up: false })
    if (live) this.#confirm(live, name)
    else this.#connector.start()
  }

  #ready(name: string, listener: Listener): void {
    const channel = this.#channels.get(name)
    if (channel?.up && channel.listeners.has(listener)) listener.ready()
  }

  /**
   * The server is not asked to unsubscribe: a channel nobody listens to is ignored until the
   * connection goes, and it goes with the last one.
   */
  #remove(name: string, listener: Listener): void {
    const channel = this.#channels.get(name)
    channel?.listeners.delete(listener)
    if (channel?.listeners.size === 0) this.#channels.delete(name)
    if (this.#channels.size === 0) this.#stop()
  }

  #stop(): void {
    this.#quiet()
    this.#connector.stop()
  }

  #up(connection: Connection): void {
    this.#heard = true
    this.#beat = this.#options.clock.setTimer(() => this.#heartbeat(connection), BEAT_MS)
    for (const name of this.#channels.keys()) this.#confirm(connection, name)
  }

  #confirm(connection: Connection, name: string): void {
    this.#expect(connection, connection.subscribe(name), () => {
      const channel = this.#channels.get(name)
      if (!channel) return
      channel.up = true
      for (const listener of channel.listeners) listener.ready()
    })
  }

  #heartbeat(connection: Connection): void {
    if (!this.#heard) this.#expect(connection, connection.send('ping', [], false), () => {})
    this.#heard = false
    this.#beat = this.#options.clock.setTimer(() => this.#heartbeat(connection), BEAT_MS)
  }

  /**
   * Waits for an answer no longer than a connection may take; without it the connection is dead.
   */
  #expect(connection: Connection, answer: Promise<unknown>, then: () => void): void {
    const { clock, connectTimeoutMs } = this.#options
    const timer = limit(
      clock,
      () => {
        const problem = `no answer on the subscription within ${connectTimeoutMs} ms`
        this.#connector.drop(connection, new RedisFailure('timeout', true, problem))
      },
      connectTimeoutMs,
    )
    this.#limits.add(timer)
    answer.then(
      () => {
        timer.cancel()
        this.#limits.delete(timer)
        if (connection !== this.#connector.live) return
        this.#heard = true
        then()
      },
      (error: unknown) => {
        const failure = failureOf(error, true)
        if (connection === this.#connector.live) this.#course.refused?.(failure)
        this.#connector.drop(connection, failure)
      },
    )
  }

  #message(name: string, text: string): void {
    this.#heard = true
    const channel = this.#channels.get(name)
    if (channel) for (const listener of channel.listeners) listener.message(text, this.#server)
  }

  #lost(): void {
    this.#quiet()
    this.#course.lost?.()
    for (const channel of this.#channels.values()) {
      if (!channel.up) continue
      channel.up = false
      for (const listener of channel.listeners) listener.broken()
    }
  }

  #quiet(): void {
    this.#beat?.cancel()
    this.#beat = undefined
    for (const timer of this.#limits) timer.cancel()
    this.#limits.clear()
  }
}
