import type { Occupant } from '../../core/engine.ts'

/** Where a place stands, in microseconds left: the line knows no clock of any caller. */
export type Spot =
  | { readonly state: 'held'; readonly fence: number; readonly leftUs: number }
  | {
      readonly state: 'waiting'
      readonly ahead: number
      readonly ticket: number
      readonly lookMs: number
      readonly occupant?: Occupant
    }
  | { readonly state: 'absent'; readonly occupant?: Occupant }
