import { show } from '../../core/options.ts'
import type { LockGrantedCallback, LockMode } from './types.ts'

/** The arguments of `request`, converted the way Web IDL says. */
export interface LockRequest {
  readonly name: string
  readonly mode: LockMode
  readonly ifAvailable: boolean
  readonly steal: boolean
  readonly signal: AbortSignal | undefined
  readonly callback: LockGrantedCallback<unknown>
}

/**
 * Converts the arguments from left to right, the members of the options in the order of their
 * names, each read once. Throws TypeError.
 */
export function readArguments(
  name: unknown,
  second: unknown,
  rest: readonly unknown[],
): LockRequest {
  const [options, callback] = rest.length === 0 ? [undefined, second] : [second, rest[0]]
  // A template, since it throws for a symbol.
  const text = `${name as string}`
  const read = readOptions(options)
  if (typeof callback !== 'function') {
    throw new TypeError(`callback must be a function, got ${show(callback)}.`)
  }
  return { name: text, ...read, callback: callback as LockGrantedCallback<unknown> }
}

function readOptions(options: unknown): Omit<LockRequest, 'name' | 'callback'> {
  if (options !== undefined && options !== null) {
    if (typeof options !== 'object' && typeof options !== 'function') {
      throw new TypeError(`options must be an object, got ${show(options)}.`)
    }
  }
  const from = (options ?? {}) as Record<string, unknown>
  const ifAvailable = Boolean(from['ifAvailable'])
  const mode = readMode(from['mode'])
  const signal = readSignal(from['signal'])
  const steal = Boolean(from['steal'])
  return { mode, ifAvailable, steal, signal }
}

function readMode(value: unknown): LockMode {
  if (value === undefined) return 'exclusive'
  const mode = `${value as string}`
  if (mode === 'exclusive' || mode === 'shared') return mode
  throw new TypeError(`mode must be "exclusive" or "shared", got ${show(value)}.`)
}

function readSignal(value: unknown): AbortSignal | undefined {
  if (value === undefined || value instanceof AbortSignal) return value
  throw new TypeError(`signal must be an AbortSignal, got ${show(value)}.`)
}
