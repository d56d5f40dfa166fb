import type { Expectations, Finding } from '../../core/finding.ts'
import type { Parts } from './parts.ts'
import { type Answer, ask } from './round.ts'
import { refused } from './view.ts'
import { countAnswered } from './votes.ts'

/** What every node says of its surroundings, by the name of the node. */
export async function diagnoseAll(
  parts: Parts,
  expected: Expectations,
): Promise<readonly Finding[]> {
  const { nodes, majority } = parts
  const round = ask(
    nodes,
    parts,
    async ({ engine }) => (await engine.diagnose?.(expected)) ?? [],
    (answers, final): readonly Answer<readonly Finding[]>[] | undefined =>
      final ? [...answers] : undefined,
  )
  const answers = await round.decision
  if (countAnswered(answers) < majority) throw refused(parts, 'diagnose', undefined, answers)
  return nodes.flatMap(({ name }, index) => {
    const answer = answers[index]
    if (answer?.state !== 'answered') return []
    return answer.value.map((finding) => ({ ...finding, seen: `Node ${name}: ${finding.seen}` }))
  })
}
