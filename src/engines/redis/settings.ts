import type { Clock } from '../../core/clock.ts'

/** How the engine is set up, every gap filled. */
export interface RedisSettings {
  readonly clock: Clock
  /** In front of every lock name. */
  readonly prefix: string
  /** How long one command may take. */
  readonly commandTimeoutMs: number
  /** How long the last fence of a lock is kept after its last use. */
  readonly fenceTtlMs: number
  /** Channel on which this process hears of its grants. */
  readonly channel: string
}
