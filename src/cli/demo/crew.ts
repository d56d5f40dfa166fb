import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { machineMs } from './clock.ts'
import type { Order, Part, Told } from './protocol.ts'

/** How a process ended. */
export interface Ending {
  readonly atMs: number
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** The last that it wrote to stderr. */
  readonly lastWords: string
}

export interface CrewListener {
  told(index: number, told: Told): void
  /** Called once per process, after all that it told. */
  gone(index: number, ending: Ending): void
}

/** So many start at once: on few processors, more would only wait for each other. */
const STARTING_AT_ONCE = 6

const STDERR_KEPT = 2000

/** The processes of the demo. Whatever happens, they end before or with this one. */
export class Crew {
  readonly #workerFile: string
  readonly #listener: CrewListener
  readonly #children: ChildProcess[] = []
  readonly #ends: Promise<void>[] = []
  readonly #onExit = (): void => this.#killAll()

  constructor(workerFile: string, listener: CrewListener) {
    this.#workerFile = workerFile
    this.#listener = listener
    process.on('exit', this.#onExit)
  }

  /** Starts one process per part; resolves when each is ready, has failed, or `stop` aborted. */
  async assemble(parts: readonly Part[], stop: AbortSignal): Promise<void> {
    const waiting = [...parts]
    const starter = async (): Promise<void> => {
      for (let part = waiting.shift(); part && !stop.aborted; part = waiting.shift()) {
        await this.#start(part)
      }
    }
    await Promise.all(Array.from({ length: STARTING_AT_ONCE }, starter))
  }

  pid(index: number): number {
    return this.#children[index]?.pid ?? 0
  }

  order(index: number, order: Order): void {
    const child = this.#children[index]
    // One that just died is told about as gone, not here.
    if (child?.connected) child.send(order, () => {})
  }

  orderAll(order: Order): void {
    for (const index of this.#children.keys()) this.order(index, order)
  }

  kill(index: number): void {
    this.#children[index]?.kill('SIGKILL')
  }

  /** Resolves when no process is left. */
  async ended(): Promise<void> {
    await Promise.all(this.#ends)
  }

  /** Lets everybody release and leave, and kills who has not left after `graceMs`. */
  async dismiss(graceMs: number): Promise<void> {
    this.orderAll({ order: 'stop' })
    const timer = setTimeout(() => this.#killAll(), graceMs)
    await this.ended()
    clearTimeout(timer)
    process.off('exit', this.#onExit)
  }

  async #start(part: Part): Promise<void> {
    const index = this.#children.length
    const child = fork(this.#workerFile, [], {
      // Not with --inspect, whose port only one process can have.
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.#children.push(child)
    let lastWords = ''
    child.stderr?.on('data', (text: Buffer) => {
      lastWords = (lastWords + text.toString()).slice(-STDERR_KEPT)
    })
    const settled = new Promise<void>((resolve) => {
      child.on('message', (told: Told) => {
        if (told.type === 'ready' || told.type === 'fails') resolve()
        this.#listener.told(index, told)
      })
      this.#ends.push(
        endOf(child).then((ending) => {
          this.#listener.gone(index, { ...ending, lastWords })
          resolve()
        }),
      )
    })
    child.on('error', () => {})
    this.order(index, { order: 'prepare', part })
    await settled
  }

  #killAll(): void {
    for (const child of this.#children) child.kill('SIGKILL')
  }
}

/** Resolves when the process is gone and all its messages are read. */
async function endOf(child: ChildProcess): Promise<Omit<Ending, 'lastWords'>> {
  if (child.pid === undefined) return { atMs: machineMs(), code: null, signal: null }
  const closed = once(child, 'close')
  const disconnected = child.connected ? once(child, 'disconnect') : undefined
  const ending = await new Promise<Omit<Ending, 'lastWords'>>((resolve) => {
    child.once('exit', (code, signal) => resolve({ atMs: machineMs(), code, signal }))
  })
  await Promise.all([closed, disconnected])
  return ending
}
