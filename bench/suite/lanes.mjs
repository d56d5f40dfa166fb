import { setTimeout as pause } from 'node:timers/promises'
import { Gate } from './overlap.mjs'

/** The monotonic clock of this machine, which all processes share. */
export const instant = () => Number(process.hrtime.bigint())

/**
 * Every so many turns the lock is kept for one turn of the event loop, in which a second holder
 * would be seen: most turns are too short for that.
 */
const KEPT_EVERY = 16

let count = 0

/** Takes and leaves the lock once, and notes when, and under which fence. */
export async function turn(lock, turns) {
  const grant = await lock.acquire()
  const from = instant()
  await stay()
  turns.push(from, instant(), grant?.fence ?? Number.NaN)
  await lock.release(grant)
}

/** Takes and leaves free locks in turn, several at once. */
export class FreeLocks {
  #locks
  #next = 0
  #gate = new Gate()

  constructor(locks, lanes) {
    this.#locks = locks
    this.lanes = lanes
  }

  async take(forMs) {
    const from = instant()
    const end = from + forMs * 1e6
    let pairs = 0
    const lane = async () => {
      for (; instant() < end; pairs++) await this.#pair()
    }
    await Promise.all(Array.from({ length: this.lanes }, lane))
    return { pairs, ms: (instant() - from) / 1e6, overlaps: this.#gate.overlaps }
  }

  async #pair() {
    const at = this.#next
    // In turn, so that no two lanes have the same at once: the raw pair cannot wait.
    this.#next = (at + 1) % this.#locks.length
    const lock = this.#locks[at]
    const grant = await lock.acquire()
    this.#gate.enter(at, grant?.fence)
    this.#gate.leave(at)
    await lock.release(grant)
  }
}

function stay() {
  count = (count + 1) % KEPT_EVERY
  if (count === 0) return new Promise((resolve) => setImmediate(resolve))
}

/** A line that never gets shorter, while it is measured. */
export class StandingLine {
  #lock
  #turns = []
  #lanes = []
  #left = 0
  #last = () => {}
  #hold = async () => {}
  #over = false

  constructor(lock) {
    this.#lock = lock
  }

  async form(lanes) {
    const first = await this.#lock.acquire()
    this.#hold = () => this.#lock.release(first)
    for (let lane = 0; lane < lanes; lane++) {
      // Not all in one breath: what is measured is the line, not how it comes about.
      if (lane % 250 === 249) await pause(10)
      this.#lanes.push(this.#lane())
    }
  }

  async #lane() {
    do {
      const grant = await this.#lock.acquire()
      const from = instant()
      this.#left -= 1
      if (this.#left === 0) {
        const goOn = new Promise((resolve) => {
          this.#hold = async () => resolve()
        })
        this.#last()
        await goOn
      }
      await stay()
      this.#turns.push(from, instant(), grant?.fence ?? Number.NaN)
      await this.#lock.release(grant)
    } while (!this.#over)
  }

  async move(grants, capMs) {
    this.#left = grants
    this.#turns = []
    const startAt = instant()
    const reached = new Promise((resolve) => {
      this.#last = resolve
    })
    const go = this.#hold
    this.#hold = async () => {}
    let timer
    const capped = new Promise((resolve) => {
      timer = setTimeout(resolve, capMs)
    })
    await Promise.all([go(), Promise.race([reached, capped])])
    clearTimeout(timer)
    const ms = (instant() - startAt) / 1e6
    return { ms, grants: grants - this.#left, turns: Float64Array.from(this.#turns), cpuUs: 0 }
  }

  async scatter() {
    this.#over = true
    await this.#hold()
    await Promise.all(this.#lanes)
  }
}
