import { type LeaseConfig, LeaseMachine, type LeaseState, type LeaseStep } from './quorum-leases.ts'

/** What an exploration of leases found, each with what led there. */
export interface LeaseExploration {
  readonly states: number
  /** Two clients that both believe to hold the lock. */
  readonly overlap: readonly string[] | undefined
  /** A state from which a client gets no turn any more, although nothing fails any longer. */
  readonly stuck: readonly string[] | undefined
}

/** Visits every state that can be reached, then looks from where each client gets a turn. */
export function exploreLeases(config: LeaseConfig): LeaseExploration {
  const machine = new LeaseMachine(config)
  const graph = new Graph(machine)
  for (let at = 0; at < graph.states; at++) {
    if (machine.holders(graph.state(at)).length > 1 && config.wipes === undefined) {
      return { states: graph.states, overlap: graph.path(at), stuck: undefined }
    }
    graph.follow(at)
  }
  const stuck = graph.stuck(config.clients)
  return {
    states: graph.states,
    overlap: undefined,
    stuck: stuck === undefined ? undefined : graph.path(stuck),
  }
}

/** What a walk by chance met, with the steps that led there. */
export interface LeaseWalk {
  readonly flaw: 'overlap' | 'stuck'
  readonly trace: readonly string[]
}

/**
 * Walks through the states by chance, and then by what goes on when nothing fails any more: every
 * client must get a turn.
 */
export function walkLeases(
  config: LeaseConfig,
  random: () => number,
  most: { readonly steps: number; readonly fair: number },
): LeaseWalk | undefined {
  const machine = new LeaseMachine(config)
  const trace: string[] = []
  const waiting = new Set(Array.from({ length: config.clients }, (_, client) => client))
  let state = machine.start()
  for (let taken = 0; taken < most.steps + most.fair; taken++) {
    const calm = taken >= most.steps
    const steps = machine.steps(state).filter(({ fair }) => fair || !calm)
    const step = steps[Math.floor(random() * steps.length)]
    if (step === undefined) return { flaw: 'stuck', trace }
    trace.push(step.label())
    state = step.state
    if (config.wipes === undefined && machine.holders(state).length > 1) {
      return { flaw: 'overlap', trace }
    }
    if (calm && step.granted !== undefined) waiting.delete(step.granted)
    if (waiting.size === 0) return undefined
  }
  return { flaw: 'stuck', trace }
}

class Graph {
  readonly #machine: LeaseMachine
  readonly #found = new Map<string, number>()
  readonly #keys: string[] = []
  /** By which state each was found first. */
  readonly #parents: number[] = []
  /** Fair steps, from and to. */
  readonly #from: number[] = []
  readonly #to: number[] = []
  /** States with a fair step that grants the lock, by client. */
  readonly #grants: number[][] = []

  constructor(machine: LeaseMachine) {
    this.#machine = machine
    this.#add(machine.start(), -1)
  }

  get states(): number {
    return this.#keys.length
  }

  state(at: number): LeaseState {
    return Buffer.from(this.#keys[at] as string, 'latin1')
  }

  follow(at: number): void {
    for (const step of this.#machine.steps(this.state(at))) {
      const to = this.#add(step.state, at)
      if (!step.fair) continue
      this.#from.push(at)
      this.#to.push(to)
      if (step.granted !== undefined) (this.#grants[step.granted] ??= []).push(at)
    }
  }

  /** The first state from which some client gets no turn by fair steps alone. */
  stuck(clients: number): number | undefined {
    const before = this.#before()
    for (let client = 0; client < clients; client++) {
      const reaches = new Uint8Array(this.states)
      const queue = [...(this.#grants[client] ?? [])]
      for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
        if (reaches[at] === 1) continue
        reaches[at] = 1
        for (
          let edge = before.first[at] as number;
          edge < (before.first[at + 1] as number);
          edge++
        ) {
          queue.push(before.edges[edge] as number)
        }
      }
      const at = reaches.indexOf(0)
      if (at !== -1) return at
    }
    return undefined
  }

  /** Fair steps by where they lead. */
  #before(): { first: Uint32Array; edges: Uint32Array } {
    const first = new Uint32Array(this.states + 1)
    for (const to of this.#to) first[to + 1] = (first[to + 1] as number) + 1
    for (let at = 0; at < this.states; at++) {
      first[at + 1] = (first[at + 1] as number) + (first[at] as number)
    }
    const next = first.slice()
    const edges = new Uint32Array(this.#to.length)
    for (const [edge, to] of this.#to.entries()) {
      const slot = next[to] as number
      edges[slot] = this.#from[edge] as number
      next[to] = slot + 1
    }
    return { first, edges }
  }

  path(at: number): string[] {
    const labels: string[] = []
    for (let to = at; to > 0; to = this.#parents[to] as number) {
      const from = this.#parents[to] as number
      const leads = (step: LeaseStep) => this.#machine.key(step.state) === this.#keys[to]
      labels.unshift(this.#machine.steps(this.state(from)).find(leads)?.label() ?? '')
    }
    return labels
  }

  #add(state: LeaseState, parent: number): number {
    const key = this.#machine.key(state)
    const known = this.#found.get(key)
    if (known !== undefined) return known
    this.#found.set(key, this.#keys.length)
    this.#keys.push(key)
    this.#parents.push(parent)
    return this.#keys.length - 1
  }
}
