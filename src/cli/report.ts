import type { HolderReport, Holdfast, LockReport, WaiterReport } from '../index.ts'
import { type Column, type Paper, table } from './table.ts'
import { count, duration, fill, visible } from './text.ts'

/** A lock as `--json` prints it: plain values only, durations in milliseconds. */
export function lockJson(name: string, report: LockReport | null): object {
  if (report === null) return { name, held: false, holders: [], waiters: [], waiting: 0 }
  const { kind, capacity, holders, waiters, waiting } = report
  return {
    name,
    held: holders.length > 0,
    kind,
    capacity,
    holders: holders.map(({ identity, ours, permits, fence, ttlMs, heldMs, about }) => ({
      ...about,
      holder: identity,
      ours,
      permits,
      fence,
      // JSON has no infinity: a foreign key without a TTL.
      ttlMs: Number.isFinite(ttlMs) ? Math.round(ttlMs) : null,
      heldMs: Math.round(heldMs),
    })),
    waiters: waiters.map(({ identity, permits, about }) => ({
      ...about,
      holder: identity,
      permits,
    })),
    waiting,
  }
}

/** What kind of lock it is, in words. */
export function kindOf({ kind, capacity }: Pick<LockReport, 'kind' | 'capacity'>): string {
  return kind === 'semaphore' ? `semaphore of ${capacity}` : kind
}

/** Who stands at a place: `process 42 on host (label)`. */
export function who({ about, ...place }: HolderReport | WaiterReport): string {
  const { host, pid, label } = about
  if ('ours' in place && !place.ours) return 'another program'
  if (place.identity === '') return 'nobody: minimum hold or lock delay'
  const where = host === undefined ? '' : ` on ${host}`
  const named = label === undefined ? '' : ` (${label})`
  return visible(`${pid === undefined ? place.identity : `process ${pid}`}${where}${named}`)
}

/** Since when, as a time of this day or a date. */
export function since(heldMs: number, now: Date = new Date()): string {
  if (heldMs === 0) return '?'
  const at = new Date(now.getTime() - heldMs)
  const two = (n: number): string => String(n).padStart(2, '0')
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
  if (at.toDateString() === now.toDateString()) return time
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`
}

const LOCKS: readonly Column[] = [
  { title: 'LOCK', least: 12 },
  { title: 'KIND', least: 9, spare: 3 },
  { title: 'HOST', least: 8, spare: 2 },
  { title: 'PID', right: true },
  { title: 'LABEL', least: 8, spare: 1 },
  { title: 'HELD', right: true, spare: 4 },
  { title: 'LEFT', right: true },
  { title: 'WAIT', right: true },
]

/** One line per lock; of several holders the first. */
export function locksTable(reports: readonly LockReport[], paper: Paper): string[] {
  const rows = reports.map((report) => {
    const { name, holders, waiting } = report
    const [first] = holders
    const others = holders.length > 1 ? ` +${holders.length - 1}` : ''
    return [
      visible(name),
      kindOf(report),
      first === undefined ? 'nobody' : hostOf(first),
      `${first?.about.pid ?? ''}${others}`,
      visible(first?.about.label ?? ''),
      first === undefined || first.heldMs === 0 ? '' : duration(first.heldMs),
      first === undefined ? '' : duration(first.ttlMs),
      String(waiting),
    ]
  })
  return table(LOCKS, rows, paper)
}

/** The host of a holder, or what stands there instead. */
function hostOf(holder: HolderReport): string {
  return holder.about.pid === undefined ? who(holder) : visible(holder.about.host ?? '?')
}

const HOLDERS: readonly Column[] = [
  { title: 'HOST', least: 8 },
  { title: 'PID', right: true },
  { title: 'LABEL', least: 8, spare: 1 },
  { title: 'NOTE', least: 12 },
  { title: 'SINCE', spare: 3 },
  { title: 'LEFT', right: true },
  { title: 'PERMITS', right: true, spare: 2 },
  { title: 'FENCE', right: true },
]

const WAITERS: readonly Column[] = [
  { title: '#', right: true },
  { title: 'HOST', least: 8 },
  { title: 'PID', right: true },
  { title: 'LABEL', least: 8 },
  { title: 'NOTE', least: 12, spare: 1 },
  { title: 'PERMITS', right: true, spare: 2 },
]

/** All there is to say of one lock. */
export function lockLines(report: LockReport, paper: Paper): string[] {
  const { holders, waiters, waiting } = report
  const counts = report.kind === 'semaphore' || report.kind === 'read-write'
  // Permits of a mutex say nothing: there is one.
  const shape = (columns: readonly Column[]): Column[] =>
    columns.filter(({ title }) => counts || title !== 'PERMITS')
  const permits = (n: number): string[] => (counts ? [n > 1_000_000 ? 'all' : String(n)] : [])
  const held = holders.map((holder) => {
    const { about, ttlMs, heldMs, fence } = holder
    return [
      hostOf(holder),
      String(about.pid ?? ''),
      visible(about.label ?? ''),
      visible(about.note ?? ''),
      since(heldMs),
      duration(ttlMs),
      ...permits(holder.permits),
      fence === 0 ? '' : String(fence),
    ]
  })
  const line = waiters.map(({ about, permits: asked }, index) => [
    String(index + 1),
    visible(about.host ?? '?'),
    String(about.pid ?? ''),
    visible(about.label ?? ''),
    visible(about.note ?? ''),
    ...permits(asked),
  ])
  const hidden = waiting - waiters.length
  const title =
    `${visible(report.name)}: ${kindOf(report)}, ${count(holders.length, 'holder')}, ` +
    count(waiting, 'waiter')
  return [
    ...fill(title, paper.width),
    ...(held.length === 0 ? [] : ['', ...table(shape(HOLDERS), held, paper)]),
    ...(line.length === 0 ? [] : ['', 'Waiting:', ...table(shape(WAITERS), line, paper)]),
    ...(hidden > 0 ? [`… and ${hidden} more`] : []),
  ]
}

/** Names of all held locks that start with `prefix`, sorted. */
export async function allNames(holdfast: Holdfast, prefix: string): Promise<string[]> {
  const names: string[] = []
  for await (const name of holdfast.names({ prefix })) names.push(name)
  return names.sort()
}

const AT_ONCE = 32

/** What the locks look like; those that were let go meanwhile are left out. */
export async function inspectAll(
  holdfast: Holdfast,
  names: readonly string[],
): Promise<LockReport[]> {
  const reports: LockReport[] = []
  for (let from = 0; from < names.length; from += AT_ONCE) {
    const some = names.slice(from, from + AT_ONCE).map(async (name) => await holdfast.inspect(name))
    for (const report of await Promise.all(some)) if (report !== null) reports.push(report)
  }
  return reports
}
