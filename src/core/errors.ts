import { describeOccupant } from './about.ts'
import type { Occupant, Shape } from './engine.ts'

/** Stable within a major version; messages are not. Match on `error.code`. */
export type ErrorCode =
  | 'HOLDFAST_ACQUIRE_TIMEOUT'
  | 'HOLDFAST_LEASE_LOST'
  | 'HOLDFAST_STALE_FENCE'
  | 'HOLDFAST_ENGINE_FAILED'
  | 'HOLDFAST_TOO_FEW_REPLICAS'
  | 'HOLDFAST_NO_QUORUM'
  | 'HOLDFAST_SHAPE_MISMATCH'
  | 'HOLDFAST_DEADLOCK'
  | 'HOLDFAST_UNSUPPORTED'
  | 'HOLDFAST_CLOSED'

/** Base of every error that Holdfast makes for something other than a programming mistake. */
export class HoldfastError extends Error {
  override readonly name: string = 'HoldfastError'
  readonly code: ErrorCode
  /** Name of the lock concerned, where there is one. */
  readonly lock: string | undefined

  constructor(code: ErrorCode, message: string, details: { lock?: string; cause?: unknown } = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined)
    this.code = code
    this.lock = details.lock
  }
}

/** `acquire` or `run` waited `timeoutMs` and was not granted. Nothing was left in the line. */
export class AcquireTimeoutError extends HoldfastError {
  override readonly name = 'AcquireTimeoutError'
  readonly timeoutMs: number
  /** Who held the lock when it was last seen, where the engine could tell. */
  readonly occupant: Occupant | undefined
  /** Places in front when last seen; `undefined` when the call never stood in the line. */
  readonly ahead: number | undefined

  constructor(
    lock: string,
    timeoutMs: number,
    seen: { occupant?: Occupant | undefined; ahead?: number | undefined },
  ) {
    const holder = seen.occupant ? `; held by ${describeOccupant(seen.occupant)}` : ''
    const line = seen.ahead === undefined ? '' : `; ${seen.ahead} ahead in the line`
    const advice =
      timeoutMs === 0
        ? 'Try later, or wait with a larger timeoutMs'
        : 'Raise timeoutMs, or inspect the lock to see who keeps it'
    super(
      'HOLDFAST_ACQUIRE_TIMEOUT',
      `Lock ${quote(lock)} was not granted within ${timeoutMs} ms${holder}${line}. ${advice}.`,
      { lock },
    )
    this.timeoutMs = timeoutMs
    this.occupant = seen.occupant
    this.ahead = seen.ahead
  }
}

/**
 * Why a lease is gone: `expired` without a confirmed renewal, `overdue` when it was held for all of
 * its `maxHoldMs`, `refused` because the engine no longer knows it, `released` by its own holder, or
 * `short` when less time is left than `assertHeld` asked for.
 */
export type LossReason = 'expired' | 'overdue' | 'refused' | 'short' | 'released'

/** Work ran, or was about to run, without its lease. It is also the reason of `lease.signal`. */
export class LeaseLostError extends HoldfastError {
  override readonly name = 'LeaseLostError'
  readonly reason: LossReason
  readonly fence: number

  constructor(lock: string, fence: number, reason: LossReason, cause?: unknown) {
    const told = {
      expired: 'ended before a renewal was confirmed',
      overdue: 'was held for all of its maxHoldMs',
      refused:
        cause instanceof Error
          ? `is gone from its engine (${cause.message.replace(/\.$/, '')})`
          : 'was released, taken over or deleted by somebody else',
      short: 'has less time left than asked for',
      released: 'was released before',
    }[reason]
    super(
      'HOLDFAST_LEASE_LOST',
      `The lease of lock ${quote(lock)} (fence ${fence}) ${told}. ` +
        'Stop writing; a resource that checks the fence refuses late writes.',
      cause === undefined ? { lock } : { lock, cause },
    )
    this.reason = reason
    this.fence = fence
  }
}

/**
 * A resource refused a write, because it has seen a larger fence: whoever writes lost its lease,
 * and somebody else was granted the lock since. Nothing was written.
 */
export class StaleFenceError extends HoldfastError {
  override readonly name = 'StaleFenceError'
  /** What was to be written, such as a key. */
  readonly resource: string
  /** The fence of the write. */
  readonly fence: number
  /** The larger one that the resource has seen. */
  readonly later: number

  constructor(resource: string, fence: number, later: number) {
    super(
      'HOLDFAST_STALE_FENCE',
      `A write to ${quote(resource)} with fence ${fence} was refused, because fence ${later} was ` +
        'seen there. The lease is lost and another holder has written since: stop.',
    )
    this.resource = resource
    this.fence = fence
    this.later = later
  }
}

/** What is known of a failed engine call: `none` did not run, `unknown` may have run. */
export type Outcome = 'none' | 'unknown'

/** What an `EngineError` tells. */
export interface EngineFailure {
  readonly engine: string
  readonly operation: string
  readonly outcome: Outcome
  readonly transient: boolean
  /** What went wrong and what to do, without a final full stop. */
  readonly problem: string
  readonly lock?: string | undefined
  readonly cause?: unknown
}

/** The engine gave no answer or refused the operation. Says nothing about who holds the lock. */
export class EngineError extends HoldfastError {
  override readonly name: string = 'EngineError'
  readonly engine: string
  readonly operation: string
  readonly outcome: Outcome
  /** Whether the same call may succeed when it is repeated in a moment. */
  readonly transient: boolean

  constructor(details: EngineFailure, code: ErrorCode = 'HOLDFAST_ENGINE_FAILED') {
    const on = details.lock === undefined ? '' : ` of lock ${quote(details.lock)}`
    const doubt =
      details.outcome === 'unknown' ? ' It is unknown whether the call took effect.' : ''
    super(
      code,
      `${details.operation}${on} failed on ${details.engine}: ${details.problem}.${doubt}`,
      {
        ...(details.lock === undefined ? {} : { lock: details.lock }),
        ...(details.cause === undefined ? {} : { cause: details.cause }),
      },
    )
    this.engine = details.engine
    this.operation = details.operation
    this.outcome = details.outcome
    this.transient = details.transient
  }
}

/**
 * The server granted or prolonged a lease, but too few replicas confirmed it in time. An `acquire`
 * has given the lock back, or gives it back in the background when `outcome` is `unknown`. For a
 * renewal it is one that failed: the lease stands until its deadline, and is tried again.
 */
export class ReplicaError extends EngineError {
  override readonly name = 'ReplicaError'
  /** How many replicas were asked for. */
  readonly min: number
  /** How many confirmed. */
  readonly confirmed: number
  readonly timeoutMs: number

  constructor(details: {
    engine: string
    operation: string
    outcome: Outcome
    min: number
    confirmed: number
    timeoutMs: number
    lock: string
  }) {
    const { min, confirmed, timeoutMs } = details
    const problem =
      `${confirmed} of ${min} replicas confirmed it within ${timeoutMs} ms; ` +
      'check the replicas, or ask for fewer or for longer with the option replicas'
    super({ ...details, transient: false, problem }, 'HOLDFAST_TOO_FEW_REPLICAS')
    this.min = min
    this.confirmed = confirmed
    this.timeoutMs = timeoutMs
  }
}

/** What one node of a quorum said: plain data, for logs. */
export interface NodeVote {
  /** Name of the node, without user and password. */
  readonly node: string
  /**
   * `granted` and `absent` answer the question, `taken` says that somebody else is there, `failed`
   * that the node answered with an error or could not be reached, `late` that no answer came in
   * time.
   */
  readonly vote: 'granted' | 'taken' | 'absent' | 'failed' | 'late'
  /** What the node failed with. */
  readonly error?: string
}

/**
 * Fewer than a majority of the configured nodes answered. Says nothing about who holds the lock.
 */
export class QuorumError extends EngineError {
  override readonly name = 'QuorumError'
  /** One for each configured node, in their order. */
  readonly votes: readonly NodeVote[]

  constructor(
    details: Omit<EngineFailure, 'problem' | 'transient'>,
    votes: readonly NodeVote[],
    majority: number,
  ) {
    const answered = votes.filter(({ vote }) => vote !== 'failed' && vote !== 'late')
    const told = votes.map(({ node, vote }) => `${node} ${vote}`).join(', ')
    super(
      {
        ...details,
        transient: true,
        problem:
          `${answered.length} of ${votes.length} nodes answered and ${majority} are needed ` +
          `(${told}); bring the others back`,
      },
      'HOLDFAST_NO_QUORUM',
    )
    this.votes = votes
  }
}

/** The name is already used by something else. Nothing was changed. */
export class ShapeError extends HoldfastError {
  override readonly name = 'ShapeError'
  readonly wanted: Shape
  /** The shape that was found, or `null` when the engine's key holds no lock at all. */
  readonly found: Shape | null

  constructor(lock: string, wanted: Shape, found: Shape | null, detail = '') {
    const is = found === null ? `something that is no lock${detail}` : shapeText(found)
    super(
      'HOLDFAST_SHAPE_MISMATCH',
      `Lock ${quote(lock)} was asked for as ${shapeText(wanted)}, ` +
        `but the name is in use by ${is}. ` +
        'Use another name, or the same shape everywhere.',
      { lock },
    )
    this.wanted = wanted
    this.found = found
  }
}

/**
 * A reentrant `run` asked for more of a lock than the work around holds, such as to write inside a
 * read. It would wait for the end of work that waits for it. Nothing was changed.
 */
export class DeadlockError extends HoldfastError {
  override readonly name = 'DeadlockError'

  constructor(lock: string, shape: Shape, wanted: number, held: number) {
    const [asks, has] =
      shape.kind === 'read-write'
        ? ['write', 'reads']
        : [`take ${wanted} permits`, `holds ${held} of them`]
    super(
      'HOLDFAST_DEADLOCK',
      `A reentrant run wants to ${asks} under lock ${quote(lock)}, but the work around it ` +
        `only ${has}, and would wait for itself. Take the larger right first, or end the ` +
        'smaller one before.',
      { lock },
    )
  }
}

/** The engine or URL cannot do what was asked. */
export class UnsupportedError extends HoldfastError {
  override readonly name = 'UnsupportedError'

  constructor(message: string, lock?: string) {
    super('HOLDFAST_UNSUPPORTED', message, lock === undefined ? {} : { lock })
  }
}

/** The error of every call on a closed Holdfast. */
export function closedError(lock?: string): HoldfastError {
  const what = lock === undefined ? 'This Holdfast' : `The Holdfast of lock ${quote(lock)}`
  return new HoldfastError(
    'HOLDFAST_CLOSED',
    `${what} was closed. Make a new one with connect() or createHoldfast().`,
    lock === undefined ? {} : { lock },
  )
}

/** A name for messages: quoted, control characters escaped, cut when long. */
export function quote(name: string): string {
  const shown = name.length > 100 ? `${name.slice(0, 99)}…` : name
  return JSON.stringify(shown)
}

function shapeText(shape: Shape): string {
  return {
    mutex: 'a mutex',
    semaphore: `a semaphore of ${shape.capacity}`,
    'read-write': 'a read-write lock',
    election: 'an election',
  }[shape.kind]
}
