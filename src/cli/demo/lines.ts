import type { DemoEvent, Journal } from './journal.ts'
import type { Narrator } from './narrator.ts'
import type { Setting, Summary } from './outcome.ts'
import type { Teller } from './teller.ts'

/** Progress is told this often per task. */
const PARTS = 4

/** Tells line after line, for files, pipes and terminals that cannot redraw. */
export class LinesTeller implements Teller {
  readonly #write: (text: string) => void
  readonly #narrator: Narrator
  readonly #toldParts = new Map<string, number>()

  constructor(write: (text: string) => void, narrator: Narrator) {
    this.#write = write
    this.#narrator = narrator
  }

  server(description: string): void {
    this.#lines(this.#narrator.server(description))
  }

  begin(setting: Setting): void {
    this.#lines(this.#narrator.begin(setting))
  }

  tell(event: DemoEvent, journal: Journal): void {
    if (event.type !== 'executes') return this.#lines(this.#narrator.event(event, journal))
    const part = Math.floor(event.share * PARTS)
    if (part === PARTS || part === this.#toldParts.get(event.process)) return
    this.#toldParts.set(event.process, part)
    this.#lines(this.#narrator.progress(event, journal))
  }

  draw(): void {}

  end(summary: Summary, journal: Journal): void {
    this.#lines(this.#narrator.end(summary, journal))
  }

  close(): void {}

  #lines(lines: readonly string[]): void {
    if (lines.length > 0) this.#write(`${lines.join('\n')}\n`)
  }
}
