import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import type { Decoy } from './decoy.ts'

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
  #decoy: Decoy | undefined
  #settled: Promise<unknown> = Promise.resolve()
  #stopping = false
  /** The first that asked for the end of holdfast while a command ran. */
  #asked: NodeJS.Signals | undefined
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

  /** The same, also of one that came while a command ran whose lease was lost. */
  get endCode(): number | undefined {
    const signal = this.#first ?? this.#asked
    return signal === undefined ? undefined : 128 + constants.signals[signal]
  }

  /** From now on signals go to the command; with a decoy, those that it did not get already. */
  forwardTo(forward: (signal: NodeJS.Signals) => void, decoy?: Decoy): void {
    this.#forward = forward
    this.#decoy = decoy
    this.#stopping = false
  }

  /** The command is being stopped: whoever sends a signal now means holdfast. */
  stopping(): void {
    this.#stopping = true
  }

  /** From now on signals end a wait again. Resolves when it is known where the last came from. */
  async hold(): Promise<void> {
    this.#forward = undefined
    await this.#settled
    this.#decoy?.close()
    this.#decoy = undefined
  }

  /** Whether Ctrl-C in the terminal reached holdfast and its command together. */
  get interruptedByTerminal(): boolean {
    return this.#interruptedByTerminal
  }

  close(): void {
    for (const { signal, handler } of this.#handlers) process.off(signal, handler)
  }

  #receive(signal: NodeJS.Signals): void {
    const isUser = signal === 'SIGUSR1' || signal === 'SIGUSR2'
    const forward = this.#forward
    if (forward !== undefined) {
      // A command may take the others for anything, as for reading its settings again.
      if (!isUser && (this.#stopping || signal === 'SIGTERM')) this.#asked ??= signal
      if (this.#decoy === undefined) forward(signal)
      else this.#settled = this.#sift(signal, forward, this.#decoy)
      return
    }
    if (isUser) return
    this.#first ??= signal
    this.#controller.abort(new Error(`ended by ${signal}`))
  }

  /** Whole groups are signalled by terminals and shells: a second Ctrl-C means something else. */
  async #sift(
    signal: NodeJS.Signals,
    forward: (signal: NodeJS.Signals) => void,
    decoy: Decoy,
  ): Promise<void> {
    const before = this.#settled
    const struck = await decoy.struckBy(signal)
    await before
    if (!(struck ?? (FROM_TERMINAL.has(signal) && isInFront()))) forward(signal)
    else this.#interruptedByTerminal ||= signal === 'SIGINT' && isInFront()
  }
}

/** Whether this process is in the foreground of a terminal. Where unknown: as the output is. */
function isInFront(): boolean {
  if (process.platform !== 'linux') return process.stdin.isTTY === true
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1')
    const [, , group, , , front] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return group !== undefined && group === front
  } catch {
    return false
  }
}
