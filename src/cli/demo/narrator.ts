import { fill, visible } from '../text.ts'
import type { DemoEvent, Journal } from './journal.ts'
import type { Setting, Summary } from './outcome.ts'
import { type Glyphs, type Paint, progressBar } from './paint.ts'
import { type Sentence, sentence } from './sentence.ts'
import { timeline } from './timeline.ts'

/** How text is laid out. */
export interface Look {
  readonly glyphs: Glyphs
  readonly paint: Paint
  /** Columns for the timeline and, on a terminal, for everything; asked for again each time. */
  width(): number
  /** Whether lines are broken to that width, as on a terminal. */
  readonly wraps: boolean
}

const TIME_WIDTH = 8

/** How wide the bar of a task is, and how narrow it may become where the terminal is. */
const BAR_WIDTH = 20
const LEAST_BAR = 5

/** Below this width the value of a lease is shortened. */
const ROOM_FOR_VALUES = 110
const SHORT_VALUE = 9

/** Names that stand in front of what happened to them; the store's is no process. */
const STORE = 'store'

/** Puts a demo into lines of text. */
export class Narrator {
  readonly #look: Look
  readonly #waiting = new Set<string>()
  #nameWidth = 2
  #advice: string | undefined

  constructor(look: Look) {
    this.#look = look
  }

  server(description: string): string[] {
    return this.#paragraph(`Uses ${description}.`)
  }

  begin(setting: Setting): string[] {
    const { scene, names } = setting
    this.#advice = setting.advice
    const crash = scene === 'crash' ? [STORE] : []
    this.#nameWidth = Math.max(...[...names, ...crash].map((name) => name.length))
    return [...introduction(setting).flatMap((text) => this.#paragraph(text)), '']
  }

  event(event: DemoEvent, journal: Journal): string[] {
    if (event.type === 'waits') {
      // That it moved up goes without saying: somebody in front got the lock.
      if (this.#waiting.has(event.process)) return []
      this.#waiting.add(event.process)
    }
    const isShort = this.#look.wraps && this.#look.width() < ROOM_FOR_VALUES
    const said = sentence(event, isShort ? SHORT_VALUE : Number.POSITIVE_INFINITY)
    return said === undefined ? [] : this.#entry(event, said, journal)
  }

  /** How far a task is, where nothing is redrawn. */
  progress(event: DemoEvent & { type: 'executes' }, journal: Journal): string[] {
    const percent = `${Math.round(event.share * 100)} %`.padStart(5)
    const text = 'executes the task '
    const look = this.#look
    const room = look.width() - this.#indent - text.length - percent.length
    const width = look.wraps ? Math.min(BAR_WIDTH, room) : BAR_WIDTH
    const drawn = width < LEAST_BAR ? '' : progressBar(event.share, width, look.glyphs)
    const told = `${text}${drawn === '' ? percent.trimStart() : drawn + percent}`
    return this.#entry(event, { tone: 'plain', text: told }, journal)
  }

  end(summary: Summary, journal: Journal): string[] {
    const { paint } = this.#look
    const look = { ...this.#look, width: this.#look.width() }
    const held = summary.intervals.length > 0
    const drawn = held
      ? [paint.bold('Who held the lock when'), '', ...timeline(journal.rows, look), '']
      : []
    const checked = summary.interrupted
      ? []
      : [paint.bold('The check, from the recorded times'), '', ...checkLines(summary), '']
    return ['', ...drawn, ...checked, ...this.#verdict(summary), ...this.#next(summary)]
  }

  #next({ ok }: Summary): string[] {
    if (!ok || this.#advice === undefined) return []
    const indent = ' '.repeat(4)
    return this.#wrapped(this.#advice, 4).map((line) => this.#look.paint.dim(indent + line))
  }

  #verdict(summary: Summary): string[] {
    const { paint, glyphs } = this.#look
    const mark = summary.ok ? paint.good(glyphs.marks.done) : paint.bad(glyphs.marks.bad)
    const [first = '', ...rest] = this.#wrapped(verdict(summary), 4)
    return [`  ${mark} ${first}`, ...rest.map((line) => `    ${line}`)]
  }

  #entry(event: DemoEvent, { tone, text }: Sentence, journal: Journal): string[] {
    const { paint } = this.#look
    const index = journal.rows.findIndex(({ process }) => process === event.process)
    const name = (event.type === 'writes' ? STORE : event.process).padEnd(this.#nameWidth)
    const own = (shown: string): string =>
      event.type === 'writes' ? paint.bold(shown) : paint.process(index, shown)
    const bad = (shown: string): string => paint.bad(shown)
    const tones = { plain: (shown: string) => shown, good: own, bad }
    const time = `${(event.atMs / 1000).toFixed(3)} s`.padStart(TIME_WIDTH + 1)
    const indent = this.#indent
    return this.#wrapped(text, indent).map((line, at) => {
      const shown = tones[tone](line)
      return at === 0
        ? `${paint.dim(time)}  ${own(name)}  ${shown}`
        : `${' '.repeat(indent)}${shown}`
    })
  }

  /** Where what happened stands, behind time and name. */
  get #indent(): number {
    return TIME_WIDTH + 1 + 2 + this.#nameWidth + 2
  }

  #paragraph(text: string): string[] {
    return this.#wrapped(text, 0)
  }

  #wrapped(text: string, indent: number): string[] {
    // Some of it was said by a server or the system.
    const shown = visible(text)
    if (!this.#look.wraps) return [shown]
    return fill(shown, Math.max(12, this.#look.width() - indent))
  }
}

function introduction({ scene, lock, names, taskMs, ttlMs, engine }: Setting): string[] {
  const who = names.length === 1 ? '1 process' : `${names.length} processes`
  const where = `the lock ${lock}`
  switch (scene) {
    case 'line':
      return [`${who} want ${where}, each for a task of ${taskMs} ms.`]
    case 'try':
      return [
        `${who} try once, all at the same moment, to get ${where} for a task of ${taskMs} ms.`,
      ]
    case 'crash': {
      // On one machine it can be seen that a process is gone.
      const lease = engine === 'sqlite' ? 'ends with it' : `lasts ${ttlMs} ms`
      return [
        `${who} want ${where}, each for a task of ${taskMs} ms with a write to a store. ` +
          `The first holder is killed in the middle of it; its lease ${lease}.`,
        'The store refuses a write with a smaller fence than the largest it saw.',
      ]
    }
    default:
      return scene satisfies never
  }
}

function checkLines(summary: Summary): string[] {
  const { granted, processes, refused, overlaps, maxConcurrentHolders, scene } = summary
  const facts: [name: string, value: string][] = [
    ['granted', `${granted} of ${processes}`],
    ['refused', `${refused}`],
    ...(scene === 'crash'
      ? [['late writes refused', `${summary.staleWritesRefused}`] as [string, string]]
      : []),
    ['overlaps', `${overlaps}`],
    ['most holders at a time', `${maxConcurrentHolders}`],
  ]
  return facts.map(([name, value]) => `  ${name.padEnd(24)}${value}`)
}

function verdict(summary: Summary): string {
  const { overlaps, ok, interrupted, granted, failed, scene } = summary
  if (overlaps > 0) return 'More than one process held the lock at a time.'
  if (interrupted) return 'Interrupted: what was held is given back, and no process is left.'
  if (!ok) {
    const problem = failed > 0 ? `${failed} went wrong` : `${granted} got the lock`
    return `Nobody overlapped, but not everything went as it should: ${problem}.`
  }
  if (scene === 'try') return 'One got the lock, the others were told at once. Nobody overlapped.'
  if (scene === 'crash') {
    return 'A holder died, the next one got in, and the late write was refused. Nobody overlapped.'
  }
  return 'Everybody got the lock, one at a time. Nobody overlapped.'
}
