import { ByIdentity, type Kept } from '../../core/by-identity.ts'
import type { Clock } from '../../core/clock.ts'
import type { Place, Standing } from '../../core/engine.ts'
import { closedError } from '../../core/errors.ts'
import type { ServerTime, ServerTimes } from './server-time.ts'

/** Asks the core to look at once. */
const LOOK: Standing = { state: 'waiting', ahead: 0, ticket: 0, lookMs: 0 }

class Expected implements Kept<Expected> {
  readonly identity: string
  readonly place: Place
  /** The channel that the line has for the place; `undefined` while it does not stand in it. */
  channel: string | undefined
  /** News that came while nobody was in `wait`. */
  news: Standing | undefined
  wake: ((news: Standing | Error) => void) | undefined
  nextInBucket: Expected | undefined

  constructor(place: Place) {
    this.identity = place.identity
    this.place = place
  }
}

/** What was pushed to this process, by the place it is meant for. */
export class News {
  readonly #expected = new ByIdentity<Expected>()
  readonly #clock: Clock
  readonly #serverTimes: ServerTimes
  readonly #final: boolean
  #closed = false

  /** `final` is false where replicas must have a grant: a message does not say that they do. */
  constructor(clock: Clock, serverTimes: ServerTimes, { final }: { final: boolean }) {
    this.#clock = clock
    this.#serverTimes = serverTimes
    this.#final = final
  }

  /** Starts to keep news for a place. Called before its request is sent: the push may be faster. */
  expect(place: Place): Expected {
    const known = this.#expected.get(place.identity)
    if (known !== undefined) return known
    const expected = new Expected(place)
    this.#expected.add(expected)
    return expected
  }

  /** Whether no place of this process may be told anything. */
  get isEmpty(): boolean {
    return this.#expected.size === 0
  }

  forget(identity: string): void {
    this.#expected.delete(identity)
  }

  /** The line has the place, and this channel for it. */
  joined({ identity }: Place, channel: string): void {
    const expected = this.#expected.get(identity)
    if (expected !== undefined) expected.channel = channel
  }

  channelOf({ identity }: Place): string | undefined {
    return this.#expected.get(identity)?.channel
  }

  /** A look begins: what hinted at one before is answered by it. */
  looking({ identity }: Place): void {
    const expected = this.#expected.get(identity)
    if (expected?.news === LOOK) expected.news = undefined
  }

  /**
   * Reads a message: lines of the form "identity fence granted-at-us ttl-ms", or "identity" alone:
   * look. The time in it is of the clock of `server`; without one, a grant only says: look.
   */
  deliver(text: string, server: string | undefined): void {
    const told = this.#final && server !== undefined
    const time = told ? this.#serverTimes.of(server) : undefined
    for (const line of text.split('\n')) this.#read(line, time)
  }

  #read(line: string, time: ServerTime | undefined): void {
    const [identity = '', fence, grantedAtUs, ttlMs] = line.split(' ')
    const expected = this.#expected.get(identity)
    if (expected === undefined) return
    if (fence === undefined) return this.#tell(expected, LOOK)
    // A grant without a send time is only as good as what is known of the server's clock.
    const startedAt = time?.noEarlierThan(Number(grantedAtUs))
    if (startedAt === undefined) return this.#tell(expected, LOOK)
    const deadline = Math.min(startedAt, this.#clock.now()) + Number(ttlMs)
    this.#tell(expected, { state: 'held', fence: Number(fence), deadline })
  }

  /** Messages may have been missed: everybody looks for themselves. */
  lookAll(): void {
    for (const expected of this.#expected.toArray()) this.#tell(expected, LOOK)
  }

  /** Whoever stands in a line with another channel than this one looks at once. */
  lookMoved(channelFor: (place: Place) => string): void {
    for (const expected of this.#expected.toArray()) {
      const { channel, place } = expected
      if (channel !== undefined && channel !== channelFor(place)) this.#tell(expected, LOOK)
    }
  }

  /** Ends every wait; nothing is told any more. */
  close(): void {
    this.#closed = true
    for (const { place, wake } of this.#expected.toArray()) wake?.(closedError(place.name))
    this.#expected.clear()
  }

  /** Resolves to the next news of a place; rejects with the signal's reason. */
  next(place: Place, signal: AbortSignal): Promise<Standing> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error)
      if (this.#closed) return reject(closedError(place.name))
      const expected = this.expect(place)
      if (expected.news !== undefined) {
        const { news } = expected
        expected.news = undefined
        if (news.state === 'held') this.forget(place.identity)
        return resolve(news)
      }
      const onAbort = () => {
        expected.wake = undefined
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      expected.wake = (news) => {
        expected.wake = undefined
        signal.removeEventListener('abort', onAbort)
        if (news instanceof Error) reject(news)
        else resolve(news)
      }
    })
  }

  #tell(expected: Expected, news: Standing): void {
    if (expected.wake !== undefined) {
      // Nothing is expected of a place that was granted.
      if (news.state === 'held') this.forget(expected.place.identity)
      expected.wake(news)
    } else if (news.state === 'held' || expected.news?.state !== 'held') {
      // A grant must not be covered by a later hint to look.
      expected.news = news
    }
  }
}
