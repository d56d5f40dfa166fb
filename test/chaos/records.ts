import { existsSync, readFileSync } from 'node:fs'

/** One line of a worker's journal; worker.mjs writes them. Moments are shared by all processes. */
export type Entry =
  | { what: 'ready' | 'closed'; at: number }
  | { what: 'lag'; at: number; ms: number }
  | { what: 'unhandled'; at: number; message: string }
  | { what: 'ask'; turn: string; at: number; lock: string; permits: number; capacity: number }
  | { what: 'enter' | 'late' | 'accepted'; turn: string; at: number; fence: number }
  | { what: 'held' | 'exit'; turn: string; at: number }
  | { what: 'told'; turn: string; at: number; how: 'asked' | 'signal'; signalled: boolean }
  | { what: 'update'; turn: string; at: number; read: number; readAt: number }
  | { what: 'updated'; turn: string; at: number; held: boolean }
  | { what: 'refused'; turn: string; at: number; held: boolean; late: boolean }
  | { what: 'released'; turn: string; at: number; there: boolean }
  | { what: 'failed'; turn?: string; at: number; stage: Stage; code: string }

type Stage = 'connect' | 'acquire' | 'release'

/** One write to the counter that nothing but the lock guards. */
export interface Update {
  readonly read: number
  readonly readAt: number
  readonly from: number
  /** When it was done and, where the worker lived to look, whether the lease stood after it. */
  to?: number
  held?: boolean
}

/** One turn at a lock, as far as it came. */
export interface Turn {
  readonly turn: string
  readonly process: string
  readonly lock: string
  readonly permits: number
  readonly capacity: number
  readonly askedAt: number
  /** The acquire came back, with a lease that stood or with one that was over already. */
  grantedAt?: number
  enteredAt?: number
  fence?: number
  /** The last moment at which the lease stood for certain, as its holder saw it. */
  heldUntil?: number
  toldAt?: number
  /** Its signal had not fired when its holder found the lease gone. */
  unsignalled?: boolean
  update?: Update
  refusals: { at: number; held: boolean; late: boolean }[]
  lateAccepted?: number
  exitedAt?: number
  releasedAt?: number
  failed?: { at: number; stage: Stage; code: string }
}

/** What one process wrote. */
export interface Journal {
  readonly process: string
  readonly turns: Turn[]
  readonly unhandled: string[]
  readonly lags: { at: number; ms: number }[]
  readonly failures: string[]
  readyAt?: number
  closedAt?: number
}

export function readEntries(path: string): Entry[] {
  if (!existsSync(path)) return []
  const lines = readFileSync(path, 'utf8').split('\n')
  // What is behind the last end of line was cut off by a kill.
  return lines.slice(0, -1).map((line) => JSON.parse(line) as Entry)
}

export function readJournal(process: string, entries: readonly Entry[]): Journal {
  const journal: Journal = { process, turns: [], unhandled: [], lags: [], failures: [] }
  const turns = new Map<string, Turn>()
  for (const entry of entries) {
    if (entry.what === 'ask') {
      const { turn, lock, permits, capacity, at } = entry
      turns.set(turn, { turn, process, lock, permits, capacity, askedAt: at, refusals: [] })
    } else if ('turn' in entry && entry.turn !== undefined) {
      const turn = turns.get(entry.turn)
      if (turn === undefined) throw new Error(`${process} goes on with an unknown turn`)
      follow(turn, entry)
    } else noteProcess(journal, entry)
    if (entry.what === 'failed') journal.failures.push(`${entry.stage} ${entry.code}`)
  }
  journal.turns.push(...turns.values())
  return journal
}

function noteProcess(journal: Journal, entry: Entry): void {
  if (entry.what === 'ready') journal.readyAt = entry.at
  else if (entry.what === 'closed') journal.closedAt = entry.at
  else if (entry.what === 'unhandled') journal.unhandled.push(entry.message)
  else if (entry.what === 'lag') journal.lags.push({ at: entry.at, ms: entry.ms })
}

function follow(turn: Turn, entry: Entry): void {
  switch (entry.what) {
    case 'enter':
      Object.assign(turn, { grantedAt: entry.at, enteredAt: entry.at, heldUntil: entry.at })
      turn.fence = entry.fence
      return
    case 'late':
      turn.grantedAt = entry.at
      return
    case 'held':
      turn.heldUntil = entry.at
      return
    case 'told':
      turn.toldAt ??= entry.at
      if (!entry.signalled) turn.unsignalled = true
      return
    case 'update':
      turn.update = { read: entry.read, readAt: entry.readAt, from: entry.at }
      return
    case 'updated':
      if (turn.update) Object.assign(turn.update, { to: entry.at, held: entry.held })
      if (entry.held) turn.heldUntil = entry.at
      return
    case 'refused':
      turn.refusals.push({ at: entry.at, held: entry.held, late: entry.late })
      return
    case 'accepted':
      turn.lateAccepted = entry.at
      return
    case 'exit':
      turn.exitedAt = entry.at
      return
    case 'released':
      turn.releasedAt = entry.at
      return
    case 'failed':
      turn.failed = { at: entry.at, stage: entry.stage, code: entry.code }
      return
    default:
      return
  }
}
