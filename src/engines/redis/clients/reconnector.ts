import type { Timer } from '../../../core/clock.ts'
import { type PortOptions, RedisFailure } from '../port.ts'
import { limit } from './calls.ts'
import type { Connection, Dial } from './connection.ts'
import { failureOf } from './failure.ts'

const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 500
/** A refused password does not become right in a moment. */
const LONGEST_PAUSE_AFTER_REFUSAL_MS = 10_000
/** A connection that lived shorter than this counts as one more failed attempt. */
const STABLE_MS = 1000

/** What happens to the connection. None of these may throw. */
export interface Course {
  up(connection: Connection): void
  /** The connection that was up is gone; the next attempt starts by itself. */
  lost(failure: RedisFailure): void
  /** An attempt failed; the next one follows after a pause. */
  refused(failure: RedisFailure): void
  message(channel: string, text: string): void
}

/** Keeps one connection up from `start` to `stop`, by making a fresh one each time. */
export class Reconnector {
  /** The connection that commands can be sent on now. */
  live: Connection | undefined
  /** Why the last attempt failed; `undefined` while a first attempt runs or a connection is up. */
  failure: RedisFailure | undefined
  readonly #options: PortOptions
  readonly #dial: Dial
  readonly #course: Course
  #current: Connection | undefined
  #timer: Timer | undefined
  #running = false
  #attempts = 0
  #upSince = 0

  constructor(options: PortOptions, dial: Dial, course: Course) {
    this.#options = options
    this.#dial = dial
    this.#course = course
  }

  start(): void {
    if (this.#running) return
    this.#running = true
    this.#attempt()
  }

  /** Gives a connection up, if it is still the one in use, and makes another. */
  drop(connection: Connection, failure: RedisFailure): void {
    if (connection !== this.#current) return
    const wasUp = this.live === connection
    this.#clear()
    connection.destroy()
    if (wasUp) this.#restart(failure)
    else this.#refused(failure)
  }

  /** How long the connection in use has been up. */
  get upMs(): number {
    return this.#options.clock.now() - this.#upSince
  }

  stop(): void {
    this.#running = false
    const connection = this.#current
    this.#clear()
    this.failure = undefined
    this.#attempts = 0
    connection?.destroy()
  }

  #clear(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#current = undefined
    this.live = undefined
  }

  #attempt(): void {
    const { clock, connectTimeoutMs } = this.#options
    let connection: Connection
    try {
      connection = this.#dial({
        lost: (error) => this.drop(connection, failureOf(error, true)),
        message: (channel, text) => {
          if (connection === this.#current) this.#course.message(channel, text)
        },
      })
    } catch (error) {
      this.#refused(failureOf(error, false))
      return
    }
    this.#current = connection
    this.#timer = limit(
      clock,
      () => this.drop(connection, noConnection(connectTimeoutMs)),
      connectTimeoutMs,
    )
    connection.open().then(
      () => this.#opened(connection),
      (error: unknown) => this.drop(connection, failureOf(error, false)),
    )
  }

  #opened(connection: Connection): void {
    if (connection !== this.#current) return
    this.#timer?.cancel()
    this.#timer = undefined
    this.live = connection
    this.failure = undefined
    this.#upSince = this.#options.clock.now()
    this.#course.up(connection)
  }

  #restart(failure: RedisFailure): void {
    const stable = this.upMs >= STABLE_MS
    if (stable) this.#attempts = 0
    const pauseMs = stable ? 0 : this.#pauseMs(failure)
    this.#course.lost(failure)
    this.#later(pauseMs)
  }

  #refused(failure: RedisFailure): void {
    this.failure = failure
    const pauseMs = this.#pauseMs(failure)
    this.#course.refused(failure)
    this.#later(pauseMs)
  }

  /** The listener just called may have stopped it all, or stopped it and started it anew. */
  #later(pauseMs: number): void {
    if (!this.#running || this.#current || this.#timer) return
    if (pauseMs === 0) this.#attempt()
    else this.#timer = this.#options.clock.setTimer(() => this.#attempt(), pauseMs)
  }

  /** Twice as long each time, and unequal, so that a fleet does not come back in one instant. */
  #pauseMs(failure: RedisFailure): number {
    const longestMs =
      failure.kind === 'permission' ? LONGEST_PAUSE_AFTER_REFUSAL_MS : LONGEST_PAUSE_MS
    const fullMs = Math.min(longestMs, FIRST_PAUSE_MS * 2 ** Math.min(this.#attempts, 20))
    this.#attempts += 1
    return fullMs * (0.5 + Math.random() / 2)
  }
}

function noConnection(timeoutMs: number): RedisFailure {
  return new RedisFailure('connection', false, `no connection within ${timeoutMs} ms`)
}
