import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { combinationsOf, exercises, rows } from '../support/matrix.ts'
import { type Nodes, open, startNodes } from './rig.ts'

let nodes: Nodes

beforeAll(async () => {
  nodes = await startNodes(3)
})
afterAll(async () => {
  await nodes?.stop()
})

describe.each(rows.filter(({ engine }) => engine === 'quorum').flatMap(combinationsOf))(
  '$primitive on $engine',
  ({ primitive }) => {
    it('is handed over and leaves nothing behind', async () => {
      const exercise = exercises.get(primitive)
      expect(exercise).toBeDefined()
      const [a, b] = [await open(nodes), await open(nodes)]
      try {
        await exercise?.(a, b, `job of ${primitive}`)
      } finally {
        await a.close()
        await b.close()
      }
    })
  },
)
