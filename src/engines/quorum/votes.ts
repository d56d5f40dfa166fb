import type { Held, Occupant, Standing, Waiting } from '../../core/engine.ts'
import { type NodeVote, ShapeError } from '../../core/errors.ts'
import type { Node } from './node.ts'
import { type Answer, silentVote } from './round.ts'
import { type GrantVote, majorityOf } from './tally.ts'

type Answers = readonly Answer<Standing>[]

/** What each node says to a grant, for the tally. */
export function grantVotes(answers: Answers): GrantVote[] {
  return answers.map((answer) => {
    if (answer.state === 'open') return 'open'
    return heldIn(answer)?.fence ?? 'no'
  })
}

/** The grant in an answer, if it is one. */
export function heldIn(answer: Answer<Standing> | undefined): Held | undefined {
  return answer?.state === 'answered' && answer.value.state === 'held' ? answer.value : undefined
}

/** The place in a line in an answer, if it is one. */
export function waitingIn(answer: Answer<Standing> | undefined): Waiting | undefined {
  return answer?.state === 'answered' && answer.value.state === 'waiting' ? answer.value : undefined
}

/** Who is at a node, as far as its answer tells. */
export function occupantIn(answer: Answer<Standing> | undefined): Occupant | undefined {
  if (answer?.state !== 'answered' || answer.value.state === 'held') return undefined
  return answer.value.occupant
}

/** Whoever has the lock on a majority of all nodes, by what they answered. */
export function majorityOccupant(answers: Answers): Occupant | undefined {
  const occupants = answers.flatMap((answer) => occupantIn(answer) ?? [])
  return occupants.find(
    ({ identity }) =>
      occupants.filter((other) => other.identity === identity).length >= majorityOf(answers.length),
  )
}

/** Anybody who was seen, most of all whoever has a majority. */
export function anyOccupant(answers: Answers): { occupant?: Occupant } {
  const seen = answers.flatMap((answer) => occupantIn(answer) ?? [])
  const occupant = majorityOccupant(answers) ?? seen[0]
  return occupant === undefined ? {} : { occupant }
}

/** How many nodes gave an answer that says where the lock stands. */
export function countAnswered(answers: readonly Answer<unknown>[]): number {
  return answers.filter(({ state }) => state === 'answered').length
}

/** The refusal of a node whose lock has another shape. */
export function shapeErrorIn(answers: Answers): ShapeError | undefined {
  for (const answer of answers) {
    if (answer.state === 'failed' && answer.error instanceof ShapeError) return answer.error
  }
  return undefined
}

/** The votes as plain data. */
export function plainVotes(nodes: readonly Node[], answers: Answers): NodeVote[] {
  return nodes.map((node, index) => {
    const answer = answers[index] as Answer<Standing>
    if (answer.state !== 'answered') return silentVote(node, answer)
    const { state } = answer.value
    return { node: node.name, vote: state === 'held' ? 'granted' : 'taken' }
  })
}
