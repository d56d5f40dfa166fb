import type { Clock } from '../../core/clock.ts'

/**
 * What is known of the server's clock: a server moment, and the local moments between which it lay.
 * The server never sees a local time; this only reads the times that it tells.
 */
export class ServerTime {
  readonly #clock: Clock
  #sentAt = 0
  #receivedAt = 0
  #toldUs: number | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A request sent at `sentAt` was answered with the server's time. */
  told(sentAt: number, serverUs: number): void {
    this.#sentAt = sentAt
    this.#receivedAt = this.#clock.now()
    this.#toldUs = serverUs
  }

  get known(): boolean {
    return this.#toldUs !== undefined
  }

  /** The server's time `inMs` from `now`, in milliseconds, rather early than late. */
  serverMs(inMs: number, now: number): number {
    if (this.#toldUs === undefined) return Number.MAX_SAFE_INTEGER
    return Math.ceil(this.#toldUs / 1000 + (now - this.#receivedAt) + inMs)
  }

  /** About the server's time now, in microseconds, rather late than early. */
  get latestUs(): number | undefined {
    if (this.#toldUs === undefined) return undefined
    return Math.ceil(this.#toldUs + (this.#clock.now() - this.#sentAt) * 1000)
  }

  /**
   * A local moment that is not later than the server's moment `serverUs`: the server answered at
   * `told` no earlier than the request was sent. `undefined` while nothing is known.
   */
  noEarlierThan(serverUs: number): number | undefined {
    if (this.#toldUs === undefined) return undefined
    return this.#sentAt + (serverUs - this.#toldUs) / 1000
  }
}

/** The clocks of all servers, by what the port calls them. */
export class ServerTimes {
  readonly #clock: Clock
  readonly #times = new Map<string, ServerTime>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  of(server: string): ServerTime {
    let time = this.#times.get(server)
    if (!time) {
      time = new ServerTime(this.#clock)
      this.#times.set(server, time)
    }
    return time
  }

  /** A connection to it broke: the next server there may have another clock. */
  forget(server: string): void {
    this.#times.delete(server)
  }

  /** The latest of what they say it is now, in microseconds; `undefined` while none said it. */
  get latestUs(): number | undefined {
    const told = [...this.#times.values()].map(({ latestUs }) => latestUs ?? 0)
    return Math.max(0, ...told) || undefined
  }
}
