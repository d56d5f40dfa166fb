import { decideGrant, type GrantVote, majorityOf } from '../../src/engines/quorum/tally.ts'

/**
 * The life of leases on a quorum as a machine with few states: who may believe to hold, and whether
 * everybody still gets a turn. Fences are left to `quorum-protocol.ts`.
 *
 * Time has no numbers. A client counts on a node from its answer until it thinks the time there is
 * over, and a node frees a lease only after that. Requests travel for as long as they like.
 */
export interface LeaseConfig {
  readonly clients: number
  readonly nodes: number
  /** Identities of each client that may be about at the same time. */
  readonly identities: number
  /** How many faults may strike: an answer or request lost, a client that crashes or is slow. */
  readonly faults: number
  /** How many nodes may lose everything. */
  readonly wipes?: number
  readonly variant: LeaseVariant
}

/** `holdfast` is the protocol, the others are known to be wrong. */
export type LeaseVariant =
  | 'holdfast'
  | 'keeps what it was granted'
  | 'asks again at once'
  | 'counts what it gives back'
  | 'a minority renews'
  | 'a majority of those that answer'

/** One byte each: holders by node, used faults and wipes, then what is known of each client. */
export type LeaseState = Buffer

export interface LeaseStep {
  readonly label: () => string
  readonly state: LeaseState
  /** Whether it is one of those that go on happening once faults have stopped. */
  readonly fair: boolean
  /** The client that is granted the lock by this step. */
  readonly granted?: number
}

const IDLE = 0
const ASKING = 1
const HOLDING = 2

const OPEN = 0
/** Of a holder: it counts on the node. */
const GRANTED = 1
const REFUSED = 2
const SILENT = 3

/** A question is under way. */
const ASK = 1
/** A give-back is owed: sent when no question is under way, and until it is answered. */
const BACK = 2
/** A copy of an answered give-back is still under way, as its sender must suppose. */
const STRAY = 4

/** 0 up to each length, which are asked for all the time. */
const RANGES = Array.from({ length: 10 }, (_, length) => [...Array(length).keys()])

export class LeaseMachine {
  readonly config: LeaseConfig
  readonly #majority: number
  readonly #clientsAt: number
  readonly #clientSize: number

  constructor(config: LeaseConfig) {
    this.config = config
    this.#majority = majorityOf(config.nodes)
    this.#clientsAt = config.nodes + 2
    this.#clientSize = 2 + config.nodes * (1 + config.identities)
  }

  start(): LeaseState {
    return Buffer.alloc(this.#clientsAt + this.#clientSize * this.config.clients)
  }

  /** Clients that believe to hold the lock. */
  holders(state: LeaseState): number[] {
    return this.#all(this.config.clients).filter((client) => this.#phase(state, client) === HOLDING)
  }

  steps(state: LeaseState): LeaseStep[] {
    const steps: LeaseStep[] = []
    for (const client of this.#all(this.config.clients)) {
      this.#decides(state, client, steps)
      for (const node of this.#all(this.config.nodes)) {
        this.#runsOut(state, client, node, steps)
        if (this.#phase(state, client) === HOLDING) this.#renews(state, client, node, steps)
        for (const own of this.#all(this.config.identities)) {
          this.#arrives(state, { client, node, own }, steps)
        }
      }
    }
    this.#wipes(state, steps)
    return steps
  }

  key(state: LeaseState): string {
    return state.toString('latin1')
  }

  #decides(state: LeaseState, client: number, steps: LeaseStep[]): void {
    const phase = this.#phase(state, client)
    if (phase === IDLE) this.#starts(state, client, () => `client ${client} starts`, steps)
    if (phase === HOLDING) {
      const next = this.#copy(state)
      this.#leave(next, client)
      steps.push({ label: () => `client ${client} releases`, state: next, fair: true })
    }
    if (phase === ASKING) this.#counts(state, client, steps)
    if (phase !== IDLE) {
      this.#fault(
        state,
        steps,
        () => `client ${client} crashes`,
        (next) => {
          next[this.#at(client)] = IDLE
          for (const node of this.#all(this.config.nodes)) {
            next[this.#voteAt(client, node)] = OPEN
            for (const own of this.#all(this.config.identities)) {
              this.#clear(next, { client, node, own }, BACK)
            }
          }
        },
      )
    }
  }

  /** Under an identity of which nothing is about any more, as one that is drawn by chance is. */
  #starts(state: LeaseState, client: number, label: () => string, steps: LeaseStep[]): void {
    const own = this.#all(this.config.identities).find((each) =>
      this.#all(this.config.nodes).every(
        (node) =>
          state[node] !== this.#idOf(client, each) &&
          state[this.#cellAt({ client, node, own: each })] === 0,
      ),
    )
    if (own === undefined) return
    const next = this.#copy(state)
    next[this.#at(client)] = ASKING
    next[this.#at(client) + 1] = own
    for (const node of this.#all(this.config.nodes)) {
      next[this.#voteAt(client, node)] = OPEN
      this.#set(next, { client, node, own }, ASK)
    }
    steps.push({ label, state: next, fair: true })
  }

  #counts(state: LeaseState, client: number, steps: LeaseStep[]): void {
    const votes = this.#votes(state, client)
    const told = votes.filter((vote) => vote !== SILENT)
    const lenient = this.config.variant === 'a majority of those that answer'
    const all = votes.map(asGrant)
    const { step } = decideGrant(lenient && told.length > 0 ? told.map(asGrant) : all)
    if (step === 'report') {
      const next = this.#copy(state)
      next[this.#at(client)] = HOLDING
      for (const [node, vote] of votes.entries()) {
        next[this.#voteAt(client, node)] = vote === GRANTED ? GRANTED : OPEN
      }
      steps.push({
        label: () => `client ${client} holds`,
        state: next,
        fair: true,
        granted: client,
      })
    }
    if (step === 'beaten') this.#isBeaten(state, client, votes, steps)
  }

  /** Gives back all but the grant of the first node that answers, then asks again. */
  #isBeaten(state: LeaseState, client: number, votes: readonly number[], steps: LeaseStep[]): void {
    const own = this.#own(state, client)
    const lead = votes.findIndex((vote) => vote === GRANTED || vote === REFUSED)
    const keeps = (node: number) =>
      votes[node] === GRANTED &&
      (node === lead || this.config.variant === 'keeps what it was granted')
    const back = this.#copy(state)
    for (const [node, vote] of votes.entries()) {
      const cell = { client, node, own }
      if (keeps(node)) continue
      if (vote !== REFUSED || this.#has(state, cell, ASK)) this.#set(back, cell, BACK)
      back[this.#voteAt(client, node)] = SILENT
    }
    // Told apart from the next round, so that give-backs may be answered in between.
    const waiting = votes.every((vote, node) => keeps(node) || vote === SILENT)
    if (!waiting) {
      steps.push({ label: () => `client ${client} is beaten`, state: back, fair: true })
      return
    }
    this.#again(state, { client, own, keeps }, steps)
    if (this.config.variant === 'keeps what it was granted') return
    const afresh = this.#copy(back)
    for (const node of votes.keys()) if (keeps(node)) this.#set(afresh, { client, node, own }, BACK)
    this.#starts(afresh, client, () => `client ${client} starts afresh`, steps)
  }

  #again(
    state: LeaseState,
    { client, own, keeps }: { client: number; own: number; keeps: (node: number) => boolean },
    steps: LeaseStep[],
  ): void {
    const next = this.#copy(state)
    let asked = 0
    for (const node of this.#all(this.config.nodes)) {
      const cell = { client, node, own }
      const dirty = next[this.#cellAt(cell)] !== 0
      if (dirty && this.config.variant !== 'asks again at once') continue
      if (!keeps(node) || this.config.variant !== 'keeps what it was granted') {
        next[this.#voteAt(client, node)] = OPEN
        this.#set(next, cell, ASK)
        asked++
      }
    }
    if (asked > 0)
      steps.push({ label: () => `client ${client} asks again`, state: next, fair: true })
  }

  /** What a client counts on ends for it before it ends on the node. */
  #runsOut(state: LeaseState, client: number, node: number, steps: LeaseStep[]): void {
    const at = this.#voteAt(client, node)
    const phase = this.#phase(state, client)
    const own = this.#own(state, client)
    if (phase === ASKING && state[at] === OPEN) {
      const next = this.#copy(state)
      next[at] = SILENT
      const label = () => `client ${client} waits no longer for ${node}`
      if (this.#has(state, { client, node, own }, ASK)) {
        this.#fault(state, steps, label, (late) => {
          late[at] = SILENT
        })
      } else steps.push({ label, state: next, fair: true })
    }
    if (phase !== IDLE && state[at] === GRANTED) {
      this.#fault(
        state,
        steps,
        () => `client ${client} counts no more on ${node}`,
        (next) => {
          next[at] = phase === ASKING ? SILENT : OPEN
          if (phase === HOLDING && !this.#stillHolds(next, client)) this.#leave(next, client)
        },
      )
    }
    const holder = state[node] as number
    if (holder !== 0 && this.#clientOf(holder) === client) {
      const current = phase !== IDLE && holder === this.#idOf(client, own)
      if (current && state[at] === GRANTED) return
      const next = this.#copy(state)
      next[node] = 0
      // Whoever is still there keeps its leases alive.
      steps.push({ label: () => `${node} frees ${holder}`, state: next, fair: !current })
    }
  }

  #stillHolds(state: LeaseState, client: number): boolean {
    const counted = this.#votes(state, client).filter((vote) => vote === GRANTED).length
    return counted >= (this.config.variant === 'a minority renews' ? 1 : this.#majority)
  }

  /** A renewal that is heard, and the question that follows where the lease was lost. */
  #renews(state: LeaseState, client: number, node: number, steps: LeaseStep[]): void {
    const own = this.#own(state, client)
    if (state[node] === this.#idOf(client, own)) {
      const counts = this.config.variant === 'counts what it gives back'
      if (state[this.#voteAt(client, node)] === GRANTED) return
      if (!counts && this.#has(state, { client, node, own }, BACK | STRAY)) return
      const next = this.#copy(state)
      next[this.#voteAt(client, node)] = GRANTED
      steps.push({ label: () => `client ${client} renews on ${node}`, state: next, fair: true })
    } else if (state[this.#cellAt({ client, node, own })] === 0) {
      const next = this.#copy(state)
      this.#set(next, { client, node, own }, ASK)
      steps.push({ label: () => `client ${client} takes ${node} again`, state: next, fair: true })
    }
  }

  #arrives(state: LeaseState, cell: Cell, steps: LeaseStep[]): void {
    if (this.#has(state, cell, ASK)) this.#isAsked(state, cell, steps)
    else if (this.#has(state, cell, BACK)) this.#getsBack(state, cell, steps)
    if (this.#has(state, cell, STRAY)) {
      const next = this.#copy(state)
      this.#clear(next, cell, STRAY)
      this.#free(next, cell)
      steps.push({ label: () => `a stray give-back of ${name(cell)}`, state: next, fair: true })
    }
  }

  #isAsked(state: LeaseState, cell: Cell, steps: LeaseStep[]): void {
    const { client, node, own } = cell
    const id = this.#idOf(client, own)
    const next = this.#copy(state)
    this.#clear(next, cell, ASK)
    const granted = state[node] === 0 || state[node] === id
    if (granted) next[node] = id
    const waits =
      this.#phase(state, client) === ASKING &&
      this.#own(state, client) === own &&
      state[this.#voteAt(client, node)] === OPEN
    const label = () => `${name(cell)} is ${granted ? 'granted' : 'refused'}`
    if (waits) {
      const heard = this.#copy(next)
      heard[this.#voteAt(client, node)] = granted ? GRANTED : REFUSED
      steps.push({ label, state: heard, fair: true })
      this.#spend(state, steps, () => `${label()} unheard`, next)
    } else steps.push({ label: () => `${label()} too late`, state: next, fair: true })
    this.#fault(
      state,
      steps,
      () => `${name(cell)} is never asked`,
      (lost) => this.#clear(lost, cell, ASK),
    )
  }

  #getsBack(state: LeaseState, cell: Cell, steps: LeaseStep[]): void {
    const next = this.#copy(state)
    this.#free(next, cell)
    this.#spend(state, steps, () => `${name(cell)} is given back unheard`, this.#copy(next))
    this.#clear(next, cell, BACK)
    steps.push({ label: () => `${name(cell)} is given back`, state: next, fair: true })
    const stray = this.#copy(next)
    this.#set(stray, cell, STRAY)
    this.#spend(state, steps, () => `${name(cell)} is given back, a copy is under way`, stray)
  }

  #wipes(state: LeaseState, steps: LeaseStep[]): void {
    const used = this.config.nodes + 1
    if ((state[used] as number) >= (this.config.wipes ?? 0)) return
    for (const node of this.#all(this.config.nodes)) {
      if (state[node] === 0) continue
      const next = this.#copy(state)
      next[node] = 0
      next[used] = (state[used] as number) + 1
      steps.push({ label: () => `${node} loses everything`, state: next, fair: false })
    }
  }

  #fault(
    state: LeaseState,
    steps: LeaseStep[],
    label: () => string,
    change: (next: LeaseState) => void,
  ): void {
    const next = this.#copy(state)
    change(next)
    this.#spend(state, steps, label, next)
  }

  #spend(state: LeaseState, steps: LeaseStep[], label: () => string, next: LeaseState): void {
    const used = state[this.config.nodes] as number
    if (used >= this.config.faults) return
    next[this.config.nodes] = used + 1
    steps.push({ label, state: next, fair: false })
  }

  /** Gives everything back, whatever came of it. */
  #leave(state: LeaseState, client: number): void {
    const own = this.#own(state, client)
    state[this.#at(client)] = IDLE
    for (const node of this.#all(this.config.nodes)) {
      state[this.#voteAt(client, node)] = OPEN
      this.#set(state, { client, node, own }, BACK)
    }
  }

  #free(state: LeaseState, { client, node, own }: Cell): void {
    if (state[node] === this.#idOf(client, own)) state[node] = 0
  }

  #votes(state: LeaseState, client: number): number[] {
    return this.#all(this.config.nodes).map((node) => state[this.#voteAt(client, node)] as number)
  }

  #phase(state: LeaseState, client: number): number {
    return state[this.#at(client)] as number
  }

  #own(state: LeaseState, client: number): number {
    return state[this.#at(client) + 1] as number
  }

  #at(client: number): number {
    return this.#clientsAt + client * this.#clientSize
  }

  #voteAt(client: number, node: number): number {
    return this.#at(client) + 2 + node
  }

  #cellAt({ client, node, own }: Cell): number {
    return this.#at(client) + 2 + this.config.nodes * (1 + own) + node
  }

  #idOf(client: number, own: number): number {
    return 1 + client * this.config.identities + own
  }

  #clientOf(id: number): number {
    return Math.floor((id - 1) / this.config.identities)
  }

  #has(state: LeaseState, cell: Cell, bit: number): boolean {
    return ((state[this.#cellAt(cell)] as number) & bit) !== 0
  }

  #set(state: LeaseState, cell: Cell, bit: number): void {
    state[this.#cellAt(cell)] = (state[this.#cellAt(cell)] as number) | bit
  }

  #clear(state: LeaseState, cell: Cell, bit: number): void {
    state[this.#cellAt(cell)] = (state[this.#cellAt(cell)] as number) & ~bit
  }

  #copy(state: LeaseState): LeaseState {
    return Buffer.from(state)
  }

  #all(count: number): readonly number[] {
    return RANGES[count] as readonly number[]
  }
}

/** What is under way between one identity of a client and a node. */
interface Cell {
  readonly client: number
  readonly node: number
  readonly own: number
}

function name({ client, node, own }: Cell): string {
  return `client ${client} (${own}) on ${node}`
}

function asGrant(vote: number): GrantVote {
  if (vote === OPEN) return 'open'
  return vote === GRANTED ? 1 : 'no'
}
