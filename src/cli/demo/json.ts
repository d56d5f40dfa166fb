import { jsonLine } from '../text.ts'
import type { DemoEvent } from './journal.ts'
import type { Setting, Summary } from './outcome.ts'
import type { Teller } from './teller.ts'

/** Tells each event as one line of JSON. */
export class JsonTeller implements Teller {
  readonly #write: (text: string) => void

  constructor(write: (text: string) => void) {
    this.#write = write
  }

  server(): void {}

  begin({ scene, lock, names, taskMs, ttlMs, engine, server }: Setting): void {
    const processes = names.length
    this.#line({ type: 'start', atMs: 0, scene, lock, processes, taskMs, ttlMs, engine, server })
  }

  tell(event: DemoEvent): void {
    if (event.type !== 'executes') this.#line(event)
    // The first of many: how far the task is, is for people.
    else if (event.share === 0) this.#line({ ...event, share: undefined })
  }

  draw(): void {}

  end(summary: Summary): void {
    this.#line(summary)
  }

  close(): void {}

  #line(value: object): void {
    this.#write(`${jsonLine(value, rounded)}\n`)
  }
}

/** Times are measured in nanoseconds; thousandths of a millisecond are enough to read. */
function rounded(_key: string, value: unknown): unknown {
  if (typeof value !== 'number' || Number.isInteger(value)) return value
  return Math.round(value * 1000) / 1000
}
