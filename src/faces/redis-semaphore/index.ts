export { LostLockError, TimeoutError } from './errors.ts'
export {
  MultiSemaphore,
  Mutex,
  RedlockMultiSemaphore,
  RedlockMutex,
  RedlockSemaphore,
  Semaphore,
} from './locks.ts'
export {
  defaultTimeoutOptions,
  type LockLostCallback,
  type LockOptions,
  type TimeoutOptions,
} from './options.ts'
