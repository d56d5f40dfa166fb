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
    if (!/^\d+$/.test(name)) return []
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
      // The name stands in brackets and may hold anything; fields are counted behind it.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      const [state = '', parent, group] = fields
      return {
        pid: Number(name),
        parent: Number(parent),
        group: Number(group),
        start: fields[19] ?? '',
        ended: state === 'Z' || state === 'X',
      }
    } catch {
      // It ended while we looked.
      return []
    }
  })
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

/** Whether a process was started within the run of this holder. Linux only. */
function isMarked(pid: number, holder: string): boolean {
  if (process.platform !== 'linux') return false
  try {
    const environ = readFileSync(`/proc/${pid}/environ`, 'latin1')
    return environ.split('\0').some((one) => {
      return one.startsWith('HOLDFAST_WITHIN=') && one.includes(holder)
    })
  } catch {
    return false
  }
}

/** What a command is made of. */
export interface Root {
  /** The command's own process; 0 when only the holder is known. */
  readonly pid: number
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

  constructor(root: Root) {
    this.#root = root
  }

  /** The members that live, found anew. */
  members(): number[] {
    const table = processTable().filter(({ pid }) => pid !== process.pid)
    if (table.length === 0) return this.#alone()
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
    return [...found.values()].filter(({ ended }) => !ended).map(({ pid }) => pid)
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
    if (root !== 0 && (pid === root || (leads && group === root))) return true
    return this.#known.get(pid) === start || isMarked(pid, holder)
  }
}
