/**
 * `danger`: as things are, a promise does not hold or locks do not work. `warning`: it depends on
 * circumstances that do come. `note`: worth knowing, or it could not be checked.
 */
export type Severity = 'danger' | 'warning' | 'note'

/** Something that endangers a promise, as plain data. */
export interface Finding {
  /** Stable within a major version, as in `docs/diagnose.md`; the texts are not. */
  readonly code: string
  readonly severity: Severity
  /** What was seen. */
  readonly seen: string
  /** Which promise it endangers, and when. */
  readonly endangers: string
  /** What to do about it. */
  readonly advice: string
}

/** What an engine's surroundings must be good enough for. */
export interface Expectations {
  /** Life of a lease. */
  readonly ttlMs: number
  /** How long a call keeps trying to reach the engine. */
  readonly requestTimeoutMs: number
  /**
   * Only what one request that changes nothing tells. It is asked in the background of a start, and
   * must not disturb it.
   */
  readonly quick: boolean
}

const ORDER: readonly Severity[] = ['danger', 'warning', 'note']

/** The worst first. */
export function bySeverity(findings: readonly Finding[]): Finding[] {
  const rank = ({ severity }: Finding): number => ORDER.indexOf(severity)
  return findings.toSorted((a, b) => rank(a) - rank(b))
}
