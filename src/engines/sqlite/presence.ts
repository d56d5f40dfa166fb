import { type FSWatcher, rmSync, type Stats, statSync, watch } from 'node:fs'

/** The files that SQLite keeps beside a database that is open. */
export const COMPANIONS = ['-wal', '-shm'] as const

/** What tells one file from another. While somebody has it open, no other gets the same number. */
type Mark = Pick<Stats, 'dev' | 'ino'>

/** What is known of a file; `undefined` where there is none. */
export function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined
    throw error
  }
}

const MISSING = 'missing'
const GONE = 'was deleted or moved away'

/** Which file a path leads to now. */
export function fileMark(path: string): string {
  const stats = statOf(path)
  return stats === undefined ? MISSING : `${stats.dev}:${stats.ino}`
}

/** What became of a file that had this mark. Never throws. */
export function changeOf(path: string, mark: string): string | undefined {
  try {
    const now = fileMark(path)
    if (now === mark) return undefined
    return now === MISSING ? GONE : 'was replaced'
  } catch {
    return undefined
  }
}

/**
 * The files of an open database, and whether their names still lead to them. Whoever goes on with
 * files that others do not find excludes nobody, and two logs on one database damage it.
 */
export class Presence {
  readonly #given: string
  readonly #path: string
  readonly #isSound: () => boolean
  readonly #file: Mark
  readonly #companions: readonly { readonly path: string; readonly mark: Mark | undefined }[]
  #size: number
  #watcher: FSWatcher | undefined

  /** `given` may lead to `path` by links. `isSound` reads all of the database. */
  constructor(given: string, path: string, isSound: () => boolean) {
    const stats = statSync(path)
    this.#isSound = isSound
    this.#given = given
    this.#path = path
    this.#file = stats
    this.#size = stats.size
    this.#companions = COMPANIONS.map((ending) => path + ending).map((companion) => ({
      path: companion,
      mark: statOf(companion),
    }))
  }

  /** What became of the database, `undefined` if nothing. In every transaction; never throws. */
  glance(): string | undefined {
    let now: Stats | undefined
    try {
      now = statOf(this.#given)
    } catch {
      // Without the right to look, nobody can tell. Who opens it next is told why.
      return undefined
    }
    if (now === undefined) return GONE
    if (now.ino !== this.#file.ino || now.dev !== this.#file.dev) return 'was replaced'
    // Somebody may also have tidied it up.
    if (now.size < this.#size && (now.size === 0 || !this.#isSound())) return 'was cut short'
    this.#size = now.size
    return undefined
  }

  /** What became of the database or one of its companions. Never throws. */
  look(): string | undefined {
    const seen = this.glance()
    if (seen !== undefined) return seen
    try {
      const gone = this.#companions.find(({ path, mark }) => !isSame(statOf(path), mark))
      return gone && `lost its companion ${JSON.stringify(gone.path)}`
    } catch {
      return undefined
    }
  }

  /** Calls `onChange` when the system tells of a change to the database, where it can. */
  watch(onChange: () => void): void {
    try {
      this.#watcher = watch(this.#path, { persistent: false }, onChange)
      this.#watcher.on('error', () => this.unwatch())
    } catch {
      // No watches left: looking now and then has to do.
    }
  }

  unwatch(): void {
    this.#watcher?.close()
    this.#watcher = undefined
  }

  /**
   * Removes what is left of a database that is gone, and what was emptied. A new one would take the
   * old log for its own.
   */
  clear(): void {
    try {
      const now = statOf(this.#path)
      const isOurs = isSame(now, this.#file)
      if (isOurs && now?.size !== 0) return
      if (isOurs) rmSync(this.#path, { force: true })
      for (const { path, mark } of this.#companions) {
        if (mark !== undefined && isSame(statOf(path), mark)) rmSync(path, { force: true })
      }
    } catch {
      // Whoever opens the file next is told what stands in the way.
    }
  }
}

function isSame(now: Mark | undefined, mark: Mark | undefined): boolean {
  return now?.ino === mark?.ino && now?.dev === mark?.dev
}
