import { sleep } from '../../core/clock.ts'
import type { Absent, Claim, Held, Standing, Waiting } from '../../core/engine.ts'
import { EngineError, QuorumError } from '../../core/errors.ts'
import { backoffMs } from '../../core/retry.ts'
import type { Node } from './node.ts'
import type { Parts } from './parts.ts'
import { type Answer, ask, firstFailure, mayHaveRun, type Round } from './round.ts'
import { type Seat, withoutRest } from './seat.ts'
import { decideGrant, decideRaise, type GrantDecision, majorityDeadline } from './tally.ts'
import {
  anyOccupant,
  countAnswered,
  grantVotes,
  heldIn,
  majorityOccupant,
  occupantIn,
  plainVotes,
  shapeErrorIn,
  waitingIn,
} from './votes.ts'

/** Rounds that one attempt makes at most, before it waits for news or says that it was beaten. */
const MOST_ROUNDS = 6

/** By how much a proposed fence lies ahead of the nodes' clocks: more than a request travels. */
const LEAD_US = 20_000

/** The answers of one round that asked for grants. */
interface Outcome {
  readonly decision: GrantDecision
  readonly answers: readonly Answer<Standing>[]
  readonly round: Round<Standing, unknown>
  readonly tookMs: number
}

/**
 * One attempt to get a majority for a place.
 *
 * All nodes are asked at once. Whoever gets less than a majority gives it back at once, with one
 * exception: of contenders who split the nodes between them, the one that has the first node keeps
 * that one and asks again, so that split votes end. With `wait` the others stand in the line of
 * that node, and its grant is the news that wakes them.
 */
export class Attempt {
  readonly #parts: Parts
  readonly #seat: Seat
  readonly #claim: Claim
  /** A look at a place that stands in a line: it must not make a new one. */
  readonly #looking: boolean
  #rounds = 0
  /** The node in whose line the place stood is asked to keep it; so it is after a push. */
  #patient: boolean

  constructor(parts: Parts, seat: Seat, claim: Claim, looking: boolean) {
    this.#parts = parts
    this.#seat = seat
    this.#claim = claim
    this.#looking = looking
    this.#patient = seat.grants.size > 0
  }

  async run(): Promise<Standing> {
    // Whoever leaves the place meanwhile sees to what this attempt has asked for by then.
    while (!this.#hasLeft()) {
      this.#rounds++
      const outcome = await this.#round()
      if (this.#hasLeft()) break
      const standing = await this.#judge(outcome)
      if (standing !== undefined) return standing
    }
    return { state: 'absent' }
  }

  #hasLeft(): boolean {
    return this.#seat.state === 'left'
  }

  /** Asks all nodes for a grant, those that granted already for the fence that is proposed now. */
  async #round(): Promise<Outcome> {
    const { clock, nodes } = this.#parts
    const seat = this.#seat
    if (this.#claim.wait && seat.turnstile === undefined) seat.standAt(this.#firstToAsk())
    // Made once: the nodes get the same claim, but for the one in whose line the place stands.
    const { identity } = seat.place
    const polite = { ...this.#claim, ...this.#proposal(), identity, wait: false }
    const patient = this.#claim.wait ? { ...polite, wait: true } : polite
    const sentAt = clock.now()
    const turnstile = seat.turnstile
    const round = ask(
      nodes,
      this.#parts,
      (node) => this.#send(node, node === turnstile ? patient : polite),
      (answers, final): Omit<Outcome, 'round' | 'tookMs'> | undefined => {
        const decision = decideGrant(grantVotes(answers))
        if (decision.step === 'report' || decision.step === 'raise') return { decision, answers }
        if (final) return { decision: { step: 'beaten' }, answers: [...answers] }
        if (decision.step === 'open') return undefined
        const atTurnstile = turnstile && answers[turnstile.index]
        const told = atTurnstile === undefined || atTurnstile.state !== 'open'
        if (!told || majorityOccupant(answers) === undefined) return undefined
        return { decision, answers: [...answers] }
      },
    )
    seat.round = round
    const { decision, answers } = await round.decision
    return { decision, answers, round, tookMs: clock.now() - sentAt }
  }

  async #send(node: Node, claim: Claim): Promise<Standing> {
    const { engine } = node
    const seat = this.#seat
    const leaving = seat.leaving.get(node)
    // A give-back that is still on its way could undo what this round is granted.
    if (leaving !== undefined && (!(await leaving) || this.#hasLeft())) throw this.#notClean(node)
    const looks = this.#looking && this.#rounds === 1 && node === seat.turnstile
    if (looks || seat.grants.has(node)) {
      const [standing] = await engine.renew([claim])
      if (standing === undefined) throw new Error('a node answered nothing')
      if (standing.state === 'unknown') throw standing.error
      return standing
    }
    return await engine.acquire(claim)
  }

  /**
   * A fence that all nodes can draw: a little ahead of all their clocks. Nodes whose counter is
   * lower come level with the others by it, so that no second round is needed.
   */
  #proposal(): { fence?: number } {
    let latest = 0
    for (const { engine } of this.#parts.nodes)
      latest = Math.max(latest, engine.fenceMicros?.() ?? 0)
    const { fence: least = 0 } = this.#claim
    const fence = Math.max(least, latest === 0 ? 0 : Math.ceil(latest) + LEAD_US)
    return fence === 0 ? {} : { fence }
  }

  /** The standing that follows from a round; `undefined` where another round is worth it. */
  async #judge(outcome: Outcome): Promise<Standing | undefined> {
    const { decision } = outcome
    if (decision.step === 'report') {
      return this.#won(decision.fence, heldOnes(outcome.answers))
    }
    if (decision.step === 'raise') {
      const held = await this.#raise(decision.fence, outcome)
      if (held !== undefined) return held
    }
    return await this.#beaten(outcome)
  }

  #won(fence: number, grants: readonly Held[]): Held | undefined {
    const seat = this.#seat
    const deadline = majorityDeadline(
      grants.map((grant) => grant.deadline),
      this.#parts.nodes.length,
    )
    seat.fence = fence
    seat.deadline = deadline
    seat.state = 'held'
    seat.splits = 0
    seat.grants.clear()
    return { state: 'held', fence, deadline }
  }

  /** The second phase: writes the fence to those that granted, if the lock is still this place's. */
  async #raise(fence: number, { answers }: Outcome): Promise<Held | undefined> {
    const { nodes } = this.#parts
    const granted = nodes.filter((node) => heldIn(answers[node.index]) !== undefined)
    const votesOf = (raised: readonly Answer<Standing>[]) => {
      const votes = grantVotes(raised)
      return nodes.map((node) => votes[granted.indexOf(node)] ?? 'no')
    }
    const round = ask(
      granted,
      this.#parts,
      async ({ engine }): Promise<Standing> => {
        const [standing] = await engine.renew([{ ...this.#seat.place, fence }])
        if (standing === undefined) throw new Error('a node answered nothing')
        if (standing.state === 'unknown') throw standing.error
        return standing
      },
      (raised, final) => {
        const decision = decideRaise(votesOf(raised), fence)
        if (decision === 'open' && !final) return undefined
        return decision === 'confirmed' ? heldOnes(raised) : []
      },
    )
    const confirmed = await round.decision
    if (confirmed.length === 0 || this.#seat.state === 'left') return undefined
    return this.#won(fence, confirmed)
  }

  async #beaten(outcome: Outcome): Promise<Standing | undefined> {
    const { answers } = outcome
    const seat = this.#seat
    if (this.#hasLeft()) return { state: 'absent' }
    const shape = shapeErrorIn(answers)
    if (shape !== undefined || countAnswered(answers) < this.#parts.majority) {
      this.#giveBack(outcome, undefined)
      throw shape ?? this.#noQuorum(answers)
    }
    const atTurnstile = seat.turnstile && answers[seat.turnstile.index]
    if (
      this.#looking &&
      atTurnstile?.state === 'answered' &&
      atTurnstile.value.state === 'absent'
    ) {
      this.#giveBack(outcome, undefined)
      return atTurnstile.value
    }
    const taken = majorityOccupant(answers) !== undefined
    const keeps = this.#keeps(answers, taken)
    this.#giveBack(outcome, keeps)
    if (keeps !== undefined) {
      seat.grants.add(keeps)
      this.#patient = false
      await this.#pause(outcome.tookMs)
      return undefined
    }
    return this.#claim.wait ? this.#queue(answers, taken) : await this.#refused(outcome, taken)
  }

  /** The one grant that is kept for another round: that of the first node, in a split vote. */
  #keeps(answers: readonly Answer<Standing>[], taken: boolean): Node | undefined {
    if (this.#rounds >= MOST_ROUNDS) return undefined
    const lead = this.#seat.turnstile ?? this.#leadOf(answers)
    if (lead === undefined || heldIn(answers[lead.index]) === undefined) return undefined
    // After a push the other nodes may still be about to hear of the release.
    return !taken || this.#patient ? lead : undefined
  }

  /** Where the place waits for the next attempt. */
  #queue(answers: readonly Answer<Standing>[], taken: boolean): Waiting | undefined {
    const { random } = this.#parts
    const seat = this.#seat
    seat.state = 'waiting'
    const standing = waitingIn(seat.turnstile && answers[seat.turnstile.index])
    seat.splits = taken ? 0 : seat.splits + 1
    const retryMs = taken ? Number.POSITIVE_INFINITY : backoffMs(seat.splits, random)
    const { waitTtlMs } = seat.place
    const astray = standing !== undefined && this.#isAstray(answers)
    const stays = standing !== undefined && !(astray && seat.astray)
    seat.astray = astray
    if (stays) {
      seat.ahead = standing.ahead
      // Seen once it may only be a lock that is just changing hands.
      const againMs = astray ? backoffMs(1, random) : retryMs
      const lookMs = Math.min(standing.lookMs, againMs, waitTtlMs)
      return { ...standing, ...anyOccupant(answers), lookMs }
    }
    // Without a line there is no news: stand where somebody is, best where the holder is.
    const holder = majorityOccupant(answers)?.identity
    const others = this.#parts.nodes.filter((node) => node !== seat.turnstile)
    const next =
      others.find((node) => holder && occupantIn(answers[node.index])?.identity === holder) ??
      others.find((node) => isTaken(answers[node.index]))
    this.#leaveLine()
    seat.standAt(next)
    seat.ahead = 0
    if (next !== undefined && this.#rounds < MOST_ROUNDS) return undefined
    const lookMs = Math.min(backoffMs(Math.max(1, seat.splits), random), waitTtlMs)
    return { state: 'waiting', ahead: 0, ticket: 0, lookMs, ...anyOccupant(answers) }
  }

  /** Whether the line is one of a lock that is not the majority's, whose release is no news there. */
  #isAstray(answers: readonly Answer<Standing>[]): boolean {
    const { astray, turnstile } = this.#seat
    const holder = majorityOccupant(answers)
    if (holder === undefined || turnstile === undefined) return false
    const here = occupantIn(answers[turnstile.index])
    // A look need not say who is there.
    return here === undefined ? astray : here.identity !== holder.identity
  }

  #leaveLine(): void {
    const { place, turnstile } = this.#seat
    if (turnstile !== undefined)
      this.#seat.owe(turnstile, this.#parts.leave(turnstile, withoutRest(place)))
  }

  async #refused({ answers, tookMs }: Outcome, taken: boolean): Promise<Absent | undefined> {
    if (taken || this.#rounds >= MOST_ROUNDS) return { state: 'absent', ...anyOccupant(answers) }
    await this.#pause(tookMs * 2)
    return undefined
  }

  /** Long enough for the others to give back, and never the same for two. */
  async #pause(tookMs: number): Promise<void> {
    const { clock, random } = this.#parts
    const stepMs = Math.max(1, Math.min(tookMs, 50))
    await sleep(clock, stepMs * this.#rounds * (0.5 + random.fraction()))
  }

  /** Gives back every grant of a round but one, those too that come out later. */
  #giveBack({ answers, round }: Outcome, keeps: Node | undefined): void {
    const seat = this.#seat
    for (const node of this.#parts.nodes) {
      if (node === keeps) continue
      // A grant of an earlier round is still there, whatever became of this question.
      const kept = seat.grants.delete(node)
      const answer = answers[node.index] as Answer<Standing>
      const mayHold = kept || mayHaveRun(answer)
      if (answer.state === 'answered' ? heldIn(answer) === undefined : !mayHold) continue
      const call = round.calls[node.index] as Promise<Standing>
      seat.owe(node, this.#parts.leave(node, withoutRest(seat.place), call))
    }
  }

  #notClean(node: Node): EngineError {
    return new EngineError({
      engine: node.name,
      operation: 'acquire',
      outcome: 'none',
      transient: true,
      problem: 'what an earlier try may have left there is not cleaned up yet',
      lock: this.#claim.name,
    })
  }

  #firstToAsk(): Node | undefined {
    const { limitMs, nodes } = this.#parts
    return nodes.find((node) => !node.isSilent(limitMs)) ?? nodes[0]
  }

  #leadOf(answers: readonly Answer<Standing>[]): Node | undefined {
    return this.#parts.nodes.find((node) => answers[node.index]?.state === 'answered')
  }

  #noQuorum(answers: readonly Answer<Standing>[]): QuorumError {
    const { nodes, majority } = this.#parts
    return new QuorumError(
      {
        engine: 'quorum',
        operation: 'acquire',
        outcome: answers.some(mayHaveRun) ? 'unknown' : 'none',
        lock: this.#claim.name,
        ...firstFailure(answers),
      },
      plainVotes(nodes, answers),
      majority,
    )
  }
}

function heldOnes(answers: readonly Answer<Standing>[]): Held[] {
  return answers.flatMap((answer) => heldIn(answer) ?? [])
}

function isTaken(answer: Answer<Standing> | undefined): boolean {
  return answer?.state === 'answered' && answer.value.state !== 'held'
}
