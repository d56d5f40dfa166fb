import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'holdfast'
import { describe, expect, it } from 'vitest'
import { combinationsOf, exercises, rows } from '../support/matrix.ts'

describe.each(rows.filter(({ engine }) => engine === 'sqlite').flatMap(combinationsOf))(
  '$primitive on $engine',
  ({ primitive }) => {
    it('is handed over and leaves nothing behind', async () => {
      const exercise = exercises.get(primitive)
      expect(exercise).toBeDefined()
      const folder = await mkdtemp(join(tmpdir(), 'holdfast-matrix-'))
      const url = `sqlite:${join(folder, 'locks.db')}`
      const [a, b] = [await connect(url), await connect(url)]
      try {
        await exercise?.(a, b, 'job')
      } finally {
        await a.close()
        await b.close()
        await rm(folder, { recursive: true, force: true })
      }
    })
  },
)
