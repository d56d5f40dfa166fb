import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { build } from '../demo/run.ts'

const path = (file: string): string => fileURLToPath(new URL(`../../${file}`, import.meta.url))
const library = ['--library', path('dist')]

interface Told {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** One run of the suite without the packages it compares with, which a test does not install. */
function bench(...args: readonly string[]): Promise<Told> {
  const all = [path('bench/main.mjs'), '--no-peers', ...library, ...args]
  return new Promise((resolve) => {
    const child = execFile(process.execPath, all, (_, out, err) => {
      resolve({ code: child.exitCode, out, err })
    })
  })
}

interface Row {
  readonly entries: { contender: string; values: { commands: { median: number } } }[]
  readonly verdicts: { what: string; met: boolean }[]
}

describe('the benchmarks', () => {
  let folder: string

  beforeAll(async () => {
    await build()
    folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-test-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('measure single rows by name, and write their figures, page and chart', async () => {
    const rows = ['--row', 'pairs', '--row', 'waiters-1000', '--rounds', '1']
    const { code, out, err } = await bench(...rows, '--out', folder)
    expect({ code, err }).toEqual({ code: 0, err: expect.stringContaining('waiters-1000') })
    expect(out).toMatch(/^pairs: Take and release/m)
    expect(out).toMatch(/^reached {2}holdfast, ioredis, commands: exactly 2, got 2$/m)
    expect(out).toMatch(/^local queue \+ raw +[\d.,]+ +2 +1,000/m)

    const files = ['pairs.json', 'pairs.svg', 'waiters-1000.json', 'waiters-1000.svg']
    expect(readdirSync(folder).sort()).toEqual(['README.md', ...files])
    const read = (file: string): string => readFileSync(join(folder, file), 'utf8')
    const pairs = JSON.parse(read('pairs.json')) as Row
    const commands = pairs.entries.map(({ contender, values }) => [
      contender,
      values.commands.median,
    ])
    expect(Object.fromEntries(commands)).toMatchObject({
      'holdfast, ioredis': 2,
      'raw, ioredis': 2,
    })
    expect(read('README.md')).toContain('| holdfast, ioredis, commands | exactly 2 | 2 | yes |')
    expect(read('README.md')).toContain('](waiters-1000.svg)')
    expect(read('waiters-1000.svg')).toMatch(/^<svg[\s\S]*holdfast, ioredis[\s\S]*<\/svg>\n$/)
  })

  it.each(['waiters-1000', 'handover-2'])(
    'fail when a lock lets in two at once: %s',
    async (row) => {
      const { code, err } = await bench('--row', row, '--only', 'broken', '--rounds', '1')
      expect({ code, err }).toEqual({
        code: 1,
        err: expect.stringMatching(/failed: OverlapError: broken: \d+ overlap/),
      })
    },
  )

  it('say what they cannot do', async () => {
    const unknown = await bench('--row', 'speed')
    expect(unknown).toMatchObject({
      code: 2,
      err: expect.stringContaining('no row is named speed'),
    })
    const help = await bench('--help')
    expect(help).toMatchObject({ code: 0, out: expect.stringContaining('-- --row NAME') })
    const { out } = await bench('--list')
    for (const row of ['pairs', 'handover-8', 'quorum-5'])
      expect(out).toMatch(RegExp(`^${row} `, 'm'))
  })
})
