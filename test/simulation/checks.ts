/** What a simulation looks for. Each has a wrong engine in `mutants.ts` that it catches. */
export const CHECKS = [
  'exclusion',
  'line order',
  'fences grow',
  'resource never goes back',
  'no waiter forgotten',
  'served in time',
  'everything converges',
  'nothing leaked',
  'no wrong warning',
] as const

export type Check = (typeof CHECKS)[number]

/** A promise that was broken. */
export interface Breach {
  readonly check: Check
  readonly atMs: number
  readonly what: string
}
