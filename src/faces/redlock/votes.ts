import { HoldfastError, QuorumError } from '../../core/errors.ts'
import type { RedisClient } from '../../engines/redis/index.ts'
import { ExecutionError, ResourceLockedError } from './errors.ts'
import type { ExecutionStats } from './types.ts'

const FAILED = 'The operation was unable to achieve a quorum during its retry window.'

/** The tally of an operation that succeeded. */
export function votesFor(clients: ReadonlySet<RedisClient>): Promise<ExecutionStats> {
  // A quorum says that enough voted for it, not which.
  return tally(clients, clients.size === 1 ? clients : [], [])
}

/** An operation that found its resources locked, or not locked by this lock. */
export function lockedError(
  clients: ReadonlySet<RedisClient>,
  { applied, of, cause }: { applied: number; of: number; cause?: unknown },
): ExecutionError {
  const error = new ResourceLockedError(
    `The operation was applied to: ${applied} of the ${of} requested resources.`,
    cause === undefined ? {} : { cause },
  )
  const against = [...clients].map((client) => [client, error] as const)
  return new ExecutionError(FAILED, [tally(clients, [], against)], { cause: error })
}

/** What a failure of the engine is here; anything else, such as a wrong argument, as it is. */
export function executionError(clients: ReadonlySet<RedisClient>, error: unknown): unknown {
  if (!(error instanceof HoldfastError)) return error
  const against = [...clients].flatMap((client, index) => {
    const vote = error instanceof QuorumError ? error.votes[index] : undefined
    if (vote === undefined) return [[client, error] as const]
    if (vote.vote === 'granted' || vote.vote === 'absent') return []
    return [[client, new Error(vote.error ?? `The node was ${vote.vote}.`)] as const]
  })
  return new ExecutionError(FAILED, [tally(clients, [], against)], { cause: error })
}

async function tally(
  clients: ReadonlySet<RedisClient>,
  pro: Iterable<RedisClient>,
  contra: Iterable<readonly [RedisClient, Error]>,
): Promise<ExecutionStats> {
  return {
    membershipSize: clients.size,
    quorumSize: Math.floor(clients.size / 2) + 1,
    votesFor: new Set(pro),
    votesAgainst: new Map(contra),
  }
}
