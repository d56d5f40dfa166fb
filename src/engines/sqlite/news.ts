import type { Held, Place, Waiting } from '../../core/engine.ts'
import { closedError } from '../../core/errors.ts'

/** Says that a look is due, whatever it will show. */
const LOOK: Waiting = { state: 'waiting', ahead: 0, ticket: 0, lookMs: 0 }

type Told = Held | Waiting

/** News of one place: kept until somebody asks, handed at once to those who already did. */
interface Mailbox {
  readonly name: string
  news: Told | null
  readonly waits: Set<(news: Told) => void>
  /** Whether the place was waiting when last seen. If not, the box lasts as long as its waits. */
  expected: boolean
}

type Name = Pick<Place, 'name' | 'identity'>

/** What the places of this process have to be told. */
export class News {
  readonly #mailboxes = new Map<string, Mailbox>()
  readonly #ends = new Map<(reason: unknown) => void, string>()
  #expected = 0
  #closed = false

  /** How many calls wait at this moment. */
  get waits(): number {
    return this.#ends.size
  }

  /** How many places are expected to be told something. */
  get expected(): number {
    return this.#expected
  }

  /** The place was seen waiting: whatever came before is older. */
  waiting(place: Name): void {
    const mailbox = this.#mailbox(place)
    if (!mailbox.expected) this.#expected += 1
    mailbox.expected = true
    mailbox.news = null
  }

  /** The place was seen in another standing; whoever waits for a grant learns of it. */
  settled(place: Name, standing: Held | undefined): void {
    const mailbox = this.#mailboxes.get(keyOf(place))
    if (mailbox === undefined) return
    this.#expect(mailbox, false)
    if (standing !== undefined && mailbox.waits.size > 0) this.#hand(place, mailbox, standing)
    if (mailbox.waits.size === 0) this.#mailboxes.delete(keyOf(place))
  }

  /** The place left by its own will. */
  left(place: Name): void {
    this.look(place)
    this.#forget(place)
  }

  /** A grant that nobody asked for in this moment. */
  granted(place: Name, held: Held): void {
    const mailbox = this.#mailboxes.get(keyOf(place))
    if (mailbox !== undefined) this.#tell(place, mailbox, held)
  }

  /** The locks with places that wait and were told of no grant. */
  awaited(): Set<string> {
    const names = new Set<string>()
    for (const { name, expected, news } of this.#mailboxes.values()) {
      if (expected && news?.state !== 'held') names.add(name)
    }
    return names
  }

  /** Whether this place is one of those. */
  awaits(place: Name): boolean {
    const mailbox = this.#mailboxes.get(keyOf(place))
    return mailbox?.expected === true && mailbox.news?.state !== 'held'
  }

  /** The place no longer stands where it stood. */
  look(place: Name): void {
    const mailbox = this.#mailboxes.get(keyOf(place))
    if (mailbox !== undefined) this.#tell(place, mailbox, LOOK)
  }

  /** Nothing that was known holds any more, not even a grant: everybody looks. */
  lookAll(): void {
    for (const mailbox of this.#mailboxes.values()) {
      mailbox.news = mailbox.news !== null || mailbox.expected ? LOOK : null
      for (const wait of mailbox.waits) wait(LOOK)
    }
  }

  /** Resolves to the next news of a place; rejects with the signal's reason. */
  async next(place: Place, signal: AbortSignal): Promise<Told> {
    signal.throwIfAborted()
    if (this.#closed) throw closedError(place.name)
    const mailbox = this.#mailbox(place)
    if (mailbox.news !== null) {
      const { news } = mailbox
      this.#forget(place)
      return news
    }
    return await new Promise((resolve, reject) => {
      const settled = () => {
        mailbox.waits.delete(onNews)
        this.#ends.delete(onEnd)
        signal.removeEventListener('abort', onAbort)
      }
      const onNews = (news: Told) => {
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
      this.#ends.set(onEnd, place.name)
      signal.addEventListener('abort', onAbort)
    })
  }

  close(): void {
    this.#closed = true
    this.#mailboxes.clear()
    this.#expected = 0
    for (const [end, name] of this.#ends) end(closedError(name))
  }

  #tell(place: Name, mailbox: Mailbox, news: Told): void {
    if (mailbox.waits.size > 0) this.#hand(place, mailbox, news)
    // A grant must not be covered by a later hint to look.
    else if (mailbox.news?.state !== 'held') mailbox.news = news
  }

  #hand(place: Name, mailbox: Mailbox, news: Told): void {
    this.#forget(place)
    for (const wait of mailbox.waits) wait(news)
  }

  #forget(place: Name): void {
    const mailbox = this.#mailboxes.get(keyOf(place))
    if (mailbox === undefined) return
    this.#expect(mailbox, false)
    this.#mailboxes.delete(keyOf(place))
  }

  #expect(mailbox: Mailbox, expected: boolean): void {
    if (mailbox.expected && !expected) this.#expected -= 1
    mailbox.expected = expected
  }

  #mailbox(place: Name): Mailbox {
    const found = this.#mailboxes.get(keyOf(place))
    if (found !== undefined) return found
    const made: Mailbox = { name: place.name, news: null, waits: new Set(), expected: false }
    this.#mailboxes.set(keyOf(place), made)
    return made
  }
}

function keyOf(place: Name): string {
  return `${place.identity} ${place.name}`
}
