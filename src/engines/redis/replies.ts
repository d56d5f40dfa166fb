import type { LockState, Occupant, WaiterState } from '../../core/engine.ts'
import type { Reply } from './port.ts'

/** What stands where a script promised a number; large ones may come as text. */
export function number(reply: Reply | undefined): number {
  return Number(reply)
}

/** What stands where a script promised text. */
export function text(reply: Reply | undefined): string {
  return String(reply ?? '')
}

/** The holder that a script told of, as a part of a standing. */
export function occupant(
  holder: Reply | undefined,
  ours: Reply | undefined,
  about: Reply | undefined,
): { occupant?: Occupant } {
  if (holder === '' || holder === undefined) return {}
  const identity = text(holder)
  // A mark in front says that the lock is kept after its lease, by nobody.
  const kept = ours === 1 && identity.startsWith('~')
  return { occupant: { identity: kept ? '' : identity, ours: ours === 1, about: text(about) } }
}

/** The answer "taken" of inspect.lua. */
export function lockState(name: string, reply: readonly Reply[]): LockState {
  const [, taken, holder, ours, leftMs, fence, heldMs, about, waiting, ...line] = reply
  const held = {
    identity: text(holder),
    ours: ours === 1,
    permits: 1,
    about: text(about),
    fence: number(fence),
    ttlMs: number(leftMs) < 0 ? Number.POSITIVE_INFINITY : number(leftMs),
    heldMs: Math.max(0, number(heldMs)),
  }
  const waiters: WaiterState[] = []
  for (let at = 0; at < line.length; at += 2) {
    waiters.push({ identity: text(line[at]), permits: 1, about: text(line[at + 1]) })
  }
  return {
    name,
    kind: 'mutex',
    capacity: 1,
    holders: taken === 1 ? [held] : [],
    waiters,
    waiting: number(waiting),
  }
}
