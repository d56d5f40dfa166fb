import { mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../support/until.ts'
import { build, fromClone, main, Run } from './run.ts'

let folder: string
let temporary: string
let home: string

beforeAll(async () => {
  await build()
  folder = mkdtempSync(join(tmpdir(), 'holdfast-own-file-'))
  temporary = mkdtempSync(join(folder, 'tmp-'))
  home = mkdtempSync(join(folder, 'home-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const short = ['--processes', '2', '--task-ms', '20']

/** A machine on which there is nothing but Node. */
function stranger(args: readonly string[], env: NodeJS.ProcessEnv = {}): Run {
  const own = { HOME: home, PATH: dirname(process.execPath), TMPDIR: temporary }
  const clean = { XDG_STATE_HOME: undefined, npm_lifecycle_event: undefined }
  return new Run(process.execPath, args, { ...clean, ...own, ...env })
}

describe.skipIf(process.platform === 'win32')('a demo that is told nothing', () => {
  it('needs no server, and touches nothing of the user', async () => {
    const { code, out, err } = await stranger([main, 'demo', ...short]).end()
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(/^Uses a SQLite file of its own, without a server\.\n/)
    expect(out).toMatch(/\n {4}The same on Redis: holdfast demo --redis\n$/)
    expect(readdirSync(temporary)).toEqual([])
    expect(readdirSync(home)).toEqual([])
  })

  it.each([
    ['npx', [], 'npx holdfast demo --redis'],
    ['demo', ['--try'], 'npm run demo -- --try --redis'],
  ])('called by %s says how it is called on Redis', async (caller, args, command) => {
    const env = { npm_lifecycle_event: caller }
    const { out } = await stranger([fromClone, ...short, ...args], env).end()
    expect(out).toContain(`The same on Redis: ${command}\n`)
  })

  it('ends its processes and its file when it is killed', async () => {
    const run = stranger([main, 'demo', '--json', '--processes', '3', '--task-ms', '60000'])
    await until(() => run.events.filter(({ type }) => type === 'waits').length === 2, {
      what: 'two processes to wait',
      timeoutMs: 20_000,
    })
    expect(readdirSync(temporary)).toHaveLength(1)
    run.child.kill('SIGKILL')
    await run.end()
    await until(() => run.processes().length === 0, { what: 'every process to end' })
    expect(readdirSync(temporary)).toEqual([])
  })

  it('leaves nothing when it is interrupted', async () => {
    const run = stranger([main, 'demo', '--json', '--processes', '2', '--task-ms', '60000'])
    await until(() => run.events.some(({ type }) => type === 'waits'), {
      what: 'one to wait',
      timeoutMs: 20_000,
    })
    run.child.kill('SIGINT')
    expect(await run.end()).toMatchObject({ code: 130, err: '' })
    expect(readdirSync(temporary)).toEqual([])
  })

  it.skipIf(process.getBuiltinModule?.('node:sqlite') !== undefined)(
    'says what to install where there is no SQLite',
    async () => {
      const bare = mkdtempSync(join(folder, 'bare-'))
      const root = dirname(dirname(dirname(main)))
      for (const name of ['dist', 'package.json']) symlinkSync(join(root, name), join(bare, name))
      const at = join(bare, 'dist/cli/main.js')
      const run = stranger(['--preserve-symlinks', '--preserve-symlinks-main', at, 'demo'])
      const { code, out, err } = await run.end()
      expect({ code, out }).toEqual({ code: 69, out: '' })
      expect(err).toMatch(/^holdfast demo: This Node .*npm install @photostructure\/sqlite\. .*\n$/)
      expect(err).toContain('Or use --redis.')
      expect(readdirSync(temporary)).toEqual([])
    },
  )
})

describe('a given file', () => {
  it('is shown as it was given, and kept', async () => {
    const at = join(folder, 'given locks.db')
    const { code, out } = await stranger([main, 'demo', ...short, '--url', `sqlite:${at}`]).end()
    expect(code).toBe(0)
    expect(out).toContain(`Uses the file of sqlite:${at}.\n`)
    expect(out).not.toContain('The same on Redis')
    expect(readdirSync(folder)).toContain('given locks.db')
  })
})
