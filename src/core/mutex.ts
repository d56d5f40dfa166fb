import type { Core } from './core.ts'
import { Lock } from './lock.ts'
import type { LeaseSettings } from './options.ts'

/** An exclusive lock: at most one lease at a time. */
export class Mutex extends Lock {
  /** @internal */
  constructor(core: Core, name: string, settings: LeaseSettings) {
    super(core, { name, shape: { kind: 'mutex', capacity: 1 }, permits: () => 1 }, settings)
  }
}
