/** What a chain needs of its members, and alone reads and writes. */
export interface Chained<T> {
  /** The chain that it is in. */
  chain: object | undefined
  previous: T | undefined
  next: T | undefined
}

/**
 * Members in the order in which they came. For those that come and go with every call: a Map or Set
 * makes a new table every few of them, and a table that has grown old keeps all later ones from the
 * collector of young garbage.
 */
export class Chain<T extends Chained<T>> {
  #first: T | undefined
  #last: T | undefined
  #size = 0

  get first(): T | undefined {
    return this.#first
  }

  get size(): number {
    return this.#size
  }

  /** Puts it behind all others. It is in no chain. */
  add(member: T): void {
    member.chain = this
    member.previous = this.#last
    if (this.#last === undefined) this.#first = member
    else this.#last.next = member
    this.#last = member
    this.#size += 1
  }

  /** Says whether it was there. */
  delete(member: T): boolean {
    if (member.chain !== this) return false
    const { previous, next } = member
    if (previous === undefined) this.#first = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    member.chain = undefined
    member.previous = undefined
    member.next = undefined
    this.#size -= 1
    return true
  }

  /** All that are there now. */
  toArray(): T[] {
    const all: T[] = []
    for (let member = this.#first; member !== undefined; member = member.next) all.push(member)
    return all
  }
}
