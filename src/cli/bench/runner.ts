import { open } from '../engine.ts'
import { CommandCounter } from './commands-sent.ts'

/* One of the two processes that hand a lock over: measures from the other's release to its grant. */

interface Order {
  readonly name: string
  readonly url?: string
  readonly lastMs: number
}

/** One grant: when it was there, and when it began to be given back. */
export interface Turn {
  readonly fence: number
  readonly grantedMs: number
  readonly releasedMs: number
}

// A bench that is gone wants no more.
process.once('disconnect', () => process.exit(1))
process.once('message', (order: Order) => {
  play(order).then(
    (told) => process.send?.(told),
    (error: unknown) => process.send?.({ turns: [], sent: 0, counts: false, error: String(error) }),
  )
})

async function play({ name, url, lastMs }: Order): Promise<object> {
  const counter = await CommandCounter.start(url)
  const holdfast = await open(url)
  const turns: Turn[] = []
  try {
    const lock = holdfast.mutex(name)
    for (const end = machineMs() + lastMs; machineMs() < end; ) {
      const lease = await lock.acquire()
      const grantedMs = machineMs()
      turns.push({ fence: lease.fence, grantedMs, releasedMs: machineMs() })
      await lease.release()
    }
  } finally {
    await holdfast.close()
  }
  return { turns, sent: counter.sent, counts: counter.counts }
}

/** The machine's monotonic clock, which both processes share. */
function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
