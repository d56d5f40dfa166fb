import { expect, it } from 'vitest'
import { memoryWorld } from '../contract/memory-world.ts'
import { engineModel } from './model.ts'

it('agrees with the line on random histories', async () => {
  const report = await engineModel({
    name: 'memory',
    start: memoryWorld,
    kinds: ['mutex', 'semaphore', 'read-write', 'election'],
    runs: 300,
    file: 'test/model/memory.test.ts',
  })
  expect(report.blurred).toBe(0)
  expect(report.steps).toBeGreaterThan(1_000)
}, 60_000)
