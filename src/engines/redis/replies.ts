import type { Kind, LockState, Occupant, Shape } from '../../core/engine.ts'
import type { Reply } from './port.ts'

/** What stands where a script promised a number; large ones may come as text. */
export function number(reply: Reply | undefined): number {
  return Number(reply)
}

/** What stands where a script promised text. */
export function text(reply: Reply | undefined): string {
  return String(reply ?? '')
}

/**
 * An answer of acquire.lua as all others of it. What it says of a free lock that it took is one
 * number, the fence, which is then also the server's time: that is the quickest to send and to read.
 */
export function inFull(reply: readonly Reply[], ttlMs: number): readonly Reply[] {
  const [fence = 0] = reply
  return reply.length === 1 ? ['held', fence, ttlMs, fence] : reply
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

/** Kind and capacity as the scripts write them. */
export function shapeOf(reply: Reply | undefined): Shape {
  const [kind, capacity] = text(reply).split(' ')
  return { kind: kind as Kind, capacity: Number(capacity) }
}

/** The answer "taken" of inspect.lua. */
export function lockState(name: string, reply: readonly Reply[]): LockState {
  const [, shape, waiting, holders, waiters] = reply
  return {
    name,
    ...shapeOf(shape),
    holders: rows(holders).map(([identity, ours, permits, leftMs, fence, heldMs, about]) => ({
      identity: text(identity),
      ours: ours === 1,
      permits: number(permits),
      about: text(about),
      fence: number(fence),
      ttlMs: number(leftMs) < 0 ? Number.POSITIVE_INFINITY : number(leftMs),
      heldMs: Math.max(0, number(heldMs)),
    })),
    waiters: rows(waiters).map(([identity, permits, about]) => ({
      identity: text(identity),
      permits: number(permits),
      about: text(about),
    })),
    waiting: number(waiting),
  }
}

function rows(reply: Reply | undefined): readonly (readonly Reply[])[] {
  return (reply ?? []) as readonly (readonly Reply[])[]
}
