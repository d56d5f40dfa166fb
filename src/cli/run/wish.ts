import { basename } from 'node:path'
import { type Arguments, LONGEST_MS, readMs, readWhole, textOf } from '../arguments.ts'
import { EXIT, usageError } from '../exit.ts'
import type { CommandSpec } from '../spec.ts'

/** Which permits of which lock. */
export type Share =
  | { readonly kind: 'mutex' | 'read' | 'write' }
  | { readonly kind: 'semaphore'; readonly capacity: number; readonly permits: number }

/** The lease of a command and the command itself. */
export interface Wish {
  readonly name: string
  readonly command: readonly string[] | string
  /** `undefined`: as long as it takes. */
  readonly timeoutMs: number | undefined
  readonly ttlMs: number
  readonly graceMs: number
  readonly lockDelayMs: number
  readonly minHoldMs: number
  readonly label: string | undefined
}

const DEFAULT_TTL_MS = 30_000
const DEFAULT_GRACE_MS = 5000
const MOST_PERMITS = 2_147_483_647

/** Reads what run and elect have in common. */
export function readWish(spec: CommandSpec, args: Arguments): Wish {
  const { name, command } = readCommand(spec, args)
  const time = (option: string, least: number, usual: number, most = LONGEST_MS): number => {
    const text = textOf(args, option)
    return text === undefined ? usual : readMs(`--${option}`, text, least, most)
  }
  const ttlMs = time('ttl', 1000, DEFAULT_TTL_MS, LONGEST_MS / 2)
  const lockDelayMs = time('lock-delay', 0, 0, LONGEST_MS / 2)
  // Renewals start after a third of the ttl and must get their chance before the stop begins.
  const mostGraceMs = ttlMs / 2 + lockDelayMs
  const graceMs = time('grace', 0, Math.min(DEFAULT_GRACE_MS, ttlMs / 4), mostGraceMs)
  const wait = textOf(args, 'wait')
  return {
    name,
    command,
    timeoutMs: wait === undefined ? undefined : readMs('--wait', wait, 0),
    ttlMs,
    graceMs,
    lockDelayMs,
    minHoldMs: time('min-hold', 0, 0),
    label: textOf(args, 'label') ?? usualLabel(command),
  }
}

/** The lock's name and the command, from `<name> -- command args` or `<name> -c 'line'`. */
function readCommand(
  spec: CommandSpec,
  args: Arguments,
): { name: string; command: readonly string[] | string } {
  let [name, extra] = args.positionals
  let { rest } = args
  // A name that starts with a dash stands between two `--`.
  if (name === undefined && rest !== undefined && rest.includes('--')) {
    const second = rest.indexOf('--')
    ;[name, extra] = rest.slice(0, second)
    rest = rest.slice(second + 1)
  }
  const line = textOf(args, 'command')
  const see = `See holdfast ${spec.name} --help.`
  if (name === undefined) throw usageError(`name the lock. ${see}`)
  if (name === '') throw usageError('the name of a lock must not be empty.')
  if (extra !== undefined) {
    const shown = JSON.stringify(extra)
    throw usageError(
      rest === undefined && line === undefined
        ? `put -- in front of the command: holdfast ${spec.name} ${shellWord(name)} -- ${shellWord(extra)}`
        : `${shown} is too much in front of the command. Quote a name that has spaces.`,
    )
  }
  if (line !== undefined && rest !== undefined) {
    throw usageError('-c takes the place of a command after --: give one of them.')
  }
  if (line !== undefined) return { name, command: line }
  if (rest === undefined || rest.length === 0) {
    throw usageError(`give the command after --, or a line of shell with -c. ${see}`)
  }
  if (rest[0] === '') throw usageError('the command must not be empty.')
  return { name, command: rest }
}

/** Which share of the lock `run` asks for. */
export function readShare(args: Arguments): Share {
  const { shared, exclusive } = args.options
  const capacity = textOf(args, 'capacity')
  const permits = textOf(args, 'permits')
  if (shared && exclusive) throw usageError('--shared and --exclusive exclude each other.')
  if (capacity === undefined) {
    if (permits !== undefined) throw usageError('--permits needs --capacity: how many in all?')
    return { kind: shared ? 'read' : exclusive ? 'write' : 'mutex' }
  }
  if (shared || exclusive) {
    throw usageError('--capacity makes a semaphore; it goes with neither --shared nor --exclusive.')
  }
  const all = readWhole('--capacity', capacity, 1, MOST_PERMITS)
  return {
    kind: 'semaphore',
    capacity: all,
    permits: readWhole('--permits', permits ?? '1', 1, all),
  }
}

/** The exit codes for a lock that was not granted, at once or within the time. */
export function readConflictCodes(args: Arguments): { conflict: number; timeout: number } {
  const text = textOf(args, 'conflict-exit-code')
  if (text === undefined) return { conflict: EXIT.failed, timeout: EXIT.timeout }
  const code = readWhole('--conflict-exit-code', text, 0, 255)
  return { conflict: code, timeout: code }
}

/** The name of the program: its arguments may hold what others must not see. */
function usualLabel(command: readonly string[] | string): string | undefined {
  if (typeof command === 'string') return undefined
  return basename(command[0] ?? '').slice(0, 200) || undefined
}

function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
