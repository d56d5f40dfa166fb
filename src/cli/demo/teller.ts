import type { DemoEvent, Journal } from './journal.ts'
import type { Setting, Summary } from './outcome.ts'

/** Shows a demo to somebody: a program, a file, or a person at a terminal. */
export interface Teller {
  /** Which server it will be, before the processes start. */
  server(description: string): void
  begin(setting: Setting): void
  /** Called for each event, in order of time; the journal has recorded it. */
  tell(event: DemoEvent, journal: Journal): void
  /** Called many times a second. */
  draw(journal: Journal): void
  end(summary: Summary, journal: Journal): void
  /** Leaves the terminal as it was found. May be called more than once. */
  close(): void
}
