import { RedisFailure } from './port.ts'
import type { Script } from './script.ts'

/** Where inside a script the server stopped; its lines are counted from 1. */
const LINE = /on @user_script:(\d+)/
const COMMAND = /(?:run|execute) the '([^']+)' command|no permissions? to run the '([^']+)'/i
const KEY = /access (?:a key|the '|one of the keys|at least one of the keys)/i
const CALLED = /redis\.p?call\('([A-Z]+)'/g

/**
 * Says what the user must be given, in the words of an ACL rule. Not every server names what is
 * missing, so it is looked up in the script that was stopped. Other failures stay as they are.
 */
export function namingPermission(
  failure: unknown,
  script: Script,
  keys: readonly string[],
): unknown {
  if (!(failure instanceof RedisFailure) || failure.kind !== 'permission') return failure
  const { kind, mayHaveRun, message, cause } = failure
  return new RedisFailure(kind, mayHaveRun, permissionProblem(message, script, keys), cause)
}

/** The same for what a script itself tells. */
export function permissionProblem(
  message: string,
  script: Script,
  keys: readonly string[],
): string {
  const missing = missingRule(message, script, keys)
  return missing === undefined ? message : `missing is ${missing}, see docs/acl.md: ${message}`
}

function missingRule(
  message: string,
  { source }: Script,
  keys: readonly string[],
): string | undefined {
  if (KEY.test(message)) return `a key pattern for ${keys.map((key) => `~${key}`).join(' ')}`
  const [, said, alsoSaid] = COMMAND.exec(message) ?? []
  const named = said ?? alsoSaid
  if (named !== undefined) return `+${named.toLowerCase()}`
  if (!/can't run this command/.test(message)) return undefined
  const line = source.split('\n')[Number(LINE.exec(message)?.[1] ?? 0) - 1]
  // What was tried with a pcall comes back without its line.
  const names = namesIn(line ?? source, CALLED).map((name) => `+${name}`)
  return names.length > 1 ? `one of ${names.join(' ')}` : names[0]
}

function namesIn(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map(([, name = '']) => name.toLowerCase()))]
}
