import { setTimeout as sleep } from 'node:timers/promises'
import type { Holdfast, Lease } from '../../index.ts'
import { machineMs } from './clock.ts'
import type { Part, Told } from './protocol.ts'

/** What a performer has around it. */
export interface Stage {
  tell(told: Told): void
  /** Resolves when the demo gives the answer that is waited for. */
  answer(): Promise<void>
  /** Aborts when the demo is stopped. */
  readonly stop: AbortSignal
}

const TICK_MS = 60

/** Plays one part: acquire the lock, execute the task, release. Never rejects. */
export async function perform(holdfast: Holdfast, part: Part, stage: Stage): Promise<void> {
  const unlisten = holdfast.on('waiting', ({ ahead, occupant }) => {
    stage.tell({ type: 'waits', atMs: machineMs(), ahead, holder: occupant?.identity })
  })
  try {
    stage.tell({ type: 'tries', atMs: machineMs() })
    const lease = await take(holdfast, part, stage)
    if (lease !== null) await hold(lease, part, stage)
  } catch (error) {
    if (!stage.stop.aborted) stage.tell(failure(error))
  } finally {
    unlisten()
  }
}

async function take(holdfast: Holdfast, part: Part, stage: Stage): Promise<Lease | null> {
  const mutex = holdfast.mutex(part.lock, { ttlMs: part.ttlMs, label: part.name })
  if (part.scene !== 'try') {
    return await mutex.acquire({ timeoutMs: part.patienceMs, signal: stage.stop })
  }
  const lease = await mutex.tryAcquire()
  if (lease === null) {
    const seen = await holdfast.inspect(part.lock)
    stage.tell({ type: 'refused', atMs: machineMs(), holder: seen?.holders[0]?.identity })
  }
  return lease
}

async function hold(lease: Lease, part: Part, stage: Stage): Promise<void> {
  stage.tell({
    type: 'acquires',
    atMs: machineMs(),
    value: lease.identity,
    fence: lease.fence,
  })
  try {
    await execute(lease, part, stage)
    stage.tell({ type: 'completes', atMs: machineMs() })
  } catch (error) {
    const atMs = machineMs()
    if (!lease.held) {
      stage.tell({ type: 'loses', atMs, message: messageOf(lease.signal.reason) })
      await lease.release()
      return
    }
    if (!stage.stop.aborted) stage.tell(failure(error))
  }
  stage.tell({ type: 'releases', atMs: machineMs() })
  const confirmed = await lease.release()
  stage.tell({ type: 'released', atMs: machineMs(), confirmed })
}

async function execute(lease: Lease, part: Part, stage: Stage): Promise<void> {
  const ends = AbortSignal.any([lease.signal, stage.stop])
  const startedAt = machineMs()
  let hasWritten = false
  let goneMs = 0
  for (;;) {
    const share = Math.min(1, goneMs / part.taskMs)
    stage.tell({ type: 'executes', atMs: machineMs(), share })
    if (part.scene === 'crash' && !hasWritten && share >= 0.5) {
      hasWritten = true
      stage.tell({ type: 'writes', atMs: machineMs(), fence: lease.fence })
      await unless(ends, stage.answer())
    }
    if (share === 1) break
    await sleep(Math.min(TICK_MS, part.taskMs - goneMs), undefined, { signal: ends })
    goneMs = machineMs() - startedAt
  }
  if (part.scene === 'try') await unless(ends, stage.answer())
}

/** Waits for `answer`, or rejects when `signal` aborts first. */
async function unless(signal: AbortSignal, answer: Promise<void>): Promise<void> {
  signal.throwIfAborted()
  let abort = (): void => {}
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => reject(signal.reason as Error)
    signal.addEventListener('abort', abort, { once: true })
  })
  try {
    await Promise.race([answer, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

function failure(error: unknown): Told {
  return { type: 'fails', atMs: machineMs(), message: messageOf(error) }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
