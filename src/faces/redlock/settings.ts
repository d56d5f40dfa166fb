import type { Settings } from './types.ts'

const DEFAULTS: Settings = Object.freeze({
  driftFactor: 0.01,
  retryCount: 10,
  retryDelay: 200,
  retryJitter: 100,
  automaticExtensionThreshold: 500,
})

/** Fills up with the defaults; what is no number counts as not given, like in the original. */
export function readSettings(given: Partial<Settings>): Settings {
  const number = (name: keyof Settings): number => {
    const value: unknown = given[name]
    return typeof value === 'number' ? value : DEFAULTS[name]
  }
  return {
    driftFactor: number('driftFactor'),
    retryCount: number('retryCount'),
    retryDelay: number('retryDelay'),
    retryJitter: number('retryJitter'),
    automaticExtensionThreshold: number('automaticExtensionThreshold'),
  }
}

/** How long to wait in the line: as long as the original would try. */
export function patienceMs({ retryCount, retryDelay }: Settings): number {
  if (retryCount === -1) return Number.POSITIVE_INFINITY
  return Math.max(0, retryCount, Math.round(retryCount * retryDelay))
}

/** What a drift factor above the own one takes off a lease besides. */
export function extraDriftMs({ driftFactor }: Settings, duration: number): number {
  return Math.max(0, Math.round((driftFactor - DEFAULTS.driftFactor) * duration))
}

/** Throws unless a duration is a whole number of milliseconds. */
export function checkDuration(duration: number): void {
  if (Number.isInteger(duration)) return
  throw new Error('Duration must be an integer value in milliseconds.')
}
