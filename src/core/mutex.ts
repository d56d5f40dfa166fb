import type { Core } from './core.ts'
import { Lock } from './lock.ts'
import type { HandoverLimits, LeaseSettings } from './options.ts'

const SHAPE = { kind: 'mutex', capacity: 1 } as const

/** An exclusive lock: at most one lease at a time. */
export class Mutex extends Lock {
  /** @internal */
  constructor(core: Core, name: string, settings: LeaseSettings, handover?: HandoverLimits) {
    super(core, { name, shape: SHAPE, permits: () => 1, handover }, settings)
  }
}
