import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { reaper } from '../support/reaper.ts'
import { until } from '../support/until.ts'
import type { End } from './judge.ts'
import { type Entry, type Journal, readEntries, readJournal } from './records.ts'

const script = fileURLToPath(new URL('worker.mjs', import.meta.url))

/** What a worker does. */
export interface Work {
  readonly kind: 'mutex' | 'semaphore'
  readonly capacity: number
  /** How many turns one process has at once. */
  readonly loops: number
  readonly holdMs: readonly [number, number]
  /** Some turns take longer than a lease lasts. */
  readonly longHoldMs: readonly [number, number]
  readonly longShare: number
  /** Writes without asking whether the lease still stands, as programs do that rely on a lock. */
  readonly careless?: boolean
}

export interface CrewSettings extends Work {
  readonly folder: string
  readonly library: string
  readonly maker: string
  readonly resource: string
  readonly options: object
  readonly client: string
  /** Whether the clocks of workers can be set. */
  readonly shim?: string
}

/** One place for a process. When the process is killed, another takes its place. */
export interface Slot {
  readonly index: number
  readonly lock: string
  readonly url: string
  readonly environment: Readonly<Record<string, string>>
  process?: WorkerProcess
}

/** One process, and where its turn stands, as far as its journal has been read. */
interface WorkerProcess {
  readonly name: string
  readonly child: ChildProcess
  readonly journal: string
  readonly tail: Tail
  readonly exit: Promise<unknown>
}

export const moment = (): number => Number(process.hrtime.bigint()) / 1e6

/** Starts, strikes and ends the processes of one run. */
export class Crew {
  readonly slots: Slot[] = []
  readonly #settings: CrewSettings
  readonly #journals = new Map<string, string>()
  readonly #ends = new Map<string, End>()
  #started = 0
  #stopping = false

  constructor(settings: CrewSettings) {
    this.#settings = settings
  }

  add(lock: string, url: string, environment: Record<string, string> = {}): void {
    const slot: Slot = { index: this.slots.length, lock, url, environment }
    this.slots.push(slot)
    this.#start(slot)
  }

  get ends(): ReadonlyMap<string, End> {
    return this.#ends
  }

  counterOf(lock: string): string {
    return join(this.#settings.folder, `counter-${lock}`)
  }

  /** The slots whose process is in such a turn at this lock now. */
  at(lock: string, stand: 'holds' | 'waits'): Slot[] {
    return this.slots.filter((slot) => {
      if (slot.lock !== lock || slot.process === undefined) return false
      return slot.process.tail.read().some((each) => each === stand)
    })
  }

  /** When somebody last came in at this lock. */
  enteredAt(lock: string): number {
    const of = this.slots.filter((slot) => slot.lock === lock)
    return Math.max(0, ...of.map(({ process }) => process?.tail.enteredAt() ?? 0))
  }

  /** Kills the process of a slot and starts another. */
  async kill(slot: Slot): Promise<void> {
    const { process } = slot
    if (process === undefined) return
    // A process that ended by itself before has crashed, whoever strikes it afterwards.
    if (!this.#ends.has(process.name)) this.#ends.set(process.name, 'killed')
    process.child.kill('SIGKILL')
    await process.exit
    if (!this.#stopping) this.#start(slot)
  }

  signal(slot: Slot, signal: NodeJS.Signals): void {
    slot.process?.child.kill(signal)
  }

  command(slot: Slot, command: string, rest: object = {}): void {
    slot.process?.child.stdin?.write(`${JSON.stringify({ command, ...rest })}\n`)
  }

  /** Lets every turn end and every process close what it has. */
  async drain(patienceMs: number): Promise<void> {
    this.#stopping = true
    const living = this.slots.flatMap(({ process }) => (process ? [process] : []))
    for (const slot of this.slots) {
      this.signal(slot, 'SIGCONT')
      this.command(slot, 'stop')
    }
    const over = wait(patienceMs, 'over', { ref: false })
    for (const each of living) {
      if ((await Promise.race([each.exit, over])) !== 'over') continue
      if (this.#ends.has(each.name)) continue
      this.#ends.set(each.name, 'hung')
      each.child.kill('SIGKILL')
      await each.exit
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(
      this.slots.map(async ({ process }) => {
        if (process === undefined || this.#ends.has(process.name)) return
        process.child.kill('SIGKILL')
        await process.exit
      }),
    )
  }

  journals(): Journal[] {
    return [...this.#journals].map(([name, path]) => readJournal(name, readEntries(path)))
  }

  async ready(timeoutMs = 120_000): Promise<void> {
    await until(() => this.slots.every(({ process }) => process?.tail.begun()), {
      what: 'the workers to be at work',
      timeoutMs,
      everyMs: 20,
    })
  }

  #start(slot: Slot): void {
    const { folder, maker, library, resource, options, client, ...work } = this.#settings
    this.#started += 1
    const name = `p${slot.index}-${this.#started}`
    const journal = join(folder, `journal-${name}`)
    const counter = this.counterOf(slot.lock)
    const { lock, url } = slot
    const own = { name, journal, counter, lock, url, library, maker, resource, options, client }
    const settings = { ...work, ...own, waitMs: 30_000 }
    const child = spawn(process.execPath, [script, JSON.stringify(settings)], {
      stdio: ['pipe', 'inherit', 'inherit'],
      env: { ...process.env, ...slot.environment },
    })
    if (child.pid !== undefined) reaper.watchProcess(child.pid)
    child.stdin.on('error', () => {})
    const exit = once(child, 'exit').then(([code]) => {
      if (child.pid !== undefined) reaper.forgetProcess(child.pid)
      if (this.#ends.has(name)) return
      this.#ends.set(name, code === 0 && this.#stopping ? 'closed' : 'crashed')
    })
    this.#journals.set(name, journal)
    slot.process = { name, child, journal, tail: new Tail(journal), exit }
  }
}

const chunk = Buffer.alloc(65_536)

/** Reads a journal as it grows. */
class Tail {
  readonly #path: string
  readonly #turns = new Map<string, 'holds' | 'waits'>()
  #offset = 0
  #rest = ''
  #entered = 0
  #begun = false
  #file: number | undefined

  constructor(path: string) {
    this.#path = path
  }

  /** Whether it ever asked for its lock. */
  begun(): boolean {
    this.read()
    return this.#begun
  }

  enteredAt(): number {
    this.read()
    return this.#entered
  }

  /** Where the turns of the process stand. */
  read(): ('holds' | 'waits')[] {
    try {
      this.#file ??= openSync(this.#path, 'r')
    } catch {
      return []
    }
    for (;;) {
      const bytes = readSync(this.#file, chunk, 0, chunk.length, this.#offset)
      if (bytes === 0) break
      this.#offset += bytes
      const lines = (this.#rest + chunk.toString('utf8', 0, bytes)).split('\n')
      this.#rest = lines.pop() ?? ''
      for (const line of lines) this.#follow(JSON.parse(line) as Entry)
    }
    return [...this.#turns.values()]
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
  }

  #follow(entry: Entry): void {
    if (!('turn' in entry) || entry.turn === undefined) return
    this.#begun = true
    if (entry.what === 'ask') this.#turns.set(entry.turn, 'waits')
    if (entry.what === 'enter') {
      this.#turns.set(entry.turn, 'holds')
      this.#entered = entry.at
    }
    if (entry.what === 'exit' || entry.what === 'failed') this.#turns.delete(entry.turn)
  }
}

/** Lays out the file that nothing but a lock guards. */
export function layCounter(path: string): void {
  writeFileSync(path, '0'.padStart(16))
}
