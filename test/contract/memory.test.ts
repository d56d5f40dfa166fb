import { engineContract } from 'holdfast/testing'
import { describe, it } from 'vitest'
import { memoryWorld } from './memory-world.ts'

engineContract({ describe, it, name: 'memory', start: memoryWorld })
