import type { Core } from './core.ts'
import { ALL, type Shape } from './engine.ts'
import { Lock } from './lock.ts'
import type { LeaseSettings } from './options.ts'

const SHAPE: Shape = { kind: 'read-write', capacity: ALL }

/**
 * Any number of readers or one writer. Served in order: a writer that waits keeps later readers
 * behind it, and readers who wait come in together, up to the next writer.
 */
export class ReadWriteLock {
  readonly name: string
  /** Shared with other readers. */
  readonly read: Lock
  /** Alone. */
  readonly write: Lock

  /** @internal */
  constructor(core: Core, name: string, settings: LeaseSettings) {
    this.name = name
    this.read = new Lock(core, { name, shape: SHAPE, permits: () => 1 }, settings)
    this.write = new Lock(core, { name, shape: SHAPE, permits: () => ALL }, settings)
  }
}
