import type { HolderState, ListQuery, LockPage, LockState } from '../../core/engine.ts'
import { QuorumError, ShapeError } from '../../core/errors.ts'
import type { Parts } from './parts.ts'
import { type Answer, ask, firstFailure, silentVote } from './round.ts'
import { majorityDeadline, majorityValue } from './tally.ts'
import { countAnswered } from './votes.ts'

type Seen = Answer<LockState | null>

/** The lock as a majority sees it: its holder, and the longest line of waiters. */
export async function inspectAll(parts: Parts, name: string): Promise<LockState | null> {
  const { nodes, majority } = parts
  const round = ask(
    nodes,
    parts,
    ({ engine }) => engine.inspect(name),
    (answers, final): readonly Seen[] | undefined => (final ? [...answers] : undefined),
  )
  const answers = await round.decision
  const answered = countAnswered(answers)
  if (answered < majority) throw refused(parts, 'inspect', name, answers)
  const states = answers.flatMap((answer) =>
    answer.state === 'answered' && answer.value !== null ? [answer.value] : [],
  )
  const holder = majorityHolder(states, nodes.length, nodes.length - answered)
  const longest = states.reduce<LockState | undefined>(
    (most, state) => (most === undefined || state.waiting > most.waiting ? state : most),
    undefined,
  )
  if (longest === undefined || (holder === undefined && longest.waiting === 0)) return null
  return { ...longest, holders: holder === undefined ? [] : [holder] }
}

/**
 * Whoever a majority says holds the lock. Nodes that did not answer count for whom the others name,
 * since they may well hold for that one.
 */
function majorityHolder(
  states: readonly LockState[],
  nodes: number,
  silent: number,
): HolderState | undefined {
  const all = states.flatMap(({ holders }) => holders.slice(0, 1))
  for (const holder of all) {
    const same = all.filter(({ identity }) => identity === holder.identity)
    if (majorityDeadline([...same.map(() => 0), ...Array(silent).fill(0)], nodes) < 0) continue
    const fences = same.map(({ fence }) => fence)
    const lives = [...same.map(({ ttlMs }) => ttlMs), ...Array<number>(silent).fill(Infinity)]
    return {
      ...holder,
      fence: majorityValue(fences, nodes) ?? Math.max(...fences),
      ttlMs: Math.min(majorityDeadline(lives, nodes), Math.max(...same.map(({ ttlMs }) => ttlMs))),
      heldMs: Math.max(...same.map(({ heldMs }) => heldMs)),
    }
  }
  return undefined
}

/**
 * Pages through as many nodes as every majority must meet, one after the other, and keeps the names
 * that a majority says are held.
 */
export async function listAll(parts: Parts, query: ListQuery): Promise<LockPage> {
  const { nodes, majority } = parts
  const [at = 0, walked = 0, inner] = readCursor(query.cursor)
  const node = nodes[at]
  if (node === undefined) return { names: [] }
  const { prefix, limit } = query
  const round = ask(
    [node],
    parts,
    ({ engine }) =>
      engine.list({ prefix, limit, ...(inner === undefined ? {} : { cursor: inner }) }),
    ([answer], final): readonly Answer<LockPage>[] | undefined =>
      final && answer !== undefined ? [answer] : undefined,
  )
  const [answer] = (await round.decision) as [Answer<LockPage>]
  if (answer.state !== 'answered') {
    // Another node in its place, unless too few are left to meet every majority.
    if (nodes.length - (at + 1) + walked < nodes.length - majority + 1) {
      throw refused(
        parts,
        'list',
        undefined,
        nodes.map((_, index) => (index === at ? answer : { state: 'late' as const })),
      )
    }
    return { names: [], cursor: `${at + 1} ${walked}` }
  }
  const { names, cursor } = answer.value
  const states = await Promise.all(names.map((name) => inspectAll(parts, name)))
  const held = names.filter((_, index) => (states[index]?.holders.length ?? 0) > 0)
  if (cursor !== undefined) return { names: held, cursor: `${at} ${walked} ${cursor}` }
  if (walked + 1 >= nodes.length - majority + 1) return { names: held }
  return { names: held, cursor: `${at + 1} ${walked + 1}` }
}

/** Which node, how many before it, and where its own list goes on. */
function readCursor(cursor: string | undefined): [number?, number?, string?] {
  const [, at, walked, inner] = /^(\d+) (\d+)(?: (.*))?$/s.exec(cursor ?? '') ?? []
  if (at === undefined || walked === undefined) return []
  return inner === undefined ? [Number(at), Number(walked)] : [Number(at), Number(walked), inner]
}

/** The error of a question that too few nodes answered. */
export function refused(
  { nodes, majority }: Parts,
  operation: 'inspect' | 'list' | 'diagnose',
  lock: string | undefined,
  answers: readonly Answer<unknown>[],
): Error {
  for (const answer of answers) {
    if (answer.state === 'failed' && answer.error instanceof ShapeError) return answer.error
  }
  const votes = nodes.map((node, index) => {
    const answer = answers[index] as Answer<unknown>
    if (answer.state !== 'answered') return silentVote(node, answer)
    return { node: node.name, vote: 'absent' as const }
  })
  return new QuorumError(
    {
      engine: 'quorum',
      operation,
      outcome: 'none',
      lock,
      ...firstFailure(answers),
    },
    votes,
    majority,
  )
}
