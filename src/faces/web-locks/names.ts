import { MAX_NAME_BYTES } from '../../core/options.ts'
import { exception } from './exception.ts'

/** Stands before the four hex digits of a code unit. It is no character: hardly a name has it. */
const ESCAPE = '\uFDD0'

/**
 * The lock's name on the engine. A name on the web is any string, also one that UTF-8 cannot carry.
 * Throws a NotSupportedError when it is too long.
 */
export function toLockName(prefix: string, name: string): string {
  const text = name.replaceAll(/\p{Surrogate}|\uFDD0/gu, (unit) => {
    return ESCAPE + unit.charCodeAt(0).toString(16)
  })
  const most = MAX_NAME_BYTES - Buffer.byteLength(prefix)
  if (Buffer.byteLength(text) > most) {
    throw exception('NotSupportedError', `name must be at most ${most} bytes of UTF-8.`)
  }
  return prefix + text
}

/** The name that was asked for. */
export function fromLockName(prefix: string, lock: string): string {
  return lock.slice(prefix.length).replaceAll(/\uFDD0([0-9a-f]{4})/g, (_, unit: string) => {
    return String.fromCharCode(Number.parseInt(unit, 16))
  })
}
