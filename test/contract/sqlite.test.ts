import { engineContract } from 'holdfast/testing'
import { describe, it } from 'vitest'
import { sqliteWorld } from './sqlite-world.ts'

engineContract({ describe, it, name: 'sqlite', start: sqliteWorld })
