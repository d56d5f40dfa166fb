import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/**
 * Descriptors above 2 that this process was started with, such as that of `3>log` or those of a
 * make's job server. To be asked before anything is opened. Linux only; elsewhere there are none.
 */
export function inherited(): number[] {
  if (process.platform !== 'linux') return []
  try {
    return readdirSync('/proc/self/fd')
      .map(Number)
      .filter((fd) => fd > 2 && isInherited(fd))
      .sort((a, b) => a - b)
  } catch {
    return []
  }
}

/** What Node opened for itself is told apart by its kind. */
function isInherited(fd: number): boolean {
  try {
    const target = readlinkSync(`/proc/self/fd/${fd}`)
    if (target.startsWith('anon_inode:')) return false
    if (/^\/proc\/\d+\/fd$/.test(target)) return false
    // Node's own pipes are known to nobody else; one from outside may have both its ends here.
    return !target.startsWith('pipe:') || !hasBothEnds(target) || isOfParent(fd, target)
  } catch {
    // The listing itself.
    return false
  }
}

function hasBothEnds(pipe: string): boolean {
  const ends = readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === pipe
    } catch {
      return false
    }
  })
  return new Set(ends.map(modeOf)).size > 1
}

/** Whether a descriptor reads or writes. */
function modeOf(fd: string): string | undefined {
  return /^flags:.*([012])$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1]
}

function isOfParent(fd: number, target: string): boolean {
  return readlinkSync(`/proc/${process.ppid}/fd/${fd}`) === target
}

/** For `spawn`: all of them under the numbers that they have. */
export function stdioWith(more: readonly number[]): ('inherit' | 'ignore' | number)[] {
  const last = Math.max(2, ...more)
  return Array.from({ length: last + 1 }, (_, fd) => {
    return fd <= 2 ? 'inherit' : more.includes(fd) ? fd : 'ignore'
  })
}
