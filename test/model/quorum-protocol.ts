import {
  decideGrant,
  decideRaise,
  type GrantVote,
  majorityOf,
} from '../../src/engines/quorum/tally.ts'

/**
 * The protocol of the quorum engine as a machine with few states. Clients decide by the engine's
 * own functions; nodes do what the contract says; anything else may happen at any moment: a request
 * arrives late or twice, its answer is lost, a lock ends early, a client pauses or gives up.
 *
 * A lock ends when the next request finds it over, and a refusal is a request without an answer:
 * neither needs a step of its own, and everything that could follow from one still can.
 */
export interface Config {
  readonly clients: number
  /** Grants that each client asks for, each under an identity of its own. */
  readonly attempts: number
  /** Fence counters that the nodes start with; their number is the number of nodes. */
  readonly counters: readonly number[]
  /** The fence that each client proposes: 0 for none. */
  readonly proposals: readonly number[]
  readonly variant: Variant
  /** How many nodes may lose all they have, and how many times. */
  readonly wipes?: number
  /**
   * How often a request is sent again after its answer was lost, a holder takes the lock again on a
   * node that lost it, and a client gives a node back and asks it again. Without a bound the fences
   * would have none.
   */
  readonly repeats?: number
  /** Whether requests of an attempt may still arrive when its client has gone on to the next. */
  readonly late?: boolean
}

/**
 * `holdfast` is the protocol. The others are known to be wrong: the largest fence is reported
 * without being written anywhere, is written whoever holds the lock, or a node that lost its
 * counter begins again at 1.
 */
export type Variant = 'holdfast' | 'no second phase' | 'unconditional' | 'counted from 1'

/** What must never be seen. */
export type Flaw = 'duplicate fence' | 'smaller than an earlier one' | 'stale and larger'

/**
 * Three bytes for each node (who holds it, under which fence, its counter); for each client its
 * attempt, phase, fence and votes; for each identity the nodes it is still asking and raising, the
 * fence it raises to and the one it reported; and what was used up of repeats and wipes, and the
 * largest fence so far.
 */
export type State = Buffer

export interface Step {
  readonly label: string
  readonly state: State
  readonly flaw?: Flaw
}

const ASKING = 0
const RAISING = 1
const HOLDING = 2

/** The protocol with everything that can happen to it. */
export class Machine {
  readonly config: Config
  readonly #nodes: number
  readonly #ids: number
  readonly #clientsAt: number
  readonly #clientSize: number
  readonly #idsAt: number
  readonly #size: number

  constructor(config: Config) {
    this.config = config
    this.#nodes = config.counters.length
    this.#ids = config.clients * config.attempts
    this.#clientsAt = 3 * this.#nodes
    this.#clientSize = 3 + this.#nodes
    this.#idsAt = this.#clientsAt + this.#clientSize * config.clients
    this.#size = this.#idsAt + 4 * this.#ids + 3
  }

  start(): State {
    const state = Buffer.alloc(this.#size)
    this.config.counters.forEach((counter, node) => {
      state[3 * node + 2] = counter
    })
    state[this.#size - 1] = Math.max(...this.config.counters)
    for (let client = 0; client < this.config.clients; client++) {
      state[this.#idAt(1 + client * this.config.attempts)] = this.#everybody
    }
    return state
  }

  /** Everything that can happen next. */
  steps(state: State): Step[] {
    const steps: Step[] = []
    for (let client = 0; client < this.config.clients; client++) this.#moves(state, client, steps)
    for (let id = 1; id <= this.#ids; id++) this.#arrivals(state, id, steps)
    if (at(state, this.#size - 2) < (this.config.wipes ?? 0)) {
      for (let node = 0; node < this.#nodes; node++) {
        const next = Buffer.from(state)
        next.fill(0, 3 * node, 3 * node + 3)
        add(next, this.#size - 2)
        steps.push({ label: `node ${node} loses everything`, state: next })
      }
    }
    return steps
  }

  get #everybody(): number {
    return (1 << this.#nodes) - 1
  }

  /** What a client decides by what it knows. */
  #moves(state: State, client: number, steps: Step[]): void {
    const own = this.#clientsAt + client * this.#clientSize
    const attempt = at(state, own)
    const phase = at(state, own + 1)
    const id = 1 + client * this.config.attempts + attempt
    if (phase === ASKING) this.#count(state, own, client, id, steps)
    if (phase === RAISING) this.#confirm(state, own, client, id, steps)
    if (phase === ASKING) this.#giveBack(state, own, id, steps)
    if (phase === HOLDING) this.#renew(state, id, steps)
    if (attempt + 1 < this.config.attempts) {
      const next = Buffer.from(state)
      next.fill(0, own, own + this.#clientSize)
      next[own] = attempt + 1
      this.#forget(next, id)
      if (this.config.late === false) next.fill(0, this.#idAt(id), this.#idAt(id) + 3)
      next[this.#idAt(id + 1)] = this.#everybody
      steps.push({ label: `client ${client} ends attempt ${attempt}`, state: next })
    }
  }

  /** Whoever has fewer than a majority gives it back, and asks again for the same place. */
  #giveBack(state: State, own: number, id: number, steps: Step[]): void {
    if (at(state, this.#size - 3) >= (this.config.repeats ?? 0)) return
    for (let node = 0; node < this.#nodes; node++) {
      const asked = (at(state, this.#idAt(id)) & (1 << node)) !== 0
      if (asked) continue
      const next = Buffer.from(state)
      if (state[3 * node] === id) next[3 * node] = next[3 * node + 1] = 0
      next[own + 3 + node] = 0
      next[this.#idAt(id)] = at(next, this.#idAt(id)) | (1 << node)
      add(next, this.#size - 3)
      steps.push({ label: `${id} gives ${node} back and asks again`, state: next })
    }
  }

  /** A renewal raises the node to the fence that was reported, where the lease is still there. */
  #renew(state: State, id: number, steps: Step[]): void {
    const fence = at(state, this.#idAt(id) + 3)
    for (let node = 0; node < this.#nodes; node++) {
      const ours = state[3 * node] === id
      if (!ours && this.config.variant !== 'unconditional') continue
      if (at(state, 3 * node + (ours ? 1 : 2)) >= fence) continue
      const next = Buffer.from(state)
      if (ours) next[3 * node + 1] = fence
      next[3 * node + 2] = Math.max(at(state, 3 * node + 2), fence)
      steps.push({ label: `${id} renews ${fence} on ${node}`, state: next })
    }
  }

  #count(state: State, own: number, client: number, id: number, steps: Step[]): void {
    const votes = this.#votes(state, own)
    const decision = decideGrant(votes)
    if (decision.step !== 'report' && decision.step !== 'raise') return
    const { fence } = decision
    if (decision.step === 'report' || this.config.variant === 'no second phase') {
      steps.push(this.#report(state, own, client, id, fence))
      return
    }
    const next = Buffer.from(state)
    next[own + 1] = RAISING
    next[own + 2] = fence
    let asked = 0
    votes.forEach((vote, node) => {
      if (vote !== 'open') asked |= 1 << node
      next[own + 3 + node] = 0
    })
    next[this.#idAt(id) + 1] = asked
    next[this.#idAt(id) + 2] = fence
    steps.push({ label: `client ${client} raises to ${fence}`, state: next })
  }

  #confirm(state: State, own: number, client: number, id: number, steps: Step[]): void {
    const fence = at(state, own + 2)
    if (decideRaise(this.#votes(state, own), fence) !== 'confirmed') return
    steps.push(this.#report(state, own, client, id, fence))
  }

  #report(state: State, own: number, client: number, id: number, fence: number): Step {
    const flaw = this.#flaw(state, id, fence)
    const next = Buffer.from(state)
    next.fill(0, own + 2, own + this.#clientSize)
    next[own + 1] = HOLDING
    next[this.#idAt(id) + 3] = fence
    const label = `client ${client} reports ${fence}`
    return flaw === undefined ? { label, state: next } : { label, state: next, flaw }
  }

  /** What would be wrong about reporting this fence now. */
  #flaw(state: State, id: number, fence: number): Flaw | undefined {
    const holds = this.#holds(state, id, fence)
    for (let other = 1; other <= this.#ids; other++) {
      const reported = at(state, this.#idAt(other) + 3)
      if (other === id || reported === 0) continue
      if (reported === fence) return 'duplicate fence'
      if (holds && reported > fence) return 'smaller than an earlier one'
      if (reported < fence && this.#holds(state, other, reported)) return 'stale and larger'
    }
    return undefined
  }

  /** Whether a majority of the nodes hold for an identity, under the fence that it reports. */
  #holds(state: State, id: number, fence: number): boolean {
    let count = 0
    for (let node = 0; node < this.#nodes; node++) {
      if (state[3 * node] === id && state[3 * node + 1] === fence) count++
    }
    return count >= majorityOf(this.#nodes)
  }

  /** Requests that reach a node and are granted, each with its answer or without. */
  #arrivals(state: State, id: number, steps: Step[]): void {
    const client = Math.floor((id - 1) / this.config.attempts)
    const own = this.#clientsAt + client * this.#clientSize
    const current = 1 + client * this.config.attempts + at(state, own) === id
    const phase = current ? at(state, own + 1) : undefined
    for (let node = 0; node < this.#nodes; node++) {
      this.#asked(state, { id, client, node, own, phase }, steps)
      this.#raised(state, { id, client, node, own, phase }, steps)
    }
  }

  #asked(state: State, { id, client, node, own, phase }: Arrival, steps: Step[]): void {
    const mask = this.#idAt(id)
    const repeats = at(state, this.#size - 3) < (this.config.repeats ?? 0)
    const asked = (at(state, mask) & (1 << node)) !== 0
    if (asked || (repeats && phase === HOLDING && state[3 * node] !== id)) {
      const next = Buffer.from(state)
      const least = phase === HOLDING ? at(state, mask + 3) : 0
      const fence = this.#acquire(
        next,
        node,
        id,
        Math.max(least, this.config.proposals[client] ?? 0),
      )
      if (phase === undefined) this.#forget(next, id)
      if (asked && repeats) {
        const again = Buffer.from(next)
        add(again, this.#size - 3)
        steps.push({ label: `${node} grants ${id} ${fence}, and is asked again`, state: again })
      }
      if (asked) next[mask] = at(next, mask) & ~(1 << node)
      else add(next, this.#size - 3)
      const unheard = phase === ASKING ? ', which is not heard' : ''
      steps.push({ label: `${node} grants ${id} ${fence}${unheard}`, state: next })
      if (phase !== ASKING) return
      const heard = Buffer.from(next)
      heard[own + 3 + node] = fence
      steps.push({ label: `${node} grants ${id} ${fence}`, state: heard })
    }
  }

  #raised(state: State, { id, node, own, phase }: Arrival, steps: Step[]): void {
    const mask = this.#idAt(id) + 1
    if ((at(state, mask) & (1 << node)) === 0) return
    const ours = state[3 * node] === id
    if (!ours && this.config.variant !== 'unconditional') return
    const next = Buffer.from(state)
    const raised = at(state, mask + 1)
    next[3 * node + 2] = Math.max(at(state, 3 * node + 2), raised)
    if (ours) next[3 * node + 1] = Math.max(at(state, 3 * node + 1), raised)
    next[mask] = at(state, mask) & ~(1 << node)
    const unheard = phase === RAISING ? ', which is not heard' : ''
    steps.push({ label: `${id} raises ${node} to ${raised}${unheard}`, state: next })
    if (phase !== RAISING) return
    const heard = Buffer.from(next)
    heard[own + 3 + node] = ours ? at(next, 3 * node + 1) : raised
    steps.push({ label: `${id} raises ${node} to ${raised}`, state: heard })
  }

  /** Who has gone on holds nothing any more, whatever nodes still keep for it. */
  #forget(state: State, id: number): void {
    for (let node = 0; node < this.#nodes; node++) {
      if (state[3 * node] === id) state[3 * node] = state[3 * node + 1] = 0
    }
  }

  /** A node grants what is free or over, under a fence larger than all it knows. */
  #acquire(state: State, node: number, id: number, least: number): number {
    if (state[3 * node] === id) return at(state, 3 * node + 1)
    const counter = at(state, 3 * node + 2)
    const top = at(state, this.#size - 1)
    // A counter that is lost is taken from the clock, which no counter is ahead of.
    const lost = counter === 0 && this.config.variant !== 'counted from 1'
    const fence = Math.max((lost ? top : counter) + 1, least)
    state[3 * node] = id
    state[3 * node + 1] = state[3 * node + 2] = fence
    state[this.#size - 1] = Math.max(top, fence)
    return fence
  }

  #votes(state: State, own: number): GrantVote[] {
    const votes: GrantVote[] = []
    for (let node = 0; node < this.#nodes; node++) {
      votes.push(at(state, own + 3 + node) || 'open')
    }
    return votes
  }

  /**
   * The same text for states that differ only in the numbering of the nodes or by how much all
   * fences are shifted: what can follow from them is the same.
   */
  key(state: State): string {
    const { clients, attempts, proposals } = this.config
    const base = proposals.some((each) => each > 0) ? 0 : this.#lowest(state) - 1
    const shift = (fence: number) => Math.max(0, fence - base)
    const columns: string[] = []
    for (let node = 0; node < this.#nodes; node++) {
      const column = [at(state, 3 * node), shift(at(state, 3 * node + 1))]
      column.push(shift(at(state, 3 * node + 2)))
      for (let client = 0; client < clients; client++) {
        column.push(shift(at(state, this.#clientsAt + client * this.#clientSize + 3 + node)))
      }
      for (let id = 1; id <= this.#ids; id++) {
        const asks = (at(state, this.#idAt(id)) >> node) & 1
        column.push(asks + 2 * ((at(state, this.#idAt(id) + 1) >> node) & 1))
      }
      columns.push(String.fromCharCode(...column))
    }
    const rest = [at(state, this.#size - 3), at(state, this.#size - 2)]
    if (this.config.wipes !== undefined) rest.push(shift(at(state, this.#size - 1)))
    for (let client = 0; client < clients; client++) {
      const own = this.#clientsAt + client * this.#clientSize
      rest.push(at(state, own), at(state, own + 1), shift(at(state, own + 2)))
      for (let attempt = 0; attempt < attempts; attempt++) {
        const idAt = this.#idAt(1 + client * attempts + attempt)
        rest.push(at(state, idAt + 1) === 0 ? 0 : shift(at(state, idAt + 2)))
        rest.push(shift(at(state, idAt + 3)))
      }
    }
    return columns.sort().join('') + String.fromCharCode(...rest)
  }

  /** No fence that is drawn or reported from now on is smaller than this. */
  #lowest(state: State): number {
    let lowest = 255
    for (let node = 0; node < this.#nodes; node++) {
      const counter = at(state, 3 * node + 2)
      if (counter === 0) return 1
      lowest = Math.min(lowest, counter)
      for (let client = 0; client < this.config.clients; client++) {
        const vote = at(state, this.#clientsAt + client * this.#clientSize + 3 + node)
        if (vote > 0) lowest = Math.min(lowest, vote)
      }
    }
    for (let id = 1; id <= this.#ids; id++) {
      const raised = at(state, this.#idAt(id) + 1) === 0 ? 0 : at(state, this.#idAt(id) + 2)
      if (raised > 0) lowest = Math.min(lowest, raised)
    }
    for (let client = 0; client < this.config.clients; client++) {
      const own = this.#clientsAt + client * this.#clientSize
      const id = 1 + client * this.config.attempts + at(state, own)
      for (const fence of [at(state, own + 2), at(state, this.#idAt(id) + 3)]) {
        if (fence > 0) lowest = Math.min(lowest, fence)
      }
    }
    return lowest
  }

  #idAt(id: number): number {
    return this.#idsAt + 4 * (id - 1)
  }
}

/** A request of an identity that reaches a node; the phase of its client, if that still waits. */
interface Arrival {
  readonly id: number
  readonly client: number
  readonly node: number
  readonly own: number
  readonly phase: number | undefined
}

function at(state: State, index: number): number {
  return state[index] as number
}

function add(state: State, index: number): void {
  state[index] = at(state, index) + 1
}
