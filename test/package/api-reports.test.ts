import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { doors, root, run } from '../support/packed.ts'

const reports = readdirSync(join(root, 'docs/api'))

it('has one reviewed report of the public API for each door', () => {
  const wanted = doors.map((door) => `${door.replace(/^holdfast\/?/, '') || 'index'}.api.md`)
  expect(reports.sort()).toEqual(wanted.sort())
})

it('declares what the reviewed reports say', () => {
  run(process.execPath, [join(root, 'scripts/api-reports.mjs'), '--check'], root)
})

it('builds its reference, with a comment on everything public', () => {
  run('npm', ['run', 'docs'], root)
  expect(existsSync(join(root, 'docs/reference/site/index.html'))).toBe(true)
})
