import {
  closeSync,
  constants,
  existsSync,
  type FSWatcher,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  rmSync,
  watch,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { type Rights, share } from './rights.ts'

/** Bells of other processes that are kept open. */
const OPEN_MAX = 128

const MAKE_TRIES = 20

/** How long a bell counts as hanging once it was seen. A missed ring costs its process a look. */
const SEEN_MS = 50

const STROKE: Buffer = Buffer.from('.')

/** The names of the bells that hang there. */
export function bellsIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** Rings the bell of a process of which no more is known. */
export function strike(path: string): void {
  try {
    const bell = openSync(path, 'r+')
    writeSync(bell, STROKE, 0, 1, 0)
    closeSync(bell)
  } catch {
    // Taken down meanwhile.
  }
}

/**
 * One small file per process, next to the database. Who grants a place to another process writes a
 * byte to that process's bell, after the commit: a watch on the database itself would wake it
 * before there is anything to see.
 */
export class Bells {
  readonly #folder: string
  readonly #rights: Rights
  readonly #open = new Map<string, number>()
  /** When each was last seen to hang. */
  readonly #seenMs = new Map<string, number>()
  #own: string | undefined
  #watcher: FSWatcher | undefined

  /** Whoever has these rights on the database may ring. */
  constructor(folder: string, rights: Rights) {
    this.#folder = folder
    this.#rights = rights
  }

  /** Whether the operating system tells when the own bell rings. */
  get watched(): boolean {
    return this.#watcher !== undefined
  }

  /** Hangs up the bell of this process. */
  hang(name: string, onRing: () => void): void {
    this.takeDown()
    const path = join(this.#folder, name)
    const bell = this.#make(path)
    this.#own = name
    this.#open.set(name, bell)
    // Written once now, so that ringing needs no space on the disk.
    writeSync(bell, STROKE, 0, 1, 0)
    try {
      this.#watcher = watch(path, { persistent: false }, onRing)
      this.#watcher.on('error', () => this.#unwatch())
    } catch {
      // No watches left on this machine: looking now and then has to do.
    }
  }

  /** Whether the own bell is still where the others look for it. */
  get hangs(): boolean {
    return this.#own !== undefined && this.has(this.#own)
  }

  /** Whether it hangs. One that this process may not ring counts: its process looks by itself. */
  has(name: string): boolean {
    return this.#descriptor(name) !== undefined || existsSync(join(this.#folder, name))
  }

  /** Wakes a process. Failing is no harm: it looks by itself now and then. */
  ring(name: string): void {
    // Whether it still hangs was seen when the place was granted.
    const bell = this.#open.get(name) ?? this.#descriptor(name)
    if (bell === undefined) return
    try {
      writeSync(bell, STROKE, 0, 1, 0)
    } catch {
      this.#forget(name)
    }
  }

  /** Removes the bells of processes that have ended. */
  sweep(keep: ReadonlySet<string>): void {
    for (const name of bellsIn(this.#folder)) if (!keep.has(name)) this.remove(name)
  }

  remove(name: string): void {
    this.#forget(name)
    try {
      rmSync(join(this.#folder, name), { force: true })
    } catch {
      // A folder that turned read-only, for example: a bell that stays is no harm.
    }
  }

  takeDown(): void {
    this.#unwatch()
    if (this.#own !== undefined) this.remove(this.#own)
    this.#own = undefined
  }

  close(): void {
    const hung = this.#own !== undefined
    this.takeDown()
    for (const name of this.#open.keys()) this.#forget(name)
    if (!hung) return
    try {
      rmdirSync(this.#folder)
    } catch {
      // Others still have theirs in it.
    }
  }

  #make(path: string): number {
    for (let tries = 1; ; tries++) {
      try {
        const made = mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
        this.#shareFolder(made !== undefined)
        const bell = openSync(path, 'wx', 0o600)
        share(bell, this.#rights, true)
        return bell
      } catch (error) {
        // Whoever took the last bell down has removed the folder in this very moment.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || tries === MAKE_TRIES) throw error
      }
    }
  }

  #shareFolder(isNew: boolean): void {
    if (process.platform === 'win32') return
    const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants
    let folder: number | undefined
    try {
      folder = openSync(this.#folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      share(folder, this.#rights, isNew)
    } catch {
      // Whatever is wrong with it shows when the bell is made.
    } finally {
      if (folder !== undefined) closeSync(folder)
    }
  }

  #unwatch(): void {
    this.#watcher?.close()
    this.#watcher = undefined
  }

  #descriptor(name: string): number | undefined {
    const known = this.#open.get(name)
    if (known !== undefined) {
      const nowMs = performance.now()
      if (nowMs - (this.#seenMs.get(name) ?? Number.NEGATIVE_INFINITY) < SEEN_MS) return known
      if (fstatSync(known).nlink > 0) {
        this.#seenMs.set(name, nowMs)
        return known
      }
      this.#forget(name)
    }
    try {
      const opened = openSync(join(this.#folder, name), 'r+')
      const oldest = this.#open.keys().next()
      if (this.#open.size >= OPEN_MAX && oldest.done !== true) this.#forget(oldest.value)
      this.#open.set(name, opened)
      return opened
    } catch {
      return undefined
    }
  }

  #forget(name: string): void {
    const bell = this.#open.get(name)
    if (bell === undefined) return
    this.#open.delete(name)
    this.#seenMs.delete(name)
    closeSync(bell)
  }
}
