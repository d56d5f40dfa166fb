import type { Held, Place, Standing, Unknown } from '../../core/engine.ts'
import { EngineError, type NodeVote, QuorumError, ShapeError } from '../../core/errors.ts'
import type { Node } from './node.ts'
import type { Parts } from './parts.ts'
import { type Answer, ask, firstFailure, silentVote } from './round.ts'
import { type Seat, withoutRest } from './seat.ts'
import { decideRenewal, majorityDeadline, majorityValue, type RenewalVote } from './tally.ts'

/** Less than this says nothing about a node. */
const LEAST_PATIENCE_MS = 25

/** A place to renew, and what this process knows of it. */
export interface Seated {
  readonly place: Place
  readonly seat: Seat | undefined
  /** Nodes that had something to give back for it when they were asked. */
  readonly giveBacks?: ReadonlySet<Node>
}

type Said = Standing | Unknown

/** Keeps leases alive on a majority, and brings them back to nodes that lost them. */
export class Renewals {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** One call to each node for all places. */
  async renew(all: readonly Seated[]): Promise<readonly Said[]> {
    const { nodes } = this.#parts
    const asked = all.map(asPlace)
    const seated = all.map(withGiveBacks)
    const round = ask(
      nodes,
      { ...this.#parts, limitMs: this.#patience(asked) },
      ({ engine }) => engine.renew(asked),
      (answers, final): readonly Answer<readonly Said[]>[] | undefined => {
        const open = seated.some(
          (each, at) => decideRenewal(this.#votes(answers, at, each)) === 'open',
        )
        return open && !final ? undefined : [...answers]
      },
    )
    const answers = await round.decision
    const standings = seated.map((each, at) =>
      this.#standing(each, asked[at] as Place, answers, at),
    )
    // Only now is it known which leases a majority still has.
    for (const node of nodes) {
      const repairing = round.calls[node.index]?.then((said) =>
        this.#repair(node, all, standings, said),
      )
      repairing?.catch(() => undefined)
    }
    return standings
  }

  #standing(
    each: Seated,
    asked: Place,
    answers: readonly Answer<readonly Said[]>[],
    at: number,
  ): Said {
    const { nodes, leave } = this.#parts
    const { seat } = each
    const votes = this.#votes(answers, at, each)
    const decision = decideRenewal(votes)
    const grants = answers.flatMap((answer, node) =>
      votes[node] === 'held' ? (heldAt(answer, at) ?? []) : [],
    )
    if (decision === 'held') {
      const fences = grants.map(({ fence }) => fence)
      const deadlines = grants.map(({ deadline }) => deadline)
      const deadline = majorityDeadline(deadlines, nodes.length)
      if (seat === undefined) {
        const fence = majorityValue(fences, nodes.length) ?? Math.max(...fences)
        return { state: 'held', fence, deadline }
      }
      seat.fence = asked.fence ?? seat.fence
      seat.deadline = Math.max(seat.deadline, deadline)
      return { state: 'held', fence: seat.fence, deadline }
    }
    if (decision !== 'absent')
      return { state: 'unknown', error: this.#noQuorum(asked, answers, at) }
    if (seat !== undefined && seat.state !== 'left') {
      // Lost is lost: what a minority still keeps would only stand in others' way.
      seat.leave()
      for (const node of nodes) {
        seat.owe(node, leave(node, withoutRest(seat.place), seat.repairs.get(node)))
      }
    }
    return { state: 'absent' }
  }

  /**
   * A node that forgot the lock while a majority still has it (it was restarted empty) takes it up
   * again. It draws a fence of its own; the one that was reported stays, and is larger than every
   * earlier one on the majority.
   */
  #repair(
    node: Node,
    all: readonly Seated[],
    standings: readonly Said[],
    said: readonly Said[],
  ): void {
    const { clock } = this.#parts
    all.forEach(({ place, seat }, at) => {
      if (seat?.state !== 'held' || standings[at]?.state !== 'held') return
      if (said[at]?.state !== 'absent') return
      if (seat.repairs.has(node) || clock.now() >= seat.deadline) return
      if (seat.leaving.has(node)) return
      const claim = { ...place, ...seat.place, ttlMs: place.ttlMs, fence: seat.fence, wait: false }
      const repair = node.call((engine) => engine.acquire(claim))
      seat.repairs.set(node, repair)
      const done = () => seat.repairs.delete(node)
      repair.then(done, done)
    })
  }

  #votes(
    answers: readonly Answer<readonly Said[]>[],
    at: number,
    { place, seat, giveBacks }: Seated,
  ): RenewalVote[] {
    const fence = Math.max(seat?.fence ?? 0, place.fence ?? 0)
    return answers.map((answer, index) => {
      if (answer.state === 'open') return 'open'
      if (answer.state !== 'answered') return 'unknown'
      const said = answer.value[at]
      if (said === undefined || said.state === 'unknown') return 'unknown'
      if (said.state !== 'held') return 'absent'
      // A give-back that was on its way to the node may have undone what it says it holds.
      if (giveBacks?.has(this.#parts.nodes[index] as Node) === true) return 'unknown'
      return said.fence >= fence ? 'held' : 'unknown'
    })
  }

  /** Asks one node where a place stands in its line; `undefined` when it does not say. */
  async lineOf(seat: Seat, node: Node): Promise<Standing | undefined> {
    const round = ask(
      [node],
      { ...this.#parts, limitMs: this.#patience([seat.place]) },
      ({ engine }) => engine.renew([seat.place]),
      ([answer], final) => {
        if (answer?.state === 'answered') return { said: answer.value[0] }
        return final ? { said: undefined } : undefined
      },
    )
    const { said } = await round.decision
    return said?.state === 'unknown' ? undefined : said
  }

  /** What a promise resolves to, or `undefined` when that takes longer than a node may. */
  async within<T>(promise: Promise<T>): Promise<T | undefined> {
    const { clock, limitMs } = this.#parts
    return await new Promise((resolve, reject) => {
      const timer = clock.setTimer(() => resolve(undefined), limitMs)
      const settled = () => timer.cancel()
      promise.then(settled, settled)
      promise.then(resolve, reject)
    })
  }

  /** What a failed look says of the place. */
  unknown(error: unknown): Said {
    // The next acquire tells what stands in the way.
    if (error instanceof ShapeError) return { state: 'absent' }
    if (error instanceof EngineError) return { state: 'unknown', error }
    throw error
  }

  /** How long a renewal may take and leave time for another before the first lease ends. */
  #patience(places: readonly Place[]): number {
    let shortestMs = Number.POSITIVE_INFINITY
    for (const { ttlMs, waitTtlMs } of places) shortestMs = Math.min(shortestMs, ttlMs, waitTtlMs)
    return Math.min(this.#parts.limitMs, Math.max(LEAST_PATIENCE_MS, shortestMs / 3))
  }

  #noQuorum({ name }: Place, answers: readonly Answer<readonly Said[]>[], at: number): QuorumError {
    const { nodes, majority } = this.#parts
    const votes = nodes.map((node, index): NodeVote => {
      const answer = answers[index] as Answer<readonly Said[]>
      if (answer.state !== 'answered') return silentVote(node, answer)
      const said = answer.value[at]
      if (said?.state !== 'unknown') {
        return { node: node.name, vote: said?.state === 'held' ? 'granted' : 'absent' }
      }
      return silentVote(node, { state: 'failed', error: said.error })
    })
    return new QuorumError(
      {
        engine: 'quorum',
        operation: 'renew',
        outcome: 'unknown',
        lock: name,
        ...firstFailure(answers),
      },
      votes,
      majority,
    )
  }
}

function withGiveBacks(each: Seated): Seated {
  const { seat } = each
  if (seat === undefined || seat.leaving.size === 0) return each
  return { ...each, giveBacks: new Set(seat.leaving.keys()) }
}

/** The place as the nodes know it, with the fence that all of them should have for it. */
function asPlace({ place, seat }: Seated): Place {
  if (seat === undefined) return place
  const fence = Math.max(seat.fence, place.fence ?? 0)
  return { ...place, identity: seat.place.identity, fence }
}

function heldAt(answer: Answer<readonly Said[]>, at: number): Held | undefined {
  const said = answer.state === 'answered' ? answer.value[at] : undefined
  return said?.state === 'held' ? said : undefined
}
