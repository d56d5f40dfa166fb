/** Something that happened, as it is shown and recorded; `atMs` counts from the common start. */
export type DemoEvent = {
  readonly process: string
  readonly pid: number
  readonly atMs: number
} & (
  | { readonly type: 'tries' }
  | { readonly type: 'waits'; readonly ahead: number; readonly holder: string | undefined }
  | { readonly type: 'acquires'; readonly value: string; readonly fence: number }
  /** It followed a holder that died; `afterMs` since that death. */
  | { readonly type: 'succeeds'; readonly dead: string; readonly afterMs: number }
  | { readonly type: 'executes'; readonly share: number }
  | {
      readonly type: 'writes'
      readonly fence: number
      readonly accepted: boolean
      readonly largest: number
      /** The writer was dead when its write arrived. */
      readonly late: boolean
    }
  | { readonly type: 'completes' }
  | { readonly type: 'releases' }
  | { readonly type: 'released'; readonly confirmed: boolean }
  | { readonly type: 'refused'; readonly holder: string | undefined }
  | { readonly type: 'killed'; readonly signal: string; readonly planned: boolean }
  | { readonly type: 'loses'; readonly message: string }
  | { readonly type: 'fails'; readonly message: string }
)

/** Who held the lock from when to when. */
export interface Interval {
  readonly process: string
  readonly fence: number
  readonly fromMs: number
  readonly toMs: number
  readonly ending: 'released' | 'lost' | 'killed'
}

type Phase = 'starts' | 'tries' | 'waits' | 'holds' | 'done' | 'refused' | 'dead' | 'failed'

/** How one process stands. */
export interface Row {
  readonly process: string
  phase: Phase
  /** Places in front while it waits. */
  ahead: number
  /** Share of the task that is done. */
  share: number
  triedAtMs: number | undefined
  /** When it stopped wanting or having the lock. */
  endedAtMs: number | undefined
  held: { value: string; fence: number; fromMs: number } | undefined
  interval: Interval | undefined
}

/** All that happened so far, in order of time. */
export class Journal {
  readonly rows: readonly Row[]
  completed = 0
  killed = 0
  failed = 0
  staleWritesRefused = 0
  readonly #byName: ReadonlyMap<string, Row>
  readonly #byValue = new Map<string, string>()

  constructor(names: readonly string[]) {
    this.rows = names.map((process) => ({
      process,
      phase: 'starts',
      ahead: 0,
      share: 0,
      triedAtMs: undefined,
      endedAtMs: undefined,
      held: undefined,
      interval: undefined,
    }))
    this.#byName = new Map(this.rows.map((row) => [row.process, row]))
  }

  get intervals(): Interval[] {
    return this.rows.flatMap(({ interval }) => interval ?? []).sort((a, b) => a.fromMs - b.fromMs)
  }

  get granted(): number {
    return this.rows.filter(({ held }) => held !== undefined).length
  }

  get refused(): number {
    return this.rows.filter(({ phase }) => phase === 'refused').length
  }

  /** Learns under which value a process holds the lock, which others may be told of before it. */
  learn(process: string, value: string): void {
    this.#byValue.set(value, process)
  }

  /**
   * The event with the name of the process that holds the lock, instead of the value by which it
   * was seen; without it when that process has left since.
   */
  withHolderName(event: DemoEvent): DemoEvent {
    if (event.type !== 'waits' && event.type !== 'refused') return event
    const holder = this.#byValue.get(event.holder ?? '')
    const isGone = this.#byName.get(holder ?? '')?.interval !== undefined
    return { ...event, holder: isGone ? undefined : holder }
  }

  record(event: DemoEvent): void {
    const row = this.#byName.get(event.process)
    if (row === undefined) return
    switch (event.type) {
      case 'tries':
        row.phase = 'tries'
        row.triedAtMs = event.atMs
        break
      case 'waits':
        row.phase = 'waits'
        row.ahead = event.ahead
        break
      case 'acquires':
        this.#granted(row, event)
        break
      case 'executes':
        row.share = event.share
        break
      case 'completes':
        this.completed++
        row.share = 1
        break
      case 'writes':
        if (!event.accepted) this.staleWritesRefused++
        break
      case 'succeeds':
        break
      default:
        this.#ends(row, event)
    }
  }

  #granted(row: Row, { atMs, value, fence }: DemoEvent & { type: 'acquires' }): void {
    // Served in order: whoever stood behind it is one place further.
    const from = row.phase === 'waits' ? row.ahead : -1
    row.phase = 'holds'
    row.held = { value, fence, fromMs: atMs }
    for (const other of this.rows) {
      if (other.phase === 'waits' && from >= 0 && other.ahead > from) other.ahead--
    }
  }

  #ends(
    row: Row,
    event: DemoEvent & { type: 'releases' | 'released' | 'refused' | 'killed' | 'loses' | 'fails' },
  ): void {
    switch (event.type) {
      case 'releases':
        this.#close(row, event.atMs, 'released')
        if (row.phase === 'holds') row.phase = 'done'
        break
      case 'released':
        break
      case 'refused':
        row.phase = 'refused'
        break
      case 'killed':
        this.killed++
        if (!event.planned) this.failed++
        this.#close(row, event.atMs, 'killed')
        row.phase = 'dead'
        break
      case 'loses':
      case 'fails':
        this.failed++
        if (event.type === 'loses') this.#close(row, event.atMs, 'lost')
        row.phase = 'failed'
        break
      default:
        event satisfies never
    }
    row.endedAtMs ??= event.atMs
  }

  #close(row: Row, toMs: number, ending: Interval['ending']): void {
    if (row.held === undefined || row.interval !== undefined) return
    const { fence, fromMs } = row.held
    row.interval = { process: row.process, fence, fromMs, toMs, ending }
  }
}
