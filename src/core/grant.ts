import type { Place } from './engine.ts'

/** The right to a lock, before a lease is made of it. */
export interface Grant {
  readonly place: Place
  readonly fence: number
  /** Until when the holder may trust it. */
  readonly until: number
  /** Who may have it after whoever gets it now. */
  readonly succession?: Succession
}

/** What may follow a lease inside this process. */
export interface Succession {
  /** Its holder is done. Resolves to whether somebody else has it now. Never rejects. */
  pass(until: number): Promise<boolean>
  /** The process has it no more: released, or lost. */
  ended(): void
}
