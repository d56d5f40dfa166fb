/** A lock that is refreshed was lost. */
export class LostLockError extends Error {
  override readonly name = 'LostLockError'
}

/** `acquire` was not granted in its time. */
export class TimeoutError extends Error {
  override readonly name = 'TimeoutError'
}
