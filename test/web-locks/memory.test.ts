import { createHoldfast } from 'holdfast'
import { MemoryStore, memory } from 'holdfast/memory'
import { describe } from 'vitest'
import { systemClock } from '../../src/system/clock.ts'
import { webLocksSpecification } from './specification.ts'

describe('Web Locks in memory', () => {
  webLocksSpecification(async () => {
    const store = new MemoryStore({ clock: systemClock })
    return {
      async holdfast(options) {
        return createHoldfast({ engine: memory({ store }), ...options })
      },
      stop: async () => undefined,
    }
  })
})
