import { readFileSync, readlinkSync } from 'node:fs'
import type { Row } from './binding.ts'

/** What tells one process of a machine from every other. */
export interface ProcessMark {
  readonly pid: number
  /** When it started, in the kernel's own unit; `''` where that cannot be read. */
  readonly started: string
  /** The pid namespace in which `pid` means something; `''` where there is only one. */
  readonly namespace: string
}

/** Whoever was alive this short a while ago is not asked for again. */
const FRESH_US = 250_000

/** The kernel is asked for the start time less often: its answer costs more than a hand-off. */
const START_US = 1_000_000

/** The mark of this process. */
export function ownMark(): ProcessMark {
  let namespace = ''
  if (process.platform === 'linux') {
    try {
      namespace = readlinkSync('/proc/self/ns/pid')
    } catch {
      // Unknown is not the same as equal: nobody is taken for dead by a mark like this.
      namespace = 'unknown'
    }
  }
  return { pid: process.pid, started: startOf('self')?.started ?? '', namespace }
}

/**
 * Whether a process has provably ended. When in doubt it lives. Without `thorough` a zombie and
 * another process of the same number count as alive.
 */
export function hasEnded(mark: ProcessMark, own: ProcessMark, thorough = true): boolean {
  if (mark.namespace !== own.namespace || mark.namespace === 'unknown') return false
  if (mark.pid === own.pid && mark.started === own.started) return false
  try {
    process.kill(mark.pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return true
  }
  if (!thorough) return false
  const now = startOf(String(mark.pid))
  if (now === undefined) return false
  // A zombie runs nothing any more; another start time is another process with the same number.
  return (
    now.state === 'Z' || now.state === 'X' || (mark.started !== '' && now.started !== mark.started)
  )
}

let knowsNumbers: boolean | undefined

/** Whether /proc numbers processes as this one does: in a new pid namespace it may be the old. */
function isOwnProc(): boolean {
  try {
    knowsNumbers ??= readlinkSync('/proc/self') === String(process.pid)
  } catch {
    knowsNumbers = false
  }
  return knowsNumbers
}

function startOf(pid: string): { state: string; started: string } | undefined {
  if (process.platform !== 'linux' || !isOwnProc()) return undefined
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in brackets may hold anything, brackets and blanks included.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0] ?? '', started: fields[19] ?? '' }
  } catch {
    return undefined
  }
}

/** The other processes that use the file: who they are, and whether they still run. */
export class Peers {
  readonly #own: ProcessMark
  readonly #known = new Map<number, ProcessMark & { readonly bell: string }>()
  readonly #seenUs = new Map<number, number>()
  readonly #startUs = new Map<number, number>()
  readonly #ended = new Set<number>()

  constructor(own: ProcessMark) {
    this.#own = own
  }

  /** The name of its bell; `undefined` for a process that has no row any more. */
  bellOf(id: number, read: (id: number) => Row | undefined): string | undefined {
    return this.#find(id, read)?.bell
  }

  hasEnded(id: number, nowUs: number, read: (id: number) => Row | undefined): boolean {
    if (this.#ended.has(id)) return true
    if (nowUs - (this.#seenUs.get(id) ?? Number.NEGATIVE_INFINITY) < FRESH_US) return false
    // A row goes with its process, or with what the process held: when it lost the file meanwhile.
    this.#known.delete(id)
    const mark = this.#find(id, read)
    const thorough = nowUs - (this.#startUs.get(id) ?? Number.NEGATIVE_INFINITY) >= START_US
    if (mark === undefined || hasEnded(mark, this.#own, thorough)) {
      this.#ended.add(id)
      this.#startUs.delete(id)
      this.#known.delete(id)
      this.#seenUs.delete(id)
      return true
    }
    this.#seenUs.set(id, nowUs)
    if (thorough) this.#startUs.set(id, nowUs)
    return false
  }

  #find(id: number, read: (id: number) => Row | undefined) {
    const known = this.#known.get(id)
    if (known !== undefined) return known
    const row = read(id)
    if (row === undefined) return undefined
    const { bell, pid, started, namespace } = row
    const mark = {
      bell: String(bell),
      pid: Number(pid),
      started: String(started),
      namespace: String(namespace),
    }
    this.#known.set(id, mark)
    return mark
  }
}
