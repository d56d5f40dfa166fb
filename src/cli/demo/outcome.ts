import { checkIntervals } from './check.ts'
import type { Interval, Journal } from './journal.ts'
import type { Scene } from './options.ts'

/** What a demo is told with, apart from its events. */
export interface Setting {
  readonly scene: Scene
  readonly lock: string
  readonly names: readonly string[]
  readonly taskMs: number
  readonly ttlMs: number
  readonly engine: string
  readonly server: string
  /** What to try next; for people, after the end. */
  readonly advice?: string
}

/** The result, and the last line of `--json`. */
export interface Summary {
  readonly type: 'summary'
  readonly atMs: number
  readonly scene: Scene
  readonly lock: string
  readonly engine: string
  readonly processes: number
  readonly granted: number
  readonly refused: number
  readonly completed: number
  readonly killed: number
  readonly failed: number
  readonly overlaps: number
  readonly maxConcurrentHolders: number
  readonly staleWritesRefused: number
  readonly durationMs: number
  readonly interrupted: boolean
  /** Nobody overlapped, and everybody got what was due. */
  readonly ok: boolean
  readonly intervals: readonly Interval[]
}

/** Sums up what was recorded. */
export function summarize(
  setting: Setting,
  journal: Journal,
  end: { atMs: number; interrupted: boolean },
): Summary {
  const { granted, refused, completed, killed, failed, staleWritesRefused, intervals } = journal
  const check = checkIntervals(intervals)
  const processes = setting.names.length
  const due = setting.scene === 'try' ? 1 : processes
  const dead = setting.scene === 'crash' ? 1 : 0
  const ok =
    check.overlaps === 0 &&
    granted === due &&
    refused === processes - due &&
    completed === due - dead &&
    staleWritesRefused === dead &&
    failed === 0 &&
    !end.interrupted
  return {
    type: 'summary',
    atMs: end.atMs,
    scene: setting.scene,
    lock: setting.lock,
    engine: setting.engine,
    processes,
    granted,
    refused,
    completed,
    killed,
    failed,
    ...check,
    staleWritesRefused,
    durationMs: end.atMs,
    interrupted: end.interrupted,
    ok,
    intervals,
  }
}
