import type { Attributes } from '@opentelemetry/api'
import { type ErrorCode, HoldfastError, LeaseLostError, type LossReason } from '../core/errors.ts'

/** Attributes of spans and metrics. On metrics, each has few values. */
export const ENGINE = 'holdfast.engine'
const KIND = 'holdfast.lock.kind'
const NAME = 'holdfast.lock.name'
export const ACQUIRE_OUTCOME = 'holdfast.acquire.outcome'
export const HOLD_OUTCOME = 'holdfast.hold.outcome'
export const RENEWAL_OUTCOME = 'holdfast.renewal.outcome'
const LOSS_REASON = 'holdfast.loss.reason'
const ERROR_TYPE = 'error.type'

/** Attributes of spans only: their values are without end. */
export const PERMITS = 'holdfast.lease.permits'
export const FENCE = 'holdfast.lease.fence'
export const WAITED = 'holdfast.wait.duration'
export const JOINED_AHEAD = 'holdfast.line.joined_ahead'
export const AHEAD = 'holdfast.line.ahead'

/** What every measurement of a lock says of it. */
export function lockAttributes(engine: string, kind: string, name: string | undefined): Attributes {
  return { [ENGINE]: engine, [KIND]: kind, ...(name === undefined ? {} : { [NAME]: name }) }
}

/** What is told of a loss. */
export function lossAttributes(reason: LossReason): Attributes {
  return { [ERROR_TYPE]: 'HOLDFAST_LEASE_LOST' satisfies ErrorCode, [LOSS_REASON]: reason }
}

/** What Holdfast calls the error; nothing for one that is not its own, as reasons of signals. */
export function errorAttributes(error: unknown): Attributes {
  if (!(error instanceof HoldfastError)) return {}
  if (error instanceof LeaseLostError) return lossAttributes(error.reason)
  return { [ERROR_TYPE]: error.code }
}
