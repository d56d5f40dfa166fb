import { constants } from 'node:os'
import { Reader } from '../reader.ts'
import { machineMs } from './clock.ts'

/** A terminal signals a whole group, and npm passes it on again: that is one interruption. */
const SAME_MS = 500

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Hears what should end the demo early: a signal, or nobody reading its output any more. */
export class Interruption {
  readonly #stop = new AbortController()
  readonly #reader: Reader
  #number: number | undefined
  #atMs = 0

  constructor(stdout: NodeJS.WriteStream) {
    for (const signal of SIGNALS) process.on(signal, this.#onSignal)
    this.#reader = new Reader(stdout)
    this.#reader.gone.addEventListener('abort', this.#onGone)
  }

  /** Aborts at the first interruption. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** 128 and the number of the signal, as shells report it; `undefined` without an interruption. */
  get exitCode(): number | undefined {
    return this.#number === undefined ? undefined : 128 + this.#number
  }

  end(): void {
    for (const signal of SIGNALS) process.off(signal, this.#onSignal)
    this.#reader.close()
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    const isAgain = this.#number !== undefined && machineMs() - this.#atMs > SAME_MS
    // Whoever asks twice does not want to wait; the processes end with this one.
    if (isAgain && signal !== 'SIGHUP') process.exit(this.exitCode)
    this.#interrupt(constants.signals[signal])
  }

  readonly #onGone = (): void => {
    this.#interrupt(constants.signals.SIGPIPE)
  }

  #interrupt(number: number): void {
    if (this.#number !== undefined) return
    this.#number = number
    this.#atMs = machineMs()
    this.#stop.abort(new Error('The demo was interrupted.'))
  }
}
