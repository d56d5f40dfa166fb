import type { RedisClient } from '../../engines/redis/index.ts'

/** How locks are asked for. Each call may change them for itself. */
export interface Settings {
  /**
   * Share of the duration by which clocks may drift apart. Below 0.01 it has no effect: Holdfast
   * always takes 1 % and 2 ms off.
   */
  readonly driftFactor: number
  /** How often to try again; -1 without end. With `retryDelay` it makes the time to wait. */
  readonly retryCount: number
  /** Milliseconds that go with one retry. */
  readonly retryDelay: number
  /** Has no effect: whoever waits stands in a line, and is told. */
  readonly retryJitter: number
  /** `using` needs a duration of at least 100 ms more than this. */
  readonly automaticExtensionThreshold: number
}

/** What one client said to one operation. */
export type ClientExecutionResult =
  | { client: RedisClient; vote: 'for'; value: number }
  | { client: RedisClient; vote: 'against'; error: Error }

/** What the clients said to one operation. */
export interface ExecutionStats {
  readonly membershipSize: number
  readonly quorumSize: number
  /** With one client, that client. A success on a quorum does not tell who voted for it. */
  readonly votesFor: Set<RedisClient>
  readonly votesAgainst: Map<RedisClient, Error>
}

/** What an operation that succeeded resolves to. */
export interface ExecutionResult {
  readonly attempts: readonly Promise<ExecutionStats>[]
}

/** The signal of `using`. */
export type RedlockAbortSignal = AbortSignal & { error?: Error }
