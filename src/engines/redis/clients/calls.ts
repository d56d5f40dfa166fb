import { Chain, type Chained } from '../../../core/chain.ts'
import type { Clock, Timer } from '../../../core/clock.ts'
import type { RedisFailure, Reply } from '../port.ts'

export interface CallOptions {
  readonly timeoutMs: number
  readonly asking?: boolean
}

/** A command somebody waits for. */
export class Call implements Chained<Call> {
  readonly name: string
  readonly args: readonly (string | number)[]
  /** The server said that another one is about to serve the key: that one must be told so. */
  readonly asking: boolean
  readonly timeoutMs: number
  readonly resolve: (reply: Reply) => void
  readonly reject: (failure: RedisFailure) => void
  /** Replies the connection had received when the command was written; -1 while it was not. */
  repliesBefore = -1
  dueAt = 0
  /** The lane it stands in; `undefined` once it is settled. */
  lane: Lane | undefined
  chain: object | undefined
  previous: Call | undefined
  next: Call | undefined

  constructor(
    name: string,
    args: readonly (string | number)[],
    options: CallOptions,
    resolve: (reply: Reply) => void,
    reject: (failure: RedisFailure) => void,
  ) {
    this.name = name
    this.args = args
    this.asking = options.asking ?? false
    this.timeoutMs = options.timeoutMs
    this.resolve = resolve
    this.reject = reject
  }
}

/**
 * A timer for a time limit on an answer. After a stall of the event loop a timer fires before the
 * answers that came meanwhile were read, so the action waits until they were.
 */
export function limit(clock: Clock, action: () => void, ms: number): Timer {
  let cancelled = false
  const timer = clock.setTimer(() => {
    setImmediate(() => {
      if (!cancelled) action()
    })
  }, ms)
  return {
    cancel() {
      cancelled = true
      timer.cancel()
    },
  }
}

/** Calls with one time limit, hence in the order in which they fall due: one timer serves all. */
class Lane {
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #expire: (call: Call) => void
  readonly #done: (timeoutMs: number) => void
  readonly #calls = new Chain<Call>()
  #timer: Timer | undefined

  constructor(
    clock: Clock,
    timeoutMs: number,
    expire: (call: Call) => void,
    done: (timeoutMs: number) => void,
  ) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
    this.#expire = expire
    this.#done = done
  }

  add(call: Call): void {
    call.lane = this
    call.dueAt = this.#clock.now() + this.#timeoutMs
    this.#calls.add(call)
    this.#timer ??= limit(this.#clock, this.#sweep, this.#timeoutMs)
  }

  remove(call: Call): void {
    this.#calls.delete(call)
    call.lane = undefined
  }

  removeAll(): Call[] {
    const all = this.#calls.toArray()
    for (const call of all) this.remove(call)
    return all
  }

  close(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  readonly #sweep = (): void => {
    this.#timer = undefined
    const now = this.#clock.now()
    for (let call = this.#calls.first; call && call.dueAt <= now; call = this.#calls.first) {
      this.remove(call)
      this.#expire(call)
    }
    // What an expired call set off may have added calls and with them a timer.
    if (this.#timer) return
    const { first } = this.#calls
    if (first) this.#timer = limit(this.#clock, this.#sweep, first.dueAt - now)
    else this.#done(this.#timeoutMs)
  }
}

/**
 * All calls that are not settled, with a time limit on each. Commands come by the ten thousand a
 * second and mostly with the same limit, so a call costs two links in a list and no timer.
 */
export class Calls {
  readonly #clock: Clock
  readonly #expire: (call: Call) => void
  readonly #lanes = new Map<number, Lane>()

  /** `expire` gets each call whose time is over, already taken out. */
  constructor(clock: Clock, expire: (call: Call) => void) {
    this.#clock = clock
    this.#expire = expire
  }

  add(call: Call): void {
    let lane = this.#lanes.get(call.timeoutMs)
    if (!lane) {
      lane = new Lane(this.#clock, call.timeoutMs, this.#expire, this.#laneDone)
      this.#lanes.set(call.timeoutMs, lane)
    }
    lane.add(call)
  }

  /** Says whether the call was still open, and takes it out. */
  take(call: Call): boolean {
    if (!call.lane) return false
    call.lane.remove(call)
    return true
  }

  /** Takes out every open call. */
  takeAll(): Call[] {
    return [...this.#lanes.values()].flatMap((lane) => lane.removeAll())
  }

  close(): void {
    for (const lane of this.#lanes.values()) lane.close()
    this.#lanes.clear()
  }

  readonly #laneDone = (timeoutMs: number): void => {
    this.#lanes.delete(timeoutMs)
  }
}
