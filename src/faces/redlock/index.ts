export { ExecutionError, ResourceLockedError } from './errors.ts'
export { Lock } from './lock.ts'
export { Redlock, Redlock as default } from './redlock.ts'
export type {
  ClientExecutionResult,
  ExecutionResult,
  ExecutionStats,
  RedlockAbortSignal,
  Settings,
} from './types.ts'
