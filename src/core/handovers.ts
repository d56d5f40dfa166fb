import { call, type Request } from './caller.ts'
import type { Core } from './core.ts'
import type { Absent } from './engine.ts'
import { Handover } from './handover.ts'
import type { Lease } from './lease.ts'
import type { HandoverLimits } from './options.ts'

/**
 * Takes a mutex like `acquire`, by a pass inside this process where that is quicker. Only callers
 * that ask for the same lease share a handover: what the engine knows of it is the same for all.
 */
export function acquireByHandover(
  core: Core,
  request: Request,
  limits: HandoverLimits,
): Promise<Lease | Absent> {
  const { name, ttlMs, grantTtlMs, lockDelayMs, about } = request.place
  const { passes, withinMs } = limits
  // Unlike the text of JSON it costs next to nothing. With its length in front, `about` cannot be
  // taken for a part of the name.
  const numbers = `${ttlMs} ${grantTtlMs} ${lockDelayMs} ${passes} ${withinMs} ${about.length}`
  const key = `${numbers} ${about}${name}`
  return call(core, request, (caller) => {
    const handover = core.handovers.get(key) ?? open(core, key, limits)
    handover.join(caller)
  })
}

function open(core: Core, key: string, limits: HandoverLimits): Handover {
  const handover = new Handover(core, limits, () => core.handovers.delete(key))
  core.handovers.set(key, handover)
  return handover
}
