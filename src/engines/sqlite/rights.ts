import { fchmodSync, fchownSync, fstatSync, lchownSync, type Stats } from 'node:fs'
import { COMPANIONS, statOf } from './presence.ts'

/** Whose a file is, and who may use it. */
export type Rights = Pick<Stats, 'uid' | 'gid' | 'mode'>

const READ_WRITE = 6
const ALL = 7
const SET_GROUP = 0o2000

/**
 * Lets those who may use the database use what lies beside it, whatever the umask says: an open
 * file or folder that this process has made, or that this user made earlier (`isNew` is false).
 * Root gives away only what is new: a path that another user can change may lead to anything.
 */
export function share(descriptor: number, { uid, gid, mode }: Rights, isNew: boolean): void {
  const own = process.getuid?.()
  const stats = fstatSync(descriptor)
  if (own === undefined || stats.uid !== own) return
  const owner = own === 0 && isNew ? uid : own
  let isGroups = stats.gid === gid
  if (!isGroups || owner !== own) {
    try {
      fchownSync(descriptor, owner, gid)
      isGroups = true
    } catch {
      // This user is no member of that group. Another group gets nothing.
    }
  }
  const all = stats.isDirectory() ? ALL : READ_WRITE
  const rightsAt = (shift: number): number =>
    ((mode >> shift) & READ_WRITE) === READ_WRITE ? all << shift : 0
  const wanted = (all << 6) | (isGroups ? rightsAt(3) : 0) | rightsAt(0)
  if ((stats.mode & 0o777) === wanted) return
  try {
    fchmodSync(descriptor, wanted | (stats.mode & SET_GROUP))
  } catch {
    // A file system that knows no rights.
  }
}

/** SQLite gives its log the rights of the database, but its group only when root runs it. */
export function shareCompanions(path: string, { gid }: Rights): void {
  const own = process.getuid?.()
  if (own === undefined || own === 0) return
  for (const companion of COMPANIONS.map((ending) => path + ending)) {
    const stats = statOf(companion)
    if (stats?.uid !== own || stats.gid === gid) continue
    try {
      lchownSync(companion, own, gid)
    } catch {
      // This user is no member of that group.
    }
  }
}
