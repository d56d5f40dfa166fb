import type { Engine } from '../../core/engine.ts'
import { MemoryEngine, type MemoryOptions } from './engine.ts'

export type { MemoryOptions } from './engine.ts'
export { MemoryStore, type MemoryStoreOptions } from './store.ts'

/** An engine that keeps its locks in this process. Every call makes a process of its own. */
export function memory(options: MemoryOptions = {}): Engine {
  return new MemoryEngine(options)
}
