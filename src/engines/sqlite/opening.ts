import {
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  type Stats,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { systemRandom } from '../../system/clock.ts'
import { bellsIn, strike } from './bells.ts'
import type { Binding } from './binding.ts'
import { fileError, isBusy } from './failure.ts'
import { isMountPoint, networkType } from './files.ts'
import { COMPANIONS, statOf } from './presence.ts'

/** How long a new file waits for those who used the one before to learn that it is gone. */
const FAREWELL_MS = 1_500

/** How often they are told. */
const RING_MS = 100

/** The end of the name under which a file is made, before it is linked into place. */
const TEMPORARY = /-[\da-f]{12}$/

const FOR_OTHERS = 0o077
const WRITE_FOR_OTHERS = 0o022

/** Makes the files fit to be opened: that they are files, that they belong together. */
export class Opening {
  readonly #given: string
  readonly #binding: Binding
  #waitedSinceMs: number | undefined
  #rungAtMs = Number.NEGATIVE_INFINITY
  /** The bells are gone together with the file. */
  #isSevered = false

  constructor(given: string, binding: Binding) {
    this.#given = given
    this.#binding = binding
  }

  /**
   * The path without links, with a file behind it that may be opened; folder and file are made for
   * this user only where they are missing. Throws `EngineError`, a transient one as long as others
   * still use what was there before.
   */
  prepare(): string {
    makeFolder(this.#given)
    const folder = realpathSync(dirname(this.#given))
    checkFileSystem(this.#given, folder)
    refuseOthers(this.#given)
    // Two paths of one file must lead to the same bells.
    const path = existsSync(this.#given)
      ? realpathSync(this.#given)
      : join(folder, basename(this.#given))
    for (const ending of COMPANIONS) refuseOthers(path + ending)
    if (statOf(`${path}-bells`)?.isDirectory() === false) {
      throw fileError('connect', `${JSON.stringify(`${path}-bells`)} is in the way; remove it`)
    }
    if (existsSync(path)) {
      refuseOtherNames(path)
      tighten(path)
      this.#reconcile(path)
    } else {
      this.bidFarewell(path)
      makeFile(path)
    }
    return path
  }

  /** The path is open, and everybody else uses the same file or was waited for. */
  done(): void {
    this.#waitedSinceMs = undefined
    this.#isSevered = false
  }

  /** The files that were opened last are gone; those who use them have to be waited for. */
  lost(): void {
    this.#isSevered = !existsSync(`${this.#given}-bells`)
  }

  /**
   * A new file grants what others may still hold in the one before: they are told first. They have
   * bells that the new one does not know. Who does not answer has ended, or is stopped.
   */
  bidFarewell(path: string, known: (bell: string) => boolean = () => false): void {
    const names = bellsIn(`${path}-bells`).filter((name) => !known(name))
    // Whoever cannot be woken looks by itself in that time.
    if ((names.length === 0 && !this.#isSevered) || !this.#waits(path, names)) return
    throw fileError(
      'connect',
      `${JSON.stringify(path)} was deleted or replaced, and others have not left it yet`,
      { transient: true },
    )
  }

  /**
   * A database without one of its companions: nobody uses it, or somebody removed them under those
   * who do. Two processes with two logs or two sets of file locks would damage it.
   */
  #reconcile(path: string): void {
    const size = statOf(path)?.size ?? 0
    const there = COMPANIONS.filter((ending) => existsSync(path + ending)).length
    if (size > 0 ? there === COMPANIONS.length : there === 0) return
    const connection = this.#binding(path)
    try {
      connection.exec('PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE')
      connection.exec('BEGIN EXCLUSIVE; ROLLBACK')
    } catch (cause) {
      // Whatever else is wrong is told in better words by whoever opens it next.
      if (!isBusy(cause)) return
      this.#waits(path, bellsIn(`${path}-bells`))
      const companions = COMPANIONS.map((ending) => basename(path) + ending).join(' or ')
      throw fileError(
        'connect',
        `${JSON.stringify(path)} is in use by a process that ${companions} was taken from, or that ` +
          'opens or closes it in this moment; end it if this goes on',
        { transient: true, cause },
      )
    } finally {
      connection.close()
    }
  }

  /** Wakes those who may still use the file; whether it is too early to go on without them. */
  #waits(path: string, names: readonly string[]): boolean {
    const nowMs = performance.now()
    this.#waitedSinceMs ??= nowMs
    if (nowMs - this.#rungAtMs >= RING_MS) {
      this.#rungAtMs = nowMs
      for (const name of names) strike(join(`${path}-bells`, name))
    }
    return nowMs - this.#waitedSinceMs < FAREWELL_MS
  }
}

function makeFolder(path: string): void {
  const folder = dirname(path)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code !== 'EEXIST' && code !== 'ENOTDIR') throw cause
    throw fileError(
      'connect',
      `${JSON.stringify(path)} cannot be made, because ${JSON.stringify(folder)} is not a folder ` +
        'or is below something that is none',
      { cause },
    )
  }
}

function checkFileSystem(path: string, folder: string): void {
  const type = networkType(folder)
  if (type === undefined) return
  throw fileError(
    'connect',
    `${JSON.stringify(path)} is on a network file system (${type}), where SQLite's locks cannot ` +
      'be trusted; use a path on a local disk, or Redis for more than one machine',
  )
}

/** Whatever is no file is refused by name: SQLite would call it a disk that failed. */
function refuseOthers(path: string): void {
  const stats = statOf(path)
  const link = stats ?? lstatSync(path, { throwIfNoEntry: false })
  if (stats?.isFile() === true || link === undefined) return
  const advice = stats?.isDirectory()
    ? `; give the path of a file in it, such as ${JSON.stringify(join(path, 'locks.db'))}`
    : '; locks need a file of their own'
  throw fileError(
    'connect',
    stats === undefined
      ? `${JSON.stringify(path)} is a link to ${JSON.stringify(readlinkSync(path))}, where nothing ` +
          'is; remove the link, or give the path of a file'
      : `${JSON.stringify(path)} is ${kindOf(stats)}${advice}`,
  )
}

/**
 * SQLite finds the log of a file by its name. Under a second name the file would have a second log,
 * in which nobody sees what was granted in the first.
 */
function refuseOtherNames(path: string): void {
  const problem = isMountPoint(path)
    ? 'is mounted by itself, so that its log would lie elsewhere than that of others who use it; ' +
      'mount its folder instead'
    : namesOf(path) > 1
      ? 'has other names (hard links), under which others would not see its log; remove them, or ' +
        'use symbolic links'
      : undefined
  if (problem !== undefined) throw fileError('connect', `${JSON.stringify(path)} ${problem}`)
}

/** How many names a file has, without those that a process is about to remove or could not. */
function namesOf(path: string): number {
  const stats = statOf(path)
  if (stats === undefined || stats.nlink <= 1) return 1
  const folder = dirname(path)
  for (const name of readdirSync(folder)) {
    const isOurs = name.startsWith(`${basename(path)}-`) && TEMPORARY.test(name)
    const other = join(folder, name)
    if (isOurs && statOf(other)?.ino === stats.ino) rmSync(other, { force: true })
  }
  return statOf(path)?.nlink ?? 1
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a folder'
  if (stats.isFIFO()) return 'a named pipe'
  if (stats.isSocket()) return 'a socket'
  return 'a device'
}

/**
 * Takes from others the right to read a file of this user that they may not write. It gives them
 * nothing: locks are taken by writing. But whoever may read can lock it, and so stop everybody.
 */
function tighten(path: string): void {
  if (process.getuid === undefined) return
  for (const file of [path, ...COMPANIONS.map((ending) => path + ending)]) {
    const stats = statOf(file)
    if (stats?.uid !== process.getuid()) continue
    if ((stats.mode & FOR_OTHERS) === 0 || (stats.mode & WRITE_FOR_OTHERS) !== 0) continue
    chmodSync(file, 0o600)
  }
}

function makeFile(path: string): void {
  // Left over from a file that was deleted alone: SQLite would take them for the new file's. What
  // was not there before cannot be that, but another process's that has just made the file.
  const left = COMPANIONS.map((ending) => path + ending).filter((each) => existsSync(each))
  if (existsSync(path)) return
  for (const each of left) rmSync(each, { force: true })
  // Linked into place: opening and closing the file itself would drop SQLite's locks on it.
  const empty = `${path}-${systemRandom.identity().slice(0, 12)}`
  closeSync(openSync(empty, 'wx', 0o600))
  try {
    linkSync(empty, path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // Another process was first.
    if (code === 'EEXIST' || existsSync(path)) return
    if (code === 'ENOENT' || code === 'EACCES') throw error
    // A file system without links.
    closeSync(openSync(path, 'wx', 0o600))
  } finally {
    rmSync(empty, { force: true })
  }
}
