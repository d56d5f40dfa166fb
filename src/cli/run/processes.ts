import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** One process of the machine. */
export interface Entry {
  readonly pid: number
  readonly parent: number
  readonly group: number
  /** Tells it from a later process with the same number; the same for all where unknown. */
  readonly start: string
  /** Dead, and only waiting for its parent to take notice. */
  readonly ended: boolean
}

/** The processes of this machine, as far as this one may see them. */
export function processTable(): Entry[] {
  return process.platform === 'linux' ? fromProc() : fromPs()
}

function fromProc(): Entry[] {
  return readdirSync('/proc').flatMap((name) => {
    return /^\d+$/.test(name) ? (entryOf(Number(name)) ?? []) : []
  })
}

function entryOf(pid: number): Entry | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name stands in brackets and may hold anything; fields are counted behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [state = '', parent, group] = fields
    const ended = state === 'Z' || state === 'X'
    const start = fields[19] ?? ''
    return { pid, parent: Number(parent), group: Number(group), start, ended }
  } catch {
    // It ended while we looked.
    return undefined
  }
}

function fromPs(): Entry[] {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid=,pgid=,state='], { encoding: 'utf8' })
  return String(stdout ?? '')
    .split('\n')
    .flatMap((line) => {
      const [pid, parent, group, state = ''] = line.trim().split(/\s+/)
      if (!pid || !parent || !group) return []
      const numbers = { pid: Number(pid), parent: Number(parent), group: Number(group) }
      return { ...numbers, start: '', ended: state.startsWith('Z') }
    })
}

/** When a process began: tells it from a later one with the same number. `''` where unknown. */
export function startOf(pid: number): string {
  if (process.platform !== 'linux') return ''
  return entryOf(pid)?.start ?? ''
}

/** The holders around a process, outermost first. Linux only; none where it cannot be read. */
function marksOf(pid: number): string[] {
  if (process.platform !== 'linux') return []
  try {
    const environ = readFileSync(`/proc/${pid}/environ`, 'latin1')
    const mark = environ.split('\0').find((one) => one.startsWith('HOLDFAST_WITHIN='))
    return mark?.slice(mark.indexOf('=') + 1).split(' ') ?? []
  } catch {
    return []
  }
}

/** What a command is made of. */
export interface Root {
  /** The command's own process; 0 when only the holder is known. */
  readonly pid: number
  /** When that began, as `startOf` tells; `''` where it is not known. */
  readonly start: string
  /** Whether the command leads a group of its own. */
  readonly leads: boolean
  readonly holder: string
}

/**
 * The command and all that came from it: its group, its descendants, and on Linux every process
 * that still carries the holder in its environment. Who was found once stays, since a process whose
 * parent ended is no longer a descendant.
 */
export class Family {
  readonly #root: Root
  readonly #known = new Map<number, string>()
  #rootIsOurs = false
  #found: ReadonlyMap<number, Entry> = new Map()

  constructor(root: Root) {
    this.#root = root
  }

  /** Kills the command's own group in one call, if it has one: none of it can fork its way past. */
  killGroup(): void {
    const { pid, leads } = this.#root
    if (leads && this.#rootIsOurs) send(-pid, 'SIGKILL')
  }

  /** The members that live, found anew. */
  members(): number[] {
    const table = processTable().filter(({ pid }) => pid !== process.pid)
    if (table.length === 0) return this.#alone()
    this.#rootIsOurs = this.#isOurs(table)
    const children = new Map<number, Entry[]>()
    for (const entry of table) {
      const siblings = children.get(entry.parent)
      if (siblings === undefined) children.set(entry.parent, [entry])
      else siblings.push(entry)
    }
    const found = new Map<number, Entry>()
    const add = (entry: Entry): void => {
      if (found.has(entry.pid)) return
      found.set(entry.pid, entry)
      for (const child of children.get(entry.pid) ?? []) add(child)
    }
    for (const entry of table) if (this.#belongs(entry)) add(entry)
    for (const { pid, start } of found.values()) this.#known.set(pid, start)
    this.#found = found
    return [...found.values()].filter(({ ended }) => !ended).map(({ pid }) => pid)
  }

  /** Those of `members` that no holdfast within looks after: that one hands on what it gets. */
  direct(members: readonly number[]): number[] {
    return members.filter((pid) => !this.#isWithin(pid))
  }

  #isWithin(member: number): boolean {
    let within = false
    for (let at = this.#found.get(member); at !== undefined; at = this.#found.get(at.parent)) {
      const innermost = marksOf(at.pid).at(-1)
      if (innermost === this.#root.holder) return within
      if (innermost !== undefined) within = true
    }
    return false
  }

  /** The number of a command that ended may be another process's by now, and its group's too. */
  #isOurs(table: readonly Entry[]): boolean {
    const { pid: root, start } = this.#root
    if (root === 0) return false
    return !table.some((entry) => entry.pid === root && start !== '' && entry.start !== start)
  }

  /** Where no process table can be read, the command itself is all there is to see. */
  #alone(): number[] {
    const { pid } = this.#root
    try {
      return pid !== 0 && process.kill(pid, 0) ? [pid] : []
    } catch {
      return []
    }
  }

  #belongs({ pid, group, start }: Entry): boolean {
    const { pid: root, leads, holder } = this.#root
    if (this.#rootIsOurs && (pid === root || (leads && group === root))) return true
    return this.#known.get(pid) === start || marksOf(pid).includes(holder)
  }
}

/** A clock that all processes of the machine share, and that is never set. */
export function machineMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n)
}

/** Sends a signal; one that is gone or belongs to somebody else is left alone. */
export function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}
