import type { Clock } from '../../core/clock.ts'
import type {
  Claim,
  Engine,
  Enlisted,
  Guarantees,
  Held,
  ListQuery,
  LockPage,
  LockState,
  NodeList,
  Place,
  ReleaseOptions,
  Standing,
  Waiting,
} from '../../core/engine.ts'
import { closedError } from '../../core/errors.ts'
import type { News, Spot } from './line.ts'
import { type Listener, MemoryStore } from './store.ts'

/** What a memory engine is made of. */
export interface MemoryOptions {
  /** Clock of this process: deadlines are moments of it. Default: the store's. */
  readonly clock?: Clock
  /** Engines with the same store see the same locks. Default: a store of its own. */
  readonly store?: MemoryStore
}

const GUARANTEES: Guarantees = {
  fence: true,
  fifo: true,
  push: true,
  shared: false,
  kinds: ['mutex', 'semaphore', 'read-write', 'election'],
}

/** Says that a look is due, whatever it will show. */
const LOOK: Waiting = { state: 'waiting', ahead: 0, ticket: 0, lookMs: 0 }

/** News of one place: kept until somebody asks, handed at once to those who already did. */
interface Mailbox {
  news: Held | Waiting | null
  readonly waits: Set<(news: Held | Waiting) => void>
  /**
   * Whether the place was waiting when last heard of. If not, the box lasts as long as its waits.
   */
  expected: boolean
}

/** The weighted line in this process: for tests, for single processes, and as the definition. */
export class MemoryEngine implements Engine {
  readonly name = 'memory'
  readonly guarantees: Guarantees = GUARANTEES
  readonly #store: MemoryStore
  readonly #clock: Clock
  readonly #mailboxes = new Map<string, Mailbox>()
  readonly #aborts = new Set<(reason: unknown) => void>()
  readonly #listener: Listener & { closed: boolean }

  constructor(options: MemoryOptions = {}) {
    this.#store = options.store ?? new MemoryStore(options.clock ? { clock: options.clock } : {})
    this.#clock = options.clock ?? this.#store.clock
    this.#listener = { closed: false, tell: (news) => this.#receive(news) }
  }

  async acquire(claim: Claim): Promise<Standing> {
    this.#assertOpen(claim.name)
    const sentAt = this.#clock.now()
    return this.#standing(claim, this.#store.acquire(claim, this.#listener), sentAt)
  }

  async wait(place: Place, signal: AbortSignal): Promise<Standing> {
    this.#assertOpen(place.name)
    signal.throwIfAborted()
    const mailbox = this.#mailbox(place)
    if (mailbox.news !== null) {
      this.#mailboxes.delete(keyOf(place))
      return mailbox.news
    }
    return await new Promise((resolve, reject) => {
      const settled = () => {
        mailbox.waits.delete(onNews)
        this.#aborts.delete(onEnd)
        signal.removeEventListener('abort', onAbort)
      }
      const onNews = (news: Held | Waiting) => {
        settled()
        resolve(news)
      }
      const onEnd = (reason: unknown) => {
        settled()
        if (!mailbox.expected && mailbox.waits.size === 0) this.#mailboxes.delete(keyOf(place))
        reject(reason as Error)
      }
      const onAbort = () => onEnd(signal.reason)
      mailbox.waits.add(onNews)
      this.#aborts.add(onEnd)
      signal.addEventListener('abort', onAbort)
    })
  }

  async renew(places: readonly Place[]): Promise<readonly Standing[]> {
    this.#assertOpen()
    return places.map((place) => {
      const sentAt = this.#clock.now()
      return this.#standing(place, this.#store.renew(place, this.#listener), sentAt)
    })
  }

  async release(place: Place, options: ReleaseOptions = {}): Promise<boolean> {
    this.#assertOpen(place.name)
    const released = this.#store.release(place, options.force)
    this.#deliver(place, LOOK)
    this.#mailboxes.delete(keyOf(place))
    return released
  }

  async inspect(name: string): Promise<LockState | null> {
    this.#assertOpen(name)
    return this.#store.inspect(name)
  }

  async list(query: ListQuery): Promise<LockPage> {
    this.#assertOpen()
    return this.#store.list(query)
  }

  fenceMicros(): number {
    return this.#store.nowMicros()
  }

  async origin(): Promise<string> {
    return this.#store.origin
  }

  async enlist(entry: NodeList): Promise<Enlisted> {
    this.#assertOpen()
    return this.#store.nodeLists.enlist(entry)
  }

  async close(): Promise<void> {
    this.#listener.closed = true
    this.#mailboxes.clear()
    for (const end of this.#aborts) end(closedError())
  }

  #assertOpen(lock?: string): void {
    if (this.#listener.closed) throw closedError(lock)
  }

  #mailbox(place: Place): Mailbox {
    const found = this.#mailboxes.get(keyOf(place))
    if (found !== undefined) return found
    const made: Mailbox = { news: null, waits: new Set(), expected: false }
    this.#mailboxes.set(keyOf(place), made)
    return made
  }

  #standing(place: Place, spot: Spot, sentAt: number): Standing {
    if (spot.state === 'waiting') {
      const mailbox = this.#mailbox(place)
      mailbox.expected = true
      // Whatever came before is older than this standing.
      mailbox.news = null
      return spot
    }
    const standing =
      spot.state === 'held'
        ? ({ state: 'held', fence: spot.fence, deadline: sentAt + spot.ttlMs } as const)
        : spot
    const mailbox = this.#mailboxes.get(keyOf(place))
    if (mailbox === undefined) return standing
    mailbox.expected = false
    if (standing.state === 'held') this.#deliver(place, standing)
    if (mailbox.waits.size === 0) this.#mailboxes.delete(keyOf(place))
    return standing
  }

  #receive({ place, grant }: News): void {
    // The message arrives within the grant itself, so that this is the moment of the grant.
    const now = this.#clock.now()
    const held =
      grant && ({ state: 'held', fence: grant.fence, deadline: now + grant.ttlMs } as const)
    this.#deliver(place, held ?? LOOK)
  }

  #deliver(place: Place, news: Held | Waiting): void {
    const mailbox = this.#mailboxes.get(keyOf(place))
    if (mailbox === undefined) return
    if (mailbox.waits.size === 0) {
      mailbox.news = news
      return
    }
    this.#mailboxes.delete(keyOf(place))
    for (const wait of mailbox.waits) wait(news)
  }
}

function keyOf(place: Place): string {
  return `${place.identity} ${place.name}`
}
