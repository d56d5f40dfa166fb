import { setTimeout as wait } from 'node:timers/promises'
import { Family, type Root, send } from './processes.ts'

const LOOK_EVERY_MS = 20

/** Longest wait for killed processes to be gone: one in the midst of disk work ends after it. */
const GONE_WITHIN_MS = 5000

/**
 * Stops a command and all that came from it: SIGTERM, `graceMs`, SIGKILL. Resolves to the processes
 * that could not be ended, such as those of another user; usually none. With `told` they have had
 * their SIGTERM.
 */
export async function stopAll(root: Root, graceMs: number, told = false): Promise<number[]> {
  const family = new Family(root)
  const seen = new Set<number>()
  const killAt = performance.now() + graceMs
  let members = family.members()
  while (members.length > 0 && performance.now() < killAt) {
    for (const pid of told ? [] : family.direct(members)) {
      if (seen.has(pid)) continue
      seen.add(pid)
      send(pid, 'SIGTERM')
      // One that is stopped, as by Ctrl-Z, would not see the signal.
      send(pid, 'SIGCONT')
    }
    await wait(Math.min(LOOK_EVERY_MS, Math.max(1, killAt - performance.now())))
    members = family.members()
  }
  const giveUpAt = performance.now() + GONE_WITHIN_MS
  while (members.length > 0 && performance.now() < giveUpAt) {
    family.killGroup()
    for (const pid of members) send(pid, 'SIGKILL')
    await wait(LOOK_EVERY_MS)
    members = family.members()
  }
  return members
}
