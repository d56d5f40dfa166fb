import type { Socket } from 'node:net'

export interface Pace {
  delayMs: number
  bytesPerSecond: number
}

interface Parcel {
  bytes: Buffer
  dueMs: number
}

/**
 * One direction of a proxied connection. Bytes leave in the order they came, never before they are
 * due, and not at all while the lane is held; like a network, it keeps what it holds.
 */
export class Lane {
  readonly #target: Socket
  #queue: Parcel[] = []
  #timer: NodeJS.Timeout | undefined
  #lastDueMs = 0
  #held = false
  #ending = false

  constructor(target: Socket) {
    this.#target = target
  }

  get held(): boolean {
    return this.#held
  }

  send(bytes: Buffer, { delayMs, bytesPerSecond }: Pace): void {
    const sendingMs = (bytes.length / bytesPerSecond) * 1000
    const earliestMs = Math.max(this.#lastDueMs, performance.now()) + sendingMs
    this.#lastDueMs = Math.max(earliestMs, performance.now() + delayMs)
    this.#queue.push({ bytes, dueMs: this.#lastDueMs })
    this.#flush()
  }

  hold(): void {
    this.#held = true
  }

  /** Sends what was held, late as it is. */
  letGo(): void {
    this.#held = false
    this.#flush()
  }

  /** Says that nothing more will come, once everything under way has arrived. */
  end(): void {
    this.#ending = true
    this.#flush()
  }

  /** Like `end`, and then takes nothing more from the target either. */
  close(): void {
    if (this.#target.writableFinished) this.#target.destroy()
    else this.#target.once('finish', () => this.#target.destroy())
    this.end()
  }

  /** Throws away what is under way. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#queue = []
    this.#target.destroy()
  }

  #flush(): void {
    clearTimeout(this.#timer)
    if (this.#held) return
    for (;;) {
      const first = this.#queue[0]
      if (!first) break
      const leftMs = first.dueMs - performance.now()
      if (leftMs > 0) {
        this.#timer = setTimeout(() => this.#flush(), Math.ceil(leftMs))
        return
      }
      this.#queue.shift()
      // To write after the end would close the other direction too.
      if (this.#target.writable) this.#target.write(first.bytes)
    }
    if (this.#ending) this.#target.end()
  }
}
