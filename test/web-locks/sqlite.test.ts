import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'holdfast'
import { describe } from 'vitest'
import { webLocksSpecification } from './specification.ts'

describe('Web Locks on SQLite', () => {
  webLocksSpecification(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-web-locks-'))
    return {
      holdfast: (options) => connect(`sqlite:${join(folder, 'locks.db')}`, options),
      stop: () => rm(folder, { recursive: true, force: true }),
    }
  })
})
