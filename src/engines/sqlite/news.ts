import { ByIdentity, type Kept } from '../../core/by-identity.ts'
import { Chain, type Chained } from '../../core/chain.ts'
import type { Held, Place, Waiting } from '../../core/engine.ts'
import { closedError } from '../../core/errors.ts'

/** Says that a look is due, whatever it will show. */
const LOOK: Waiting = { state: 'waiting', ahead: 0, ticket: 0, lookMs: 0 }

type Told = Held | Waiting

type Name = Pick<Place, 'name' | 'identity'>

/** One call that wants the next news of a place. */
interface Wait extends Chained<Wait> {
  readonly resolve: (news: Told) => void
  readonly reject: (reason: Error) => void
  readonly signal: AbortSignal
  readonly onAbort: () => void
}

/**
 * News of one place: kept until somebody asks, handed at once to those who already did. It is in
 * the chain of expected ones while the place was waiting when last seen; if not, it lasts as long
 * as its waits.
 */
class Mailbox implements Kept<Mailbox>, Chained<Mailbox> {
  readonly name: string
  readonly identity: string
  news: Told | null = null
  readonly waits: Chain<Wait> = new Chain<Wait>()
  nextInBucket: Mailbox | undefined
  chain: object | undefined
  previous: Mailbox | undefined
  next: Mailbox | undefined

  constructor({ name, identity }: Name) {
    this.name = name
    this.identity = identity
  }

  get expected(): boolean {
    return this.chain !== undefined
  }

  /** Whether the place waits and was told of no grant. */
  get awaits(): boolean {
    return this.expected && this.news?.state !== 'held'
  }
}

/** What the places of this process have to be told. */
export class News {
  readonly #mailboxes = new ByIdentity<Mailbox>()
  readonly #expected = new Chain<Mailbox>()
  /** The last call that waited was answered. */
  readonly #onIdle: () => void
  #waits = 0
  #closed = false

  constructor(onIdle: () => void) {
    this.#onIdle = onIdle
  }

  /** How many calls wait at this moment. */
  get waits(): number {
    return this.#waits
  }

  /** How many places are expected to be told something. */
  get expected(): number {
    return this.#expected.size
  }

  /** The place was seen waiting: whatever came before is older. */
  waiting(place: Name): void {
    const mailbox = this.#mailbox(place)
    if (!mailbox.expected) this.#expected.add(mailbox)
    mailbox.news = null
  }

  /** The place was seen in another standing; whoever waits for a grant learns of it. */
  settled({ identity }: Name, standing: Held | undefined): void {
    const mailbox = this.#mailboxes.get(identity)
    if (mailbox === undefined) return
    this.#expected.delete(mailbox)
    if (standing !== undefined) this.#answer(mailbox, standing)
    if (mailbox.waits.size === 0) this.#forget(mailbox)
  }

  /** The place left by its own will. */
  left({ identity }: Name): void {
    const mailbox = this.#mailboxes.get(identity)
    if (mailbox === undefined) return
    this.#answer(mailbox, LOOK)
    this.#forget(mailbox)
  }

  /** A grant that nobody asked for in this moment. */
  granted({ identity }: Name, held: Held): void {
    const mailbox = this.#mailboxes.get(identity)
    if (mailbox !== undefined) this.#tell(mailbox, held)
  }

  /** The locks with places that wait and were told of no grant. */
  awaited(): Iterable<string> {
    const { first, size } = this.#expected
    // Most processes wait for one lock at a time.
    if (size === 1 && first?.awaits === true) return [first.name]
    const names = new Set<string>()
    for (let each = first; each !== undefined; each = each.next) {
      if (each.awaits) names.add(each.name)
    }
    return names
  }

  /** Whether this place is one of those. */
  awaits({ identity }: Name): boolean {
    return this.#mailboxes.get(identity)?.awaits === true
  }

  /** The place no longer stands where it stood. */
  look({ identity }: Name): void {
    const mailbox = this.#mailboxes.get(identity)
    if (mailbox !== undefined) this.#tell(mailbox, LOOK)
  }

  /** Nothing that was known holds any more, not even a grant: everybody looks. */
  lookAll(): void {
    for (const mailbox of this.#mailboxes.toArray()) {
      this.#answer(mailbox, LOOK)
      if (mailbox.news !== null || mailbox.expected) mailbox.news = LOOK
      else this.#forget(mailbox)
    }
  }

  /** Resolves to the next news of a place; rejects with the signal's reason. */
  next(place: Name, signal: AbortSignal): Promise<Told> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(closedError(place.name))
      if (signal.aborted) return reject(signal.reason as Error)
      const mailbox = this.#mailbox(place)
      const { news } = mailbox
      if (news !== null) {
        this.#forget(mailbox)
        return resolve(news)
      }
      const onAbort = () => {
        this.#end(mailbox, wait)
        if (!mailbox.expected && mailbox.waits.size === 0) this.#forget(mailbox)
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', onAbort)
      const wait: Wait = {
        resolve,
        reject,
        signal,
        onAbort,
        chain: undefined,
        previous: undefined,
        next: undefined,
      }
      mailbox.waits.add(wait)
      this.#waits += 1
    })
  }

  close(): void {
    this.#closed = true
    for (const mailbox of this.#mailboxes.toArray()) {
      this.#forget(mailbox)
      for (const wait of mailbox.waits.toArray()) {
        this.#end(mailbox, wait)
        wait.reject(closedError(mailbox.name))
      }
    }
  }

  #tell(mailbox: Mailbox, news: Told): void {
    if (mailbox.waits.size > 0) {
      this.#forget(mailbox)
      this.#answer(mailbox, news)
    } else if (mailbox.news?.state !== 'held') {
      // A grant must not be covered by a later hint to look.
      mailbox.news = news
    }
  }

  #answer(mailbox: Mailbox, news: Told): void {
    const { waits } = mailbox
    for (let wait = waits.first; wait !== undefined; wait = waits.first) {
      this.#end(mailbox, wait)
      wait.resolve(news)
    }
  }

  #end(mailbox: Mailbox, wait: Wait): void {
    mailbox.waits.delete(wait)
    this.#waits -= 1
    wait.signal.removeEventListener('abort', wait.onAbort)
    if (this.#waits === 0) this.#onIdle()
  }

  #forget(mailbox: Mailbox): void {
    this.#expected.delete(mailbox)
    this.#mailboxes.delete(mailbox.identity)
  }

  #mailbox(place: Name): Mailbox {
    const found = this.#mailboxes.get(place.identity)
    if (found !== undefined) return found
    const made = new Mailbox(place)
    this.#mailboxes.add(made)
    return made
  }
}
