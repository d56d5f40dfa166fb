import { onAbort } from './abort.ts'
import { sleep } from './clock.ts'
import type { Core } from './core.ts'
import type { Leader } from './election.ts'
import { EngineError } from './errors.ts'

/** What is observed, and how. */
interface Observed {
  readonly name: string
  readonly look: () => Promise<{ readonly leader: Leader | null; readonly leftMs: number }>
  readonly intervalMs: number
  readonly signal: AbortSignal | undefined
}

/** A leader whose lease is short does not make observers busy. */
const LEAST_PAUSE_MS = 20

/** What the leases of this Holdfast tell of the election. */
const HINTS = ['granted', 'released', 'lost'] as const

/** An iterator of leaders. Nothing happens before the first `next`, and `return` ends a wait. */
export function observe(core: Core, observed: Observed): AsyncIterableIterator<Leader | null> {
  const end = new AbortController()
  const leaders = looks(core, observed, end)
  return {
    next: () => leaders.next(),
    return: () => {
      end.abort()
      return leaders.return(undefined)
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}

async function* looks(
  core: Core,
  { name, look, intervalMs, signal }: Observed,
  end: AbortController,
): AsyncGenerator<Leader | null, undefined, undefined> {
  const { clock, events } = core
  let lookAt = clock.now()
  let wake = new AbortController()
  const lookNow = () => {
    lookAt = clock.now()
    wake.abort()
  }
  const stop = () => end.abort()
  const listening = [signal, core.closing].flatMap((each) => (each ? [onAbort(each, stop)] : []))
  listening.push(onAbort(end.signal, lookNow))
  for (const hint of HINTS) {
    listening.push(events.on(hint, ({ lease }) => (lease.name === name ? lookNow() : undefined)))
  }
  if (signal?.aborted || core.closed) stop()
  let last: Leader | null | undefined
  let failing = false
  try {
    while (!end.signal.aborted) {
      wake = new AbortController()
      const pauseMs = lookAt - clock.now()
      if (pauseMs > 0) await sleep(clock, pauseMs, wake.signal).catch(() => undefined)
      if (end.signal.aborted) return undefined
      lookAt = clock.now() + intervalMs
      try {
        const seen = await unless(end.signal, look())
        if (seen === undefined) return undefined
        const { leader, leftMs } = seen
        failing = false
        lookAt = Math.min(lookAt, clock.now() + Math.max(LEAST_PAUSE_MS, leftMs + 1))
        if (last !== undefined && leader?.identity === last?.identity) continue
        last = leader
        yield leader
      } catch (error) {
        // A failure that comes together with the end is nobody's any more.
        if (end.signal.aborted) return undefined
        if (!(error instanceof EngineError && error.transient)) throw error
        if (!failing) events.emit('error', { name, error })
        failing = true
      }
    }
    return undefined
  } finally {
    for (const each of listening) each()
  }
}

/** What `work` resolves to, or `undefined` as soon as the signal aborts. */
function unless<T>(signal: AbortSignal, work: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const stop = onAbort(signal, () => resolve(undefined))
    void work.then(resolve, reject).finally(stop)
  })
}
