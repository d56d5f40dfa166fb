import { readFileSync } from 'node:fs'
import { constants } from 'node:os'

/** What is handed on to the command. */
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const

/** What a terminal sends to everybody in front of it, the command included. */
const FROM_TERMINAL: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT', 'SIGHUP'])

/** Signals to holdfast: they end a wait, and go on to the command once it runs. */
export class Signals {
  readonly #controller = new AbortController()
  readonly #handlers = FORWARDED.map((signal) => {
    const handler = (): void => this.#receive(signal)
    process.on(signal, handler)
    return { signal, handler }
  })
  #forward: ((signal: NodeJS.Signals) => void) | undefined
  /** The first that ends a wait. */
  #first: NodeJS.Signals | undefined
  #interruptedByTerminal = false

  /** Aborts at a signal that came before the command was there to take it. */
  get waiting(): AbortSignal {
    return this.#controller.signal
  }

  /** The exit code that the signal of an ended wait asks for. */
  get exitCode(): number | undefined {
    return this.#first === undefined ? undefined : 128 + constants.signals[this.#first]
  }

  /** From now on signals go to the command. */
  forwardTo(forward: (signal: NodeJS.Signals) => void): void {
    this.#forward = forward
  }

  /** From now on signals end a wait again. */
  hold(): void {
    this.#forward = undefined
  }

  /** Whether Ctrl-C in the terminal reached holdfast and its command together. */
  get interruptedByTerminal(): boolean {
    return this.#interruptedByTerminal
  }

  close(): void {
    for (const { signal, handler } of this.#handlers) process.off(signal, handler)
  }

  #receive(signal: NodeJS.Signals): void {
    if (this.#forward !== undefined) {
      // The terminal has told the command already; a second Ctrl-C often means something else.
      if (FROM_TERMINAL.has(signal) && isInFront()) {
        this.#interruptedByTerminal ||= signal === 'SIGINT'
        return
      }
      this.#forward(signal)
      return
    }
    if (signal === 'SIGUSR1' || signal === 'SIGUSR2') return
    this.#first ??= signal
    this.#controller.abort(new Error(`ended by ${signal}`))
  }
}

/** Whether this process is in the foreground of a terminal. Where unknown: as the output is. */
export function isInFront(): boolean {
  if (process.platform !== 'linux') return process.stdin.isTTY === true
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1')
    const [, , group, , , front] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return group !== undefined && group === front
  } catch {
    return false
  }
}
