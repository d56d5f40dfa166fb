import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { constants } from 'node:os'
import type { Holdfast, Lease } from '../../index.ts'
import { CliError, EXIT } from '../exit.ts'
import { duration } from '../text.ts'
import { Decoy } from './decoy.ts'
import { stdioWith } from './descriptors.ts'
import { Guardian } from './guardian.ts'
import { Family, type Root, send, startOf } from './processes.ts'
import type { Signals } from './signals.ts'
import { stopAll } from './stop.ts'
import type { Voice } from './voice.ts'

/** A command and how it is kept within its lease. */
export interface Order {
  readonly command: readonly string[] | string
  readonly env: NodeJS.ProcessEnv
  readonly ttlMs: number
  readonly graceMs: number
  readonly lockDelayMs: number
  /** Descriptors beyond the standard ones that go to the command. */
  readonly descriptors: readonly number[]
}

export interface Ending {
  /** The command's exit code, or 128 + its signal. */
  readonly code: number
  /** Whether the lease was lost, or could not be confirmed in time, while it ran. */
  readonly lost: boolean
}

/** Where signals come from, where words go to, and whose events tell of the lease. */
export interface Surroundings {
  readonly holdfast: Holdfast
  readonly signals: Signals
  readonly voice: Voice
}

/**
 * Runs a command under a lease and resolves when it ended. While the lease is good the command is
 * left alone. When it is lost, or would be before a grace is over, the command and all that came
 * from it are stopped, so that nothing of it lives when the lock can be somebody else's.
 */
export async function runGuarded(lease: Lease, order: Order, means: Surroundings): Promise<Ending> {
  const { voice, signals, holdfast } = means
  const { graceMs } = order
  const lock = JSON.stringify(lease.name)
  const guardian = new Guardian({
    holder: lease.identity,
    lock: lease.name,
    graceMs,
    json: voice.json,
  })
  const spareMs = marginMs(order) / 2
  // Before the command is there: holdfast may be stopped before it can say anything more.
  guardian.good(Math.max(1, lease.remainingMs - leadMs(order)), spareMs)
  const leads = process.platform !== 'win32' && !hasTerminal()
  // A command that leads a group of its own gets what comes to that by itself. Started before the
  // command: a Ctrl-C may come as soon as that is there.
  const decoy = leads ? undefined : new Decoy()
  const failed = (): void => {
    guardian.dismiss()
    decoy?.close()
  }
  const child = launch(order, leads, failed)
  const ended = endOf(child)
  if (child.pid === undefined) {
    failed()
    return await ended
  }
  const root = { pid: child.pid, start: startOf(child.pid), leads, holder: lease.identity }
  guardian.guard(root)
  if (!guardian.watches) {
    voice.whisper('unguarded', 'no shell was found: a SIGKILL of holdfast leaves the command.')
  }
  signals.forwardTo((signal) => {
    if (child.exitCode === null && child.signalCode === null) forward(root, signal)
  }, decoy)
  let stopping: Promise<void> | undefined
  const stop = (why: string): void => {
    stopping ??= (async () => {
      voice.say('stopping', `lock ${lock}: ${why}; the command is stopped.`, { lock: lease.name })
      signals.stopping()
      guardian.stop(spareMs)
      const left = await stopAll(root, graceMs)
      if (left.length === 0) return
      const pids = left.join(', ')
      voice.say('left', `lock ${lock}: could not stop the processes ${pids}.`, {
        lock: lease.name,
        pids: left,
      })
    })()
  }
  const silence = tellOfDoubt(holdfast, lease, order, voice)
  const unwatch = watch(lease, order, { good: (leftMs) => guardian.good(leftMs, spareMs), stop })
  const { code } = await ended
  unwatch()
  silence()
  // The command itself may be gone while something it started still lives.
  await stopping
  await signals.hold()
  guardian.dismiss()
  return { code, lost: stopping !== undefined }
}

/** What ends a command goes to all of it, as from a terminal; USR1 and USR2 mean the program. */
function forward(root: Root, signal: NodeJS.Signals): void {
  const toAll = signal !== 'SIGUSR1' && signal !== 'SIGUSR2'
  if (!toAll) send(root.pid, signal)
  else if (root.leads) send(-root.pid, signal)
  else {
    const family = new Family(root)
    for (const pid of family.direct(family.members())) send(pid, signal)
  }
}

/** Time before the end of a lease at which the command begins to be stopped. */
export function leadMs({
  ttlMs,
  graceMs,
  lockDelayMs,
}: Pick<Order, 'ttlMs' | 'graceMs' | 'lockDelayMs'>): number {
  return Math.max(0, graceMs - lockDelayMs) + marginMs({ ttlMs })
}

/** Half a second is enough to send a signal and to have the processes gone. */
function marginMs({ ttlMs }: Pick<Order, 'ttlMs'>): number {
  return Math.min(500, ttlMs / 10)
}

/** Looks after the lease: says how long it is good for, and when the command has to be stopped. */
function watch(
  lease: Lease,
  order: Order,
  tell: { good: (leftMs: number) => void; stop: (why: string) => void },
): () => void {
  const lead = leadMs(order)
  const everyMs = Math.min(1000, order.ttlMs / 10)
  let until = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | undefined
  const lost = (): void => tell.stop(`the lease is lost (${why(lease)})`)
  const look = (): void => {
    const leftMs = lease.remainingMs - lead
    if (lease.signal.aborted) return
    if (leftMs <= 0) {
      tell.stop(`the engine did not confirm the lease, which ends in ${duration(leftMs + lead)}`)
      return
    }
    const now = performance.now() + leftMs
    if (now > until + 1) {
      until = now
      tell.good(leftMs)
    }
    timer = setTimeout(look, Math.min(leftMs, everyMs))
  }
  if (lease.signal.aborted) lost()
  lease.signal.addEventListener('abort', lost, { once: true })
  look()
  return () => {
    clearTimeout(timer)
    lease.signal.removeEventListener('abort', lost)
  }
}

function why(lease: Lease): string {
  const reason: unknown = lease.signal.reason
  const told = (reason as { reason?: unknown }).reason
  if (told === 'refused') return 'released, taken over or deleted by somebody else'
  if (told === 'expired') return 'no renewal was confirmed in time'
  return reason instanceof Error ? reason.message.replace(/\.$/, '') : String(reason)
}

/** One line when renewals begin to fail, one when they succeed again. */
function tellOfDoubt(holdfast: Holdfast, lease: Lease, order: Order, voice: Voice): () => void {
  const { name: lock, identity: holder } = lease
  const quoted = JSON.stringify(lock)
  const offJeopardy = holdfast.on('jeopardy', ({ lease: { identity }, remainingMs, error }) => {
    if (identity !== holder) return
    const stopsInMs = Math.max(0, remainingMs - leadMs(order))
    const problem = error.message.replace(/\.$/, '')
    const message =
      `lock ${quoted}: the lease is in jeopardy; unless the engine confirms it, the command is ` +
      `stopped in ${duration(stopsInMs)} (${problem}).`
    voice.say('jeopardy', message, { lock, remainingMs: Math.round(remainingMs) })
  })
  const offSecured = holdfast.on('secured', ({ lease: { identity } }) => {
    if (identity !== holder) return
    voice.say('secured', `lock ${quoted}: the lease is confirmed again.`, { lock })
  })
  return () => {
    offJeopardy()
    offSecured()
  }
}

/**
 * Whether there is a terminal to lose. A command that has one stays in the session and group of
 * holdfast, so that Ctrl-C, Ctrl-Z and reading from it work; any other leads a session of its own.
 */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return true
  } catch {
    return false
  }
}

function launch(
  { command, env, descriptors }: Order,
  leads: boolean,
  failed: () => void,
): ChildProcess {
  const [file = '', ...args] = typeof command === 'string' ? [command] : command
  const shell = typeof command === 'string'
  try {
    return spawn(file, args, { stdio: stdioWith(descriptors), detached: leads, env, shell })
  } catch (error) {
    // Node throws some failures and tells others by an event.
    failed()
    throw notStarted(shell ? '/bin/sh' : file, error as NodeJS.ErrnoException)
  }
}

const PROBLEMS: Readonly<Record<string, string>> = {
  EACCES: 'no permission',
  ENOTDIR: 'a part of its path is not a directory',
  E2BIG: 'its arguments and environment are too long',
  ENOEXEC: 'it is no program',
}

/** What a command that could not be started ends with, as in a shell. */
function notStarted(file: string, { code, message }: NodeJS.ErrnoException): CliError {
  const shown = JSON.stringify(file)
  if (code === 'ENOENT') {
    return new CliError(EXIT.notFound, `${shown} was not found, or its directory is gone.`)
  }
  const problem = PROBLEMS[code ?? ''] ?? message
  return new CliError(EXIT.notExecutable, `${shown} cannot be executed: ${problem}.`)
}

async function endOf(child: ChildProcess): Promise<Ending> {
  return await new Promise((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (child.pid !== undefined) return
      reject(notStarted(child.spawnargs[0] ?? '', error))
    })
    child.once('exit', (code, signal) => {
      resolve({ code: code ?? 128 + constants.signals[signal ?? 'SIGKILL'], lost: false })
    })
  })
}
