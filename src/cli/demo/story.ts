import { Chronicle } from './chronicle.ts'
import { machineMs } from './clock.ts'
import { Crew, type Ending } from './crew.ts'
import { type DemoEvent, Journal } from './journal.ts'
import { type Setting, type Summary, summarize } from './outcome.ts'
import type { Told } from './protocol.ts'
import type { DemoServer } from './server.ts'
import { GuardedStore } from './store.ts'
import type { Teller } from './teller.ts'

export interface StoryParts {
  readonly setting: Setting
  readonly server: Pick<DemoServer, 'url' | 'folder'>
  readonly workerFile: string
  readonly teller: Teller
  /** Takes secrets out of what processes say. */
  readonly clean: (text: string) => string
  readonly stop: AbortSignal
}

/** Between two frames; messages are kept about as long, to be put in order. */
const FRAME_MS = 50
const KEEP_MS = 40

/** After a stop, a process has this long to release and leave. */
const GRACE_MS = 3000

/** Time for the word to reach everybody before they begin. */
const LEAD_MS = 30
const LEAD_PER_PROCESS_MS = 3

type Happening = DemoEvent extends infer E
  ? E extends DemoEvent
    ? Omit<E, 'process' | 'pid' | 'atMs'>
    : never
  : never

/** Plays one scene with real processes, from the first start to the last end. */
export class Story {
  readonly #parts: StoryParts
  readonly #crew: Crew
  readonly #journal: Journal
  readonly #chronicle = new Chronicle<DemoEvent>(KEEP_MS)
  readonly #store = new GuardedStore()
  readonly #holding = new Set<number>()
  /** Who has told how it ended. */
  readonly #settled = new Set<number>()
  #beganAtMs: number | undefined
  #victim: { index: number; fence: number; hasWritten: boolean } | undefined
  /** A holder that died, until somebody follows it. */
  #death: { index: number; atMs: number } | undefined

  constructor(parts: StoryParts) {
    this.#parts = parts
    this.#journal = new Journal(parts.setting.names)
    this.#crew = new Crew(parts.workerFile, {
      told: (index, told) => this.#told(index, told),
      gone: (index, ending) => this.#gone(index, ending),
    })
  }

  async play(): Promise<Summary> {
    const { setting, teller, stop } = this.#parts
    teller.begin(setting)
    const frames = setInterval(() => this.#frame(machineMs()), FRAME_MS)
    const onStop = (): void => void this.#crew.dismiss(GRACE_MS)
    try {
      stop.addEventListener('abort', onStop, { once: true })
      await this.#crew.assemble(this.#script(), stop)
      if (!stop.aborted) this.#begin()
      await this.#crew.ended()
      this.#frame(Number.POSITIVE_INFINITY)
      const atMs = this.#sinceStart(machineMs())
      const summary = summarize(setting, this.#journal, { atMs, interrupted: stop.aborted })
      teller.end(summary, this.#journal)
      return summary
    } finally {
      clearInterval(frames)
      stop.removeEventListener('abort', onStop)
      await this.#crew.dismiss(GRACE_MS)
    }
  }

  #script(): Parameters<Crew['assemble']>[0] {
    const { setting, server } = this.#parts
    const { url, folder } = server
    const { names, scene, lock, taskMs, ttlMs } = setting
    const patienceMs = names.length * (taskMs + 1000) + 4 * ttlMs
    const same = { url, folder, lock, scene, taskMs, ttlMs, patienceMs }
    return names.map((name) => ({ ...same, name }))
  }

  #begin(): void {
    const atMs = machineMs() + LEAD_MS + LEAD_PER_PROCESS_MS * this.#parts.setting.names.length
    this.#beganAtMs = atMs
    this.#crew.orderAll({ order: 'begin', atMs })
  }

  #frame(nowMs: number): void {
    for (const noted of this.#chronicle.take(nowMs)) {
      const event = this.#journal.withHolderName(noted)
      this.#journal.record(event)
      this.#parts.teller.tell(event, this.#journal)
    }
    this.#parts.teller.draw(this.#journal)
  }

  #sinceStart(atMs: number): number {
    return this.#beganAtMs === undefined ? 0 : Math.max(0, atMs - this.#beganAtMs)
  }

  #happens(index: number, atMs: number, what: Happening): void {
    const who = { process: this.#nameOf(index), pid: this.#crew.pid(index) }
    const event = { ...what, ...who, atMs: this.#sinceStart(atMs) } as DemoEvent
    this.#chronicle.add(event, machineMs())
  }

  #nameOf(index: number): string {
    return this.#parts.setting.names[index] ?? ''
  }

  #told(index: number, { atMs, ...told }: Told): void {
    switch (told.type) {
      case 'ready':
        return
      case 'writes':
        return this.#writes(index, told.fence, atMs)
      case 'loses':
      case 'fails':
        this.#settle(index)
        return this.#happens(index, atMs, { ...told, message: this.#parts.clean(told.message) })
      case 'acquires':
        this.#journal.learn(this.#nameOf(index), told.value)
        this.#happens(index, atMs, told)
        this.#holding.add(index)
        this.#succeeds(index, atMs)
        return this.#letGoOn()
      case 'released':
      case 'refused':
        this.#settle(index)
        return this.#happens(index, atMs, told)
      default:
        return this.#happens(index, atMs, told)
    }
  }

  #gone(index: number, { atMs, code, signal, lastWords }: Ending): void {
    const wasHolding = this.#holding.has(index)
    const planned = index === this.#victim?.index
    if (this.#settled.has(index) || (this.#parts.stop.aborted && !planned)) return
    this.#settle(index)
    if (wasHolding) this.#death = { index, atMs }
    const how = signal ?? `exit code ${code}`
    const words = lastWords.split('\n').find((line) => /error/i.test(line)) ?? ''
    const why = words === '' ? how : `${how}: ${this.#parts.clean(words.trim())}`
    this.#happens(index, atMs, { type: 'killed', signal: why, planned })
  }

  #settle(index: number): void {
    this.#holding.delete(index)
    this.#settled.add(index)
    this.#letGoOn()
  }

  #succeeds(index: number, atMs: number): void {
    if (this.#death === undefined) return
    const { index: dead, atMs: diedAtMs } = this.#death
    this.#death = undefined
    const afterMs = atMs - diedAtMs
    this.#happens(index, atMs, { type: 'succeeds', dead: this.#nameOf(dead), afterMs })
  }

  /** Where everybody tries once, the task lasts until the last of them has tried. */
  #letGoOn(): void {
    const { scene, names } = this.#parts.setting
    if (scene !== 'try' || this.#holding.size + this.#settled.size < names.length) return
    for (const index of this.#holding) this.#crew.order(index, { order: 'continue' })
  }

  /** The first writer dies with its write under way; that write arrives after its successor's. */
  #writes(index: number, fence: number, atMs: number): void {
    if (this.#victim === undefined) {
      this.#victim = { index, fence, hasWritten: false }
      this.#crew.kill(index)
      return
    }
    this.#happens(index, atMs, { type: 'writes', fence, late: false, ...this.#store.write(fence) })
    this.#crew.order(index, { order: 'continue' })
    const victim = this.#victim
    if (victim.hasWritten) return
    victim.hasWritten = true
    const result = this.#store.write(victim.fence)
    const late = { type: 'writes', fence: victim.fence, late: true, ...result } as const
    this.#happens(victim.index, machineMs(), late)
  }
}
