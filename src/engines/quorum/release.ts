import type { Place, ReleaseOptions, Standing } from '../../core/engine.ts'
import { QuorumError } from '../../core/errors.ts'
import type { Parts } from './parts.ts'
import { type Answer, ask, firstFailure, silentVote } from './round.ts'
import type { Seat } from './seat.ts'

/**
 * Leaves on all nodes at once, and resolves as soon as a majority has answered. Nodes that do not
 * answer are seen to in the background.
 */
export async function release(
  parts: Parts,
  place: Place,
  seat: Seat | undefined,
  options: ReleaseOptions,
): Promise<boolean> {
  const { nodes, majority, leave } = parts
  const state = seat?.state
  const own = seat === undefined ? place : { ...place, identity: seat.place.identity }
  const late = seat === undefined ? [] : leaveSeat(parts, seat)
  const round = ask(
    nodes,
    parts,
    ({ engine }) => engine.release(own, options),
    (answers, final): boolean | undefined => {
      // Whoever breaks a hold looks next: by then no node should be on its way.
      if (options.force === true && !final) return undefined
      const there = countOf(answers, true)
      if (there >= majority) return true
      const gone = countOf(answers, false)
      // A lease that a majority no longer has is lost, whatever a minority still keeps.
      if (state === 'held' && gone >= majority) return false
      if (!final) return undefined
      if (there + gone >= majority) return there > 0 || state === 'waiting'
      throw noQuorum(parts, place, answers)
    },
  )
  for (const node of nodes) {
    const call = round.calls[node.index] as Promise<boolean>
    call.catch(() => void leave(node, own))
    // A question that is still under way may come out as a grant after this release.
    for (const grant of late[node.index] ?? []) leaveAfter(call, () => void leave(node, own, grant))
  }
  return await round.decision
}

/** Ends a seat; gives the questions for grants that are still under way, for each node. */
function leaveSeat({ nodes }: Parts, seat: Seat): readonly Promise<Standing>[][] {
  const { round, repairs } = seat
  seat.leave()
  return nodes.map((node) => {
    const asked = round?.isOpen(node.index) ? round.calls[node.index] : undefined
    return [asked, repairs.get(node)].filter((call) => call !== undefined)
  })
}

/** A node that says it was there took the grant back, which so came first. */
function leaveAfter(release: Promise<boolean>, leave: () => void): void {
  release.then(
    (there) => {
      if (!there) leave()
    },
    () => undefined,
  )
}

function countOf(answers: readonly Answer<boolean>[], wanted: boolean): number {
  return answers.filter((answer) => answer.state === 'answered' && answer.value === wanted).length
}

function noQuorum(
  { nodes, majority }: Parts,
  { name }: Place,
  answers: readonly Answer<boolean>[],
): QuorumError {
  const votes = nodes.map((node, index) => {
    const answer = answers[index] as Answer<boolean>
    if (answer.state !== 'answered') return silentVote(node, answer)
    return { node: node.name, vote: answer.value ? ('granted' as const) : ('absent' as const) }
  })
  return new QuorumError(
    {
      engine: 'quorum',
      operation: 'release',
      outcome: 'unknown',
      lock: name,
      ...firstFailure(answers),
    },
    votes,
    majority,
  )
}
