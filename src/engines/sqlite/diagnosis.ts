import { realpathSync, statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Finding } from '../../core/finding.ts'
import type { Binding } from './binding.ts'
import { mountType } from './files.ts'

/** What can be seen of a file of locks and of what it lies on. */
export interface Observed {
  readonly path: string
  /** Permission bits of the file and of its folder; `undefined` where there are none. */
  readonly fileMode: number | undefined
  readonly folderMode: number | undefined
  /** User number of the file's owner where that is neither this user nor root. */
  readonly stranger: number | undefined
  /** Type of the file system, where the system tells. */
  readonly fileSystem: string | undefined
  readonly freeBytes: number
  readonly sqliteVersion: string
  /** Whether the system tells a waiter that its bell was rung. */
  readonly watched: boolean
}

/** Below this, the log of a busy file soon finds no room. */
const LEAST_FREE_BYTES = 16 * 1024 * 1024

/** Before this version, two processes that tidy up the log at one instant can damage the file. */
const SOUND_VERSION = [3, 51, 3]

const OTHERS_MAY_WRITE = 0o002
const GROUP_MAY_WRITE = 0o020
/** In such a folder, only the owner of a file may remove it. */
const STICKY = 0o1000

export function observe(binding: Binding, path: string, watched: boolean): Observed {
  const folder = realpathSync(dirname(path))
  const hasModes = process.platform !== 'win32'
  const { bavail, bsize } = statfsSync(folder)
  const { uid, mode } = statSync(path)
  return {
    path,
    fileMode: hasModes ? mode : undefined,
    folderMode: hasModes ? statSync(folder).mode : undefined,
    stranger: uid === 0 || uid === process.getuid?.() ? undefined : uid,
    fileSystem: mountType(folder),
    freeBytes: bavail * bsize,
    sqliteVersion: versionOf(binding),
    watched,
  }
}

function versionOf(binding: Binding): string {
  const connection = binding(':memory:')
  try {
    return String(connection.prepare('SELECT sqlite_version() AS version').get()?.['version'])
  } finally {
    connection.close()
  }
}

/** What endangers the promises of a file. */
export function fileFindings(observed: Observed): Finding[] {
  return [
    ...rights(observed),
    ...owner(observed),
    ...fileSystem(observed),
    ...space(observed),
    ...version(observed),
    ...watch(observed),
  ]
}

function rights({ path, fileMode = 0, folderMode = 0 }: Observed): Finding[] {
  const folder = (folderMode & STICKY) > 0 ? 0 : folderMode
  const isOpen = ((fileMode | folder) & OTHERS_MAY_WRITE) > 0
  const isShared = ((fileMode | folder) & GROUP_MAY_WRITE) > 0
  if (!isOpen && !isShared) return []
  return [
    {
      code: 'file-rights',
      severity: isOpen ? 'danger' : 'note',
      seen: `${isOpen ? 'Every user' : 'The group'} may write to ${JSON.stringify(path)} or replace it.`,
      endangers: 'Whoever may write there can take away locks that are held, or forge leases.',
      advice: 'Allow it to this user only: chmod 600 for the file, 700 for its folder.',
    },
  ]
}

/** Where a group shares the file, the rights tell of it; else only root can have opened it. */
function owner({ path, stranger, fileMode = 0 }: Observed): Finding[] {
  if (stranger === undefined || (fileMode & GROUP_MAY_WRITE) > 0) return []
  return [
    {
      code: 'file-owner',
      severity: 'danger',
      seen: `${JSON.stringify(path)} belongs to the user with the number ${stranger}.`,
      endangers: 'That user can take away locks that are held, forge leases, or stop everybody.',
      advice: 'Use a file in a folder of your own, or give this one to the user who uses it.',
    },
  ]
}

/** A network file system was refused when the file was opened. */
function fileSystem({ path, fileSystem: type }: Observed): Finding[] {
  if (type?.startsWith('fuse') !== true) return []
  return [
    {
      code: 'file-system',
      severity: 'warning',
      seen: `${JSON.stringify(path)} is on a file system of type ${type}.`,
      endangers: 'File locks that such a file system does not keep let two holders in at once.',
      advice: 'Use a path on a local disk.',
    },
  ]
}

function space({ path, freeBytes }: Observed): Finding[] {
  if (freeBytes >= LEAST_FREE_BYTES) return []
  return [
    {
      code: 'disk-space',
      severity: 'warning',
      seen: `${freeBytes} bytes are free where ${JSON.stringify(path)} is.`,
      endangers: 'When the disk is full, no lock can be taken and leases cannot be renewed.',
      advice: 'Free some space, or use a path on another disk.',
    },
  ]
}

function version({ sqliteVersion }: Observed): Finding[] {
  const parts = sqliteVersion.split('.').map(Number)
  const at = SOUND_VERSION.findIndex((part, index) => parts[index] !== part)
  if (at === -1 || (parts[at] ?? 0) > (SOUND_VERSION[at] ?? 0)) return []
  return [
    {
      code: 'sqlite-version',
      severity: 'warning',
      seen: `SQLite is ${sqliteVersion}.`,
      endangers: 'In rare cases two processes that tidy up its log at one instant damage the file.',
      advice: 'Use a Node or an @photostructure/sqlite with SQLite 3.51.3 or newer.',
    },
  ]
}

function watch({ watched }: Observed): Finding[] {
  if (watched) return []
  return [
    {
      code: 'no-watch',
      severity: 'note',
      seen: 'The system does not tell this process of changes to files.',
      endangers: 'No promise; waiters look every 20 ms, which costs processor time.',
      advice: 'On Linux, raise fs.inotify.max_user_instances and max_user_watches.',
    },
  ]
}
