import type { DemoEvent, Journal } from './journal.ts'
import type { Look, Narrator } from './narrator.ts'
import type { Setting, Summary } from './outcome.ts'
import { type PanelLine, panel } from './panel.ts'
import type { Teller } from './teller.ts'

const HIDE_CURSOR = '\u001b[?25l'
const SHOW_CURSOR = '\u001b[?25h'
const CLEAR_BELOW = '\u001b[J'

/** What is kept free of the panel, so that it never fills the terminal. */
const ROWS_ABOVE = 4

type Terminal = Pick<NodeJS.WriteStream, 'columns' | 'rows' | 'write'>

/** Tells line after line, above a panel that shows how everybody stands and is redrawn in place. */
export class ScreenTeller implements Teller {
  readonly #terminal: Terminal
  readonly #narrator: Narrator
  readonly #look: Look
  #pending: string[] = []
  #drawn: readonly PanelLine[] = []
  #lastFrame = ''
  #isOpen = false

  constructor(terminal: Terminal, narrator: Narrator, look: Look) {
    this.#terminal = terminal
    this.#narrator = narrator
    this.#look = look
  }

  server(description: string): void {
    this.#terminal.write(`${this.#narrator.server(description).join('\n')}\n`)
  }

  begin(setting: Setting): void {
    this.#isOpen = true
    this.#terminal.write(`${HIDE_CURSOR}${this.#narrator.begin(setting).join('\n')}\n`)
  }

  tell(event: DemoEvent, journal: Journal): void {
    // The panel shows the task's progress, and that somebody moved up in the line.
    if (event.type === 'executes') return
    this.#pending.push(...this.#narrator.event(event, journal))
  }

  draw(journal: Journal): void {
    this.#frame(panel(journal.rows, { ...this.#look, ...this.#room() }))
  }

  end(summary: Summary, journal: Journal): void {
    this.#pending.push(...this.#narrator.end(summary, journal))
    this.#frame([])
  }

  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#frame([])
    this.#terminal.write(SHOW_CURSOR)
  }

  /** Writes everything of one moment at once, so that nothing flickers. */
  #frame(lines: readonly PanelLine[]): void {
    const frame = lines.map(({ text }) => `${text}\n`).join('')
    if (this.#pending.length === 0 && frame === this.#lastFrame) return
    const up = this.#drawnRows()
    const back = up === 0 ? '' : `\u001b[${up}A`
    const above = this.#pending.map((line) => `${line}\n`).join('')
    this.#terminal.write(`\r${back}${CLEAR_BELOW}${above}${frame}`)
    this.#pending = []
    this.#drawn = lines
    this.#lastFrame = frame
  }

  /** Rows that the panel takes now; a terminal that became narrower has broken its lines. */
  #drawnRows(): number {
    const columns = this.#terminal.columns || 80
    return this.#drawn.reduce(
      (rows, { width }) => rows + Math.max(1, Math.ceil(width / columns)),
      0,
    )
  }

  #room(): { width: number; height: number } {
    return { width: this.#look.width(), height: Math.max(2, this.#terminal.rows - ROWS_ABOVE) }
  }
}
