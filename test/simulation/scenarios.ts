import type { Weather } from './network.ts'

/** Something that happens to a process, a server or the way between them, again and again. */
export interface Fault {
  readonly kind:
    | 'pause'
    | 'crash'
    /** The process closes its Holdfast and another one starts. */
    | 'restart'
    | 'cut requests'
    | 'cut answers'
    | 'cut off'
    | 'server down'
    | 'data loss'
  /** Time until it strikes again. */
  readonly everyMs: readonly [number, number]
  /** How long it lasts. */
  readonly forMs: readonly [number, number]
  /** How many servers at one time, at most. */
  readonly most?: number
}

/** What processes do, by weight. */
export interface Workload {
  readonly processes: number
  /** Workers in each process. */
  readonly workers: number
  readonly names: number
  readonly kinds: readonly ('mutex' | 'semaphore' | 'read-write' | 'election')[]
  readonly ttlMs: readonly [number, number]
  readonly holdMs: readonly [number, number]
  readonly thinkMs: readonly [number, number]
  /** Chance that a call has a time limit, is cancelled, or only tries. */
  readonly timeout: number
  readonly cancel: number
  readonly tries: number
  /** Chance that a call breaks the lock instead. */
  readonly force: number
  /** Chance that a lease is not renewed. */
  readonly lapses: number
  /** Chance that a lease has a minimum hold, and that it keeps others out after its loss. */
  readonly rests: number
  /** Chance that a mutex is handed over within its process. */
  readonly handover: number
}

export interface Scenario {
  readonly title: string
  /** 0 for one memory engine, else how many of them make the quorum. */
  readonly nodes: 0 | 3 | 5
  readonly workload: Workload
  readonly weather: Weather
  readonly faults: readonly Fault[]
  /** By how much clocks may run fast or slow. */
  readonly drift: number
  readonly forMs: number
}

const CALM: Weather = { delayMs: [0.2, 4] }
const ROUGH: Weather = { delayMs: [0.2, 40], lose: 0.02, duplicate: 0.05, straggle: 0.02 }
const STORM: Weather = { delayMs: [1, 200], lose: 0.1, duplicate: 0.1, straggle: 0.05 }

const BUSY: Workload = {
  processes: 4,
  workers: 2,
  names: 2,
  kinds: ['mutex'],
  ttlMs: [1_000, 5_000],
  holdMs: [1, 300],
  thinkMs: [1, 200],
  timeout: 0.3,
  cancel: 0.1,
  tries: 0.1,
  force: 0,
  lapses: 0.1,
  rests: 0,
  handover: 0,
}

/** So many want one lock that there is always a line. */
const CROWD: Workload = {
  ...BUSY,
  processes: 8,
  workers: 3,
  names: 1,
  ttlMs: [500, 2_000],
  holdMs: [1, 60],
  thinkMs: [1, 60],
  timeout: 0.1,
}

const ALL_KINDS = ['mutex', 'semaphore', 'read-write', 'election'] as const
const QUORUM_KINDS = ['mutex', 'election'] as const

const PAUSES: Fault = { kind: 'pause', everyMs: [500, 5_000], forMs: [200, 8_000] }
const CRASHES: Fault = { kind: 'crash', everyMs: [2_000, 10_000], forMs: [1, 500] }
const LEAVES: Fault = { kind: 'restart', everyMs: [2_000, 8_000], forMs: [1, 500] }
const RESTARTS: Fault = { kind: 'server down', everyMs: [2_000, 8_000], forMs: [50, 3_000] }
const CUTS: readonly [Fault, Fault, Fault] = [
  { kind: 'cut off', everyMs: [1_000, 6_000], forMs: [100, 4_000] },
  { kind: 'cut requests', everyMs: [1_000, 6_000], forMs: [100, 3_000] },
  { kind: 'cut answers', everyMs: [1_000, 6_000], forMs: [100, 3_000] },
]
const LOSSES: Fault = { kind: 'data loss', everyMs: [3_000, 9_000], forMs: [100, 2_000] }

/** Away for longer than any lease lasts, as docs/quorum.md asks. */
const LONG_LOSSES: Fault = { kind: 'data loss', everyMs: [6_000, 12_000], forMs: [5_500, 8_000] }

const base = { weather: ROUGH, drift: 0.004, forMs: 40_000, workload: BUSY } as const

/** Every way in which things are tried; a run goes through them one after the other. */
export const SCENARIOS: readonly Scenario[] = [
  { ...base, title: 'one server, calm', nodes: 0, weather: CALM, drift: 0, faults: [] },
  {
    ...base,
    title: 'one server, many waiters of all kinds',
    nodes: 0,
    workload: { ...BUSY, processes: 6, workers: 4, kinds: ALL_KINDS },
    faults: [PAUSES],
  },
  { ...base, title: 'one server, storm', nodes: 0, weather: STORM, faults: [PAUSES, ...CUTS] },
  {
    ...base,
    title: 'one server, restarts and crashes',
    nodes: 0,
    workload: { ...BUSY, kinds: ALL_KINDS },
    faults: [RESTARTS, CRASHES, PAUSES],
  },
  {
    ...base,
    title: 'one server, broken locks and lost data',
    nodes: 0,
    workload: { ...BUSY, kinds: ALL_KINDS, force: 0.05 },
    faults: [LOSSES, PAUSES, CRASHES],
  },
  {
    ...base,
    title: 'one server, a crowd',
    nodes: 0,
    workload: CROWD,
    faults: [PAUSES, CRASHES, LEAVES, CUTS[0]],
  },
  {
    ...base,
    title: 'one server, minimum holds, lock delays and handovers',
    nodes: 0,
    workload: { ...CROWD, names: 2, rests: 0.3, handover: 0.5 },
    faults: [PAUSES, CRASHES, LEAVES],
  },
  {
    ...base,
    title: 'one server, data lost for longer than a lease',
    nodes: 0,
    workload: { ...BUSY, kinds: ALL_KINDS },
    faults: [LONG_LOSSES, PAUSES],
  },
  {
    ...base,
    title: 'three servers, a crowd',
    nodes: 3,
    workload: { ...CROWD, kinds: QUORUM_KINDS },
    faults: [PAUSES, CRASHES, LEAVES, CUTS[0]],
  },
  {
    ...base,
    title: 'three servers, minimum holds, lock delays and handovers',
    nodes: 3,
    workload: { ...CROWD, rests: 0.3, handover: 0.5 },
    faults: [PAUSES, LEAVES, ...CUTS],
  },
  {
    ...base,
    title: 'three servers, data lost for longer than a lease',
    nodes: 3,
    workload: { ...BUSY, names: 1, kinds: QUORUM_KINDS },
    faults: [LONG_LOSSES, PAUSES, CRASHES, ...CUTS],
  },
  {
    ...base,
    title: 'three servers, calm',
    nodes: 3,
    weather: CALM,
    drift: 0,
    workload: { ...BUSY, kinds: QUORUM_KINDS },
    faults: [],
  },
  {
    ...base,
    title: 'three servers, storm',
    nodes: 3,
    weather: STORM,
    workload: { ...BUSY, names: 1, kinds: QUORUM_KINDS },
    faults: [PAUSES, ...CUTS],
  },
  {
    ...base,
    title: 'three servers, restarts and crashes',
    nodes: 3,
    workload: { ...BUSY, kinds: QUORUM_KINDS },
    faults: [{ ...RESTARTS, most: 2 }, CRASHES, PAUSES],
  },
  {
    ...base,
    title: 'five servers, everything but lost data',
    nodes: 5,
    workload: { ...BUSY, kinds: QUORUM_KINDS },
    faults: [{ ...RESTARTS, most: 3 }, CRASHES, PAUSES, ...CUTS],
  },
  {
    ...base,
    title: 'five servers, broken locks and lost data',
    nodes: 5,
    workload: { ...BUSY, kinds: QUORUM_KINDS, force: 0.03 },
    faults: [{ ...LOSSES, most: 2 }, CRASHES, PAUSES, ...CUTS],
  },
]

/** Whether everything is given that exclusion rests on. */
export function isExclusive({ faults, workload }: Scenario): boolean {
  const [, longestMs] = workload.ttlMs
  const isBorne = ({ kind, forMs, most = 1 }: Fault) =>
    kind !== 'data loss' || (most === 1 && forMs[0] > longestMs)
  return workload.force === 0 && faults.every(isBorne)
}
