import type { Occupant } from './engine.ts'

/** Who stands at a place, in words a person can follow up. */
export interface About {
  readonly host?: string
  readonly pid?: number
  /** The `label` option of the lease. */
  readonly label?: string
  /** What a candidate said of itself in `campaign`. */
  readonly note?: string
}

/** The text that goes with a place. */
export function writeAbout(about: About): string {
  return JSON.stringify(about)
}

/** Reads a place's text; anything that is not ours becomes an empty object. */
export function readAbout(text: string): About {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return {}
    const { host, pid, label, note } = value as Record<string, unknown>
    return {
      ...(typeof host === 'string' ? { host } : {}),
      ...(typeof pid === 'number' ? { pid } : {}),
      ...(typeof label === 'string' ? { label } : {}),
      ...(typeof note === 'string' ? { note } : {}),
    }
  } catch {
    // A foreign value or an older format: an unknown holder is no reason to fail.
    return {}
  }
}

/** An occupant for an error message. */
export function describeOccupant(occupant: Occupant): string {
  if (!occupant.ours) return 'a program that does not use Holdfast'
  const { host, pid, label } = readAbout(occupant.about)
  if (occupant.identity === '') return 'nobody, but kept for its minimum hold or lock delay'
  const process = pid === undefined ? occupant.identity : `process ${pid}`
  const where = host === undefined ? '' : ` on ${host}`
  return `${process}${where}${label === undefined ? '' : ` (${label})`}`
}
