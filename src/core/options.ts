/**
 * The longest time a platform timer, a server's TTL and this library all agree on: about 24.8 days.
 */
export const MAX_MS = 2_147_483_647

/** A lease shorter than this would spend its life renewing. */
export const MIN_TTL_MS = 20

/** Longest name of a lock, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 1024

/** What one lease is like. Each option may stand at the Holdfast, at the lock or at the call. */
export interface LeaseOptions {
  /** Life of the lease, renewed while it is held. 20 to 2147483647; 10000 by default. */
  readonly ttlMs?: number
  /** Whether the lease renews itself. `true` by default. */
  readonly renew?: boolean
  /**
   * Keeps the lock taken at least this long after the grant, even when released earlier. 0 by
   * default.
   */
  readonly minHoldMs?: number
  /**
   * Ends a lease that is held this long, however well it is renewed, so that work that hangs does
   * not keep the lock for ever: the lease is lost and the lock given back. 1 to 2147483647; no
   * limit by default.
   */
  readonly maxHoldMs?: number
  /** Keeps others out this long after a holder vanished without releasing. 0 by default. */
  readonly lockDelayMs?: number
  /** Shown to whoever inspects the lock. At most 200 characters. */
  readonly label?: string
}

/** How often and how long a process may keep a mutex among its own callers. */
export interface HandoverOptions {
  /** Most passes before the lock goes back to the line. 1 to 1000; 200 by default. */
  readonly passes?: number
  /** No pass later than this after the grant. 1 to 2147483647; 100 by default. */
  readonly withinMs?: number
}

/** What the leases of one mutex are like. */
export interface MutexOptions extends LeaseOptions {
  /**
   * Callers of this process that wait for the same mutex pass it among themselves, under one lease
   * and without a command to the engine, each with a larger fence than the one before. They go
   * before callers of other processes that came earlier, within the bounds of `HandoverOptions`. A
   * lease with `minHoldMs` is not passed on. `false` by default: first come, first served.
   */
  readonly handover?: boolean | HandoverOptions
}

/** Handover options with every gap filled. */
export interface HandoverLimits {
  readonly passes: number
  readonly withinMs: number
}

/** How long to wait for a lease. */
export interface AcquireOptions extends LeaseOptions {
  /** Give up after this long: 0 to 2147483647, 0 tries once. Absent: wait as long as it takes. */
  readonly timeoutMs?: number
  /** Cancels the wait; the call rejects with the signal's reason. It does not end a lease. */
  readonly signal?: AbortSignal
}

/** How to wait for a lease, and whether the work around may share its own. */
export interface RunOptions extends AcquireOptions {
  /**
   * Inside work that `run` of this Holdfast gave the lock to, with enough permits, run at once and
   * share that lease. The right goes with the asynchronous context: whatever the work starts has
   * it, until the `run` around it ends. `false` by default.
   */
  readonly reentrant?: boolean
}

/** Lease options with every gap filled. */
export interface LeaseSettings {
  readonly ttlMs: number
  readonly renew: boolean
  readonly minHoldMs: number
  readonly maxHoldMs: number
  readonly lockDelayMs: number
  readonly label: string | undefined
}

export const DEFAULT_LEASE: LeaseSettings = {
  ttlMs: 10_000,
  renew: true,
  minHoldMs: 0,
  maxHoldMs: Number.POSITIVE_INFINITY,
  lockDelayMs: 0,
  label: undefined,
}

/** Fills `options` over `defaults`, or throws the error that names the first wrong one. */
export function leaseSettings(
  options: LeaseOptions | undefined,
  defaults: LeaseSettings,
): LeaseSettings {
  if (options === undefined) return defaults
  checkObject('options', options)
  const { ttlMs, renew, minHoldMs, maxHoldMs, lockDelayMs, label } = options
  if (ttlMs !== undefined) checkWhole('ttlMs', ttlMs, MIN_TTL_MS, MAX_MS)
  if (minHoldMs !== undefined) checkWhole('minHoldMs', minHoldMs, 0, MAX_MS)
  if (maxHoldMs !== undefined) checkWhole('maxHoldMs', maxHoldMs, 1, MAX_MS)
  if (lockDelayMs !== undefined) checkWhole('lockDelayMs', lockDelayMs, 0, MAX_MS)
  if (renew !== undefined && typeof renew !== 'boolean') {
    throw new TypeError(`renew must be true or false, got ${show(renew)}.`)
  }
  if (label !== undefined) checkLabel(label)
  const settings = {
    ttlMs: ttlMs ?? defaults.ttlMs,
    renew: renew ?? defaults.renew,
    minHoldMs: minHoldMs ?? defaults.minHoldMs,
    maxHoldMs: maxHoldMs ?? defaults.maxHoldMs,
    lockDelayMs: lockDelayMs ?? defaults.lockDelayMs,
    label: label ?? defaults.label,
  }
  // The engine stores their sum as one TTL, which must not pass the limit either.
  if (settings.ttlMs + settings.lockDelayMs > MAX_MS) {
    throw new RangeError(`ttlMs + lockDelayMs must be at most ${MAX_MS}.`)
  }
  return settings
}

/** The bounds of a handover, `undefined` when there is to be none. */
export function handoverLimits(options: MutexOptions | undefined): HandoverLimits | undefined {
  const handover: unknown = options?.handover
  if (handover === undefined || handover === false) return undefined
  if (handover !== true) checkObject('handover', handover)
  const { passes = 200, withinMs = 100 } = handover as HandoverOptions
  checkWhole('handover.passes', passes, 1, 1000)
  checkWhole('handover.withinMs', withinMs, 1, MAX_MS)
  return { passes, withinMs }
}

/** The wait limit in milliseconds, `Infinity` when there is none. */
export function waitLimit(options: AcquireOptions | undefined): number {
  if (options?.timeoutMs === undefined) return Number.POSITIVE_INFINITY
  checkWhole('timeoutMs', options.timeoutMs, 0, MAX_MS)
  return options.timeoutMs
}

export function runsReentrant(options: RunOptions | undefined): boolean {
  if (options === undefined) return false
  checkObject('options', options)
  const { reentrant } = options
  if (reentrant === undefined || typeof reentrant === 'boolean') return reentrant === true
  throw new TypeError(`reentrant must be true or false, got ${show(reentrant)}.`)
}

export function waitSignal(options: AcquireOptions | undefined): AbortSignal | undefined {
  const signal: unknown = options?.signal
  if (signal === undefined || signal instanceof AbortSignal) return signal
  throw new TypeError(`signal must be an AbortSignal, got ${show(signal)}.`)
}

/** Throws unless `name` is a lock name: 1 byte to 1 KiB of UTF-8, any characters. */
export function checkName(name: unknown): asserts name is string {
  checkText('name', name)
  if (name === '') throw new RangeError('name must not be empty.')
}

/** Throws unless `text` is a string that survives UTF-8 and stays within the length of a name. */
export function checkText(option: string, text: unknown): asserts text is string {
  if (typeof text !== 'string')
    throw new TypeError(`${option} must be a string, got ${show(text)}.`)
  // Every UTF-16 unit takes at most 3 bytes, so short texts need no encoding to be measured.
  if (text.length * 3 > MAX_NAME_BYTES) {
    const bytes = new TextEncoder().encode(text).length
    if (bytes > MAX_NAME_BYTES) {
      throw new RangeError(
        `${option} must be at most ${MAX_NAME_BYTES} bytes of UTF-8, got ${bytes}.`,
      )
    }
  }
  // A lone surrogate turns into U+FFFD on the wire, so that two names would become one lock.
  if (/\p{Surrogate}/u.test(text)) {
    throw new RangeError(`${option} must be well-formed Unicode, got a lone surrogate.`)
  }
}

/** Throws unless `value` is a whole number from `least` to `most`. */
export function checkWhole(option: string, value: unknown, least: number, most: number): void {
  if (typeof value !== 'number') {
    throw new TypeError(`${option} must be a number, got ${show(value)}.`)
  }
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(
      `${option} must be a whole number from ${least} to ${most}, got ${show(value)}.`,
    )
  }
}

export function checkObject(option: string, value: unknown): asserts value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError(`${option} must be an object, got ${show(value)}.`)
  }
}

export function checkFunction(option: string, value: unknown): void {
  if (typeof value !== 'function') {
    throw new TypeError(`${option} must be a function, got ${show(value)}.`)
  }
}

function checkLabel(label: unknown): void {
  checkText('label', label)
  if (label.length > 200) {
    throw new RangeError(`label must be at most 200 characters, got ${label.length}.`)
  }
}

/** A wrong value for a message: short, and with its type visible. */
export function show(value: unknown): string {
  if (typeof value === 'string') {
    return JSON.stringify(value.length > 50 ? `${value.slice(0, 49)}…` : value)
  }
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'object' && value !== null) {
    return Array.isArray(value) ? 'an array' : 'an object'
  }
  if (typeof value === 'function') return 'a function'
  return String(value)
}
