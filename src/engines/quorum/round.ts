import type { Clock, Timer } from '../../core/clock.ts'
import { EngineError, type NodeVote } from '../../core/errors.ts'
import type { Node } from './node.ts'

/** What became of the call to one node. */
export type Answer<T> =
  | { readonly state: 'answered'; readonly value: T }
  | { readonly state: 'failed'; readonly error: unknown }
  | { readonly state: 'late' | 'open' }

/** How long calls of a round may take. */
export interface Limits {
  readonly clock: Clock
  /** Patience with a node. */
  readonly limitMs: number
}

/** Share of its limit that is spent on a node which has been silent for longer than that. */
const SILENT_SHARE = 0.1

/** One question to all nodes at once. */
export interface Round<T, D> {
  /** The calls themselves, which go on after the decision. */
  readonly calls: readonly Promise<T>[]
  /** Whether the call to the node at this index has not settled yet. */
  readonly isOpen: (index: number) => boolean
  /** Resolves as soon as the answers so far decide, and when the limit is over at the latest. */
  readonly decision: Promise<D>
}

const OPEN = { state: 'open' } as const
const LATE = { state: 'late' } as const

/**
 * Asks every node at once. `decide` is called after every answer until it returns a decision; it is
 * called with `final` when there is nothing more to come, and must decide then.
 */
export function ask<T, D>(
  nodes: readonly Node[],
  limits: Limits,
  send: (node: Node) => Promise<T>,
  decide: (answers: readonly Answer<T>[], final: boolean) => D | undefined,
): Round<T, D> {
  const answers: Answer<T>[] = nodes.map(() => OPEN)
  const settled: boolean[] = []
  const calls = nodes.map((node) => node.call(() => send(node)))
  const decision = new Promise<D>((resolve, reject) => {
    const { clock, limitMs } = limits
    let timer: Timer | undefined
    let hurried = false
    let decided = false
    const end = () => {
      decided = true
      timer?.cancel()
    }
    const look = () => {
      const open = nodes.filter((_, index) => answers[index] === OPEN)
      try {
        const outcome = decide(answers, open.length === 0)
        if (outcome !== undefined) {
          end()
          return resolve(outcome)
        }
      } catch (error) {
        end()
        return reject(error as Error)
      }
      // Who has been silent for long is still asked, but no longer waited for.
      if (!hurried && open.every((node) => node.isSilent(limitMs))) {
        hurried = true
        timer?.cancel()
        timer = clock.setTimer(giveUp, limitMs * SILENT_SHARE)
      }
    }
    const giveUp = () => {
      for (const [index, answer] of answers.entries()) if (answer === OPEN) answers[index] = LATE
      look()
    }
    timer = clock.setTimer(giveUp, limitMs)
    for (const [index, call] of calls.entries()) {
      const settle = (answer: Answer<T>) => {
        settled[index] = true
        if (decided) return
        answers[index] = answer
        look()
      }
      call.then(
        (value) => settle({ state: 'answered', value }),
        (error: unknown) => settle({ state: 'failed', error }),
      )
    }
  })
  return { calls, decision, isOpen: (index) => settled[index] !== true }
}

/** A failed or missing answer as data. */
export function silentVote(node: Node, answer: Answer<unknown>): NodeVote {
  if (answer.state !== 'failed') return { node: node.name, vote: 'late' }
  const error = answer.error instanceof Error ? answer.error.message : String(answer.error)
  return { node: node.name, vote: 'failed', error }
}

/** Whether a call that got no good answer may have taken effect. */
export function mayHaveRun(answer: Answer<unknown>): boolean {
  if (answer.state !== 'failed') return answer.state !== 'answered'
  return !(answer.error instanceof EngineError) || answer.error.outcome !== 'none'
}

/** The first failure of a round, as the cause of an error. */
export function firstFailure(answers: readonly Answer<unknown>[]): { cause?: unknown } {
  const failed = answers.find((answer) => answer.state === 'failed')
  return failed?.state === 'failed' ? { cause: failed.error } : {}
}
