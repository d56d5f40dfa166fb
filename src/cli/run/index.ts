import { setTimeout as wait } from 'node:timers/promises'
import type { AcquireOptions, Holdfast, Lease } from '../../index.ts'
import { type Arguments, parse } from '../arguments.ts'
import type { World } from '../commands.ts'
import { asCliError, open, urlOf } from '../engine.ts'
import { CliError, EXIT, usageError } from '../exit.ts'
import { withoutSecrets } from '../secret.ts'
import { RUN } from '../specs/running.ts'
import { duration } from '../text.ts'
import { tellWarnings } from '../warnings.ts'
import { inherited } from './descriptors.ts'
import { environmentFor } from './environment.ts'
import { type Ending, runGuarded } from './guard.ts'
import { Signals } from './signals.ts'
import { Voice } from './voice.ts'
import { readConflictCodes, readShare, readWish, type Share, type Wish } from './wish.ts'

/** Runs a command while holding a lock, and resolves to the exit code. */
export async function run(args: readonly string[], world: World): Promise<number> {
  const parsed = parse(RUN, args)
  const url = urlOf(parsed, world.env)
  const wish = readWish(RUN, parsed)
  const share = readShare(parsed)
  const codes = readConflictCodes(parsed)
  const nonblock = parsed.options['nonblock'] === true
  if (nonblock && wish.timeoutMs !== undefined) {
    throw usageError('--nonblock and --wait exclude each other.')
  }
  const timeoutMs = nonblock ? 0 : wish.timeoutMs
  const refusedCode = nonblock ? codes.conflict : codes.timeout
  return await withVoice(parsed, url, async (means) => {
    const lease = await granted(means, { ...wish, timeoutMs, refusedCode }, (holdfast, options) => {
      return ask(holdfast, wish.name, share, options)
    })
    if (lease === undefined) return refusedCode
    return (await underLease(lease, wish, { ...means, env: world.env })).code
  })
}

async function ask(
  holdfast: Holdfast,
  name: string,
  share: Share,
  options: AcquireOptions,
): Promise<Lease> {
  switch (share.kind) {
    case 'mutex':
      return await holdfast.mutex(name).acquire(options)
    case 'read':
      return await holdfast.readWriteLock(name).read.acquire(options)
    case 'write':
      return await holdfast.readWriteLock(name).write.acquire(options)
    case 'semaphore': {
      const { capacity, permits } = share
      return await holdfast.semaphore(name, { capacity }).acquire({ ...options, permits })
    }
    default:
      return share satisfies never
  }
}

/** What a command that runs under a lease has at hand. */
export interface Means {
  readonly holdfast: Holdfast
  readonly signals: Signals
  readonly voice: Voice
  readonly url: string | undefined
  readonly quiet: boolean
  readonly descriptors: readonly number[]
}

/** How long a run that lost its lease waits for connections to close. */
const LOST_CLOSE_MS = 500

/** Opens the engine, and puts every failure into words and an exit code. */
export async function withVoice(
  args: Arguments,
  url: string | undefined,
  work: (means: Means) => Promise<number>,
): Promise<number> {
  const descriptors = inherited()
  const { json, verbose, quiet } = args.options
  const clean = (text: string): string => withoutSecrets(text, url ?? '')
  const voice = new Voice({ json: json === true, verbose: verbose === true, clean })
  const signals = new Signals()
  tellWarnings((message) => voice.say('warning', `warning: ${message}`))
  let holdfast: Holdfast | undefined
  try {
    holdfast = await open(url)
    const code = await work({
      holdfast,
      signals,
      voice,
      url,
      descriptors,
      quiet: quiet === true,
    })
    const closed = holdfast.close()
    if (code !== EXIT.lost) await closed
    else {
      // Connections to an engine that is away must not keep the exit code back.
      await Promise.race([closed, wait(LOST_CLOSE_MS)])
      setTimeout(() => process.exit(code), LOST_CLOSE_MS).unref()
    }
    return code
  } catch (error) {
    await holdfast?.close()
    // A signal that ended the wait says enough by itself.
    if (signals.exitCode !== undefined) return signals.exitCode
    const known = asCliError(error, url)
    if (!(known instanceof CliError)) throw known
    voice.say('error', known.message, { exitCode: known.exitCode })
    return known.exitCode
  } finally {
    signals.close()
  }
}

/**
 * Where an engine frees the lock as soon as it notices the death of holdfast, the guardian must
 * first get the time to stop the command: its grace, and a second to start.
 */
function delayOf({ engine }: Holdfast, { lockDelayMs, graceMs }: Wish): number {
  return engine.name === 'sqlite' ? Math.max(lockDelayMs, graceMs + 1000) : lockDelayMs
}

/** Acquires with the words that go with it; `undefined` when the lock was not granted in time. */
export async function granted<L>(
  { holdfast, signals, voice, quiet }: Means,
  wish: Wish & { readonly refusedCode: number },
  acquire: (holdfast: Holdfast, options: AcquireOptions) => Promise<L>,
): Promise<L | undefined> {
  const { name, timeoutMs, ttlMs, minHoldMs, label, refusedCode } = wish
  const lockDelayMs = delayOf(holdfast, wish)
  const quoted = JSON.stringify(name)
  const off = holdfast.on('waiting', ({ ahead, occupant }) => {
    const { ours = true, about } = occupant ?? {}
    const who = ours ? readHolder(about) : ' held by another program,'
    voice.whisper('waiting', `lock ${quoted}:${who} ${ahead} ahead in the line; waiting.`, {
      lock: name,
      ahead,
    })
  })
  const since = performance.now()
  try {
    const lease = await acquire(holdfast, {
      signal: signals.waiting,
      ttlMs,
      lockDelayMs,
      minHoldMs,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(label === undefined ? {} : { label }),
    })
    const waitedMs = Math.round(performance.now() - since)
    voice.whisper('granted', `lock ${quoted}: granted after ${duration(waitedMs)}.`, {
      lock: name,
      waitedMs,
    })
    return lease
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'HOLDFAST_ACQUIRE_TIMEOUT') throw error
    const { message } = error as Error
    const told = message.replace(/\. [^.]*\.$/, '.')
    const fields = { lock: name, exitCode: refusedCode }
    if (!quiet) voice.say('refused', told.replace(/^Lock/, 'lock'), fields)
    return undefined
  } finally {
    off()
  }
}

function readHolder(about: string | undefined): string {
  if (about === undefined) return ''
  try {
    const { host, pid } = JSON.parse(about) as { host?: string; pid?: number }
    return pid === undefined ? '' : ` held by process ${pid} on ${host},`
  } catch {
    return ''
  }
}

/** How a turn under a lease ended. */
export interface Turn {
  /** The exit code of holdfast. */
  readonly code: number
  readonly lost: boolean
}

/** Runs the command of a wish under its lease, releases, and tells how it ended. */
export async function underLease(
  lease: Lease,
  wish: Wish,
  means: Means & { readonly env: NodeJS.ProcessEnv },
): Promise<Turn> {
  const { holdfast, voice, signals } = means
  const { name, identity: holder, fence } = lease
  const told = { lock: name, holder, fence, engine: holdfast.engine.name, url: means.url }
  // A signal that came with the grant: the command is not even started.
  if (signals.exitCode !== undefined) {
    await lease.release().catch(() => false)
    return { code: signals.exitCode, lost: false }
  }
  const { descriptors } = means
  const order = { ...wish, descriptors, env: environmentFor(means.env, told) }
  let ending: Ending
  try {
    ending = await runGuarded(lease, order, means)
  } catch (error) {
    await lease.release().catch(() => false)
    throw error
  }
  const kept = await giveBack(lease, voice)
  voice.whisper('ended', `lock ${JSON.stringify(name)}: the command ended with ${ending.code}.`, {
    lock: name,
    code: ending.code,
  })
  if (ending.lost) return { code: EXIT.lost, lost: true }
  if (!kept && ending.code === 0) {
    const quoted = JSON.stringify(name)
    voice.say('lost', `lock ${quoted}: the lease was lost while the command ran.`, { lock: name })
    return { code: EXIT.lost, lost: true }
  }
  if (signals.interruptedByTerminal && ending.code === EXIT.signal + 2) await dieOf(means)
  return { code: ending.code, lost: false }
}

/** Whether the lease was still this process's when it was released. */
async function giveBack(lease: Lease, voice: Voice): Promise<boolean> {
  try {
    return await lease.release()
  } catch (error) {
    const problem = (error as Error).message
    const message = `the lock could not be released; it ends by itself (${problem})`
    voice.say('unreleased', message, { lock: lease.name })
    return true
  }
}

/**
 * Dies of SIGINT as the command did: a shell that runs a script of such commands ends the script
 * only when it sees that.
 */
async function dieOf({ holdfast, signals, voice }: Means): Promise<void> {
  await holdfast.close()
  await voice.told
  signals.close()
  process.kill(process.pid, 'SIGINT')
}
