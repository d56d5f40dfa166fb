import type { Claim, Place, Standing } from '../../core/engine.ts'
import type { Node } from './node.ts'
import type { Round } from './round.ts'

/** Digits of an identity that count its fresh starts. */
const MARK_DIGITS = 4

/** What this process knows of one place it has on the nodes. */
export class Seat {
  place: Place
  state: 'seeking' | 'waiting' | 'held' | 'left' = 'seeking'
  /** The fence that was reported: it never changes while the lease lasts. */
  fence: number = 0
  /** Until when a majority keeps others out, once held. */
  deadline: number = Number.NEGATIVE_INFINITY
  /** The node in whose line the place stands. */
  turnstile: Node | undefined
  /** Places in front of it there, when last seen. */
  ahead: number = 0
  /** Nodes that hold for this place before a majority does. */
  readonly grants: Set<Node> = new Set()
  /** The line was last seen to be one of a lock that is not the majority's. */
  astray: boolean = false
  /** How often in a row nobody had a majority. */
  splits: number = 0
  /** The latest question for grants: late answers of it may still be grants. */
  round: Round<Standing, unknown> | undefined
  /**
   * Give-backs that are under way or may still be, by node; each resolves to whether the node
   * surely has nothing left. What such a node holds does not count: it may be gone any moment.
   */
  readonly leaving: Map<Node, Promise<boolean>> = new Map()
  /** Questions that bring the lease back to a node that lost it. */
  readonly repairs: Map<Node, Promise<Standing>> = new Map()
  #tries = 0
  /** Attempts of one place follow each other. */
  attempt: Promise<Standing> | undefined
  /** Aborts when the place stands in another line than before; made when somebody listens. */
  #moves: AbortController | undefined

  constructor(claim: Claim) {
    this.place = placeOf(claim)
  }

  /** Stands in the line of this node from now on, or in none. */
  standAt(node: Node | undefined): void {
    if (this.turnstile === node) return
    this.turnstile = node
    this.astray = false
    this.#move()
  }

  /** The place is given up: no news of it are wanted. */
  leave(): void {
    this.state = 'left'
    this.#move()
  }

  /** There may be another seat for the place: whoever listens here should look. */
  retire(): void {
    this.#move()
  }

  /** Notes a give-back. The node is clean only when those before it are answered as well. */
  owe(node: Node, leaving: Promise<boolean>): void {
    const before = this.leaving.get(node) ?? true
    const all = Promise.all([before, leaving]).then(([one, other]) => one && other)
    this.leaving.set(node, all)
    void all.then((clean) => {
      if (clean && this.leaving.get(node) === all) this.leaving.delete(node)
    })
  }

  /** Follows a seat of the same place whose give-backs may still be on their way. */
  follow(before: Seat): void {
    this.#tries = before.#tries
    this.freshen()
  }

  /** Aborts when there is another line to listen to. */
  get moved(): AbortSignal {
    this.#moves ??= new AbortController()
    return this.#moves.signal
  }

  #move(): void {
    // Aborting without a reason would make an error with a stack for each grant.
    this.#moves?.abort('moved')
    this.#moves = undefined
  }

  /**
   * Starts afresh under another identity, where a give-back may still be on its way to a node: it
   * would undo a new grant. The last digits of an identity are enough to tell the two apart.
   */
  freshen(): void {
    const { identity } = this.place
    const mark = (++this.#tries).toString(16).padStart(MARK_DIGITS, '0').slice(-MARK_DIGITS)
    this.place = { ...this.place, identity: identity.slice(0, -MARK_DIGITS) + mark }
    this.leaving.clear()
    this.grants.clear()
    this.standAt(undefined)
    this.state = 'seeking'
  }
}

/** A claim without what is meant for one call only. */
function placeOf(claim: Claim): Place {
  const { wait: _wait, ticket: _ticket, fence: _fence, ...place } = claim
  return place
}

/** The same place as it is given back where it was no lease: nothing keeps others out after it. */
export function withoutRest(place: Place): Place {
  return { ...place, minHoldMs: 0, lockDelayMs: 0 }
}
