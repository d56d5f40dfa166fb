import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CATALOGUE } from '../../src/cli/catalogue.ts'
import { EXIT, EXIT_TABLE } from '../../src/cli/exit.ts'
import { exitsOf } from '../../src/cli/help.ts'
import { Desk, main, root } from './support.ts'

let desk: Desk
beforeEach(() => {
  desk = new Desk()
})
afterEach(() => desk.clear())

const names = CATALOGUE.map(({ name }) => name)

describe('help', () => {
  it('lists every command and every exit code', async () => {
    const { code, out } = await desk.holdfast(['--help']).end()
    expect(code).toBe(0)
    for (const { name, summary } of CATALOGUE) expect(out).toContain(`${name}`.padEnd(12) + summary)
    const words = out.replace(/\s+/g, ' ')
    for (const [exit, meaning] of EXIT_TABLE) expect(words).toContain(`${exit} ${meaning}`)
  })

  it('belongs to holdfast in front of -- only', async () => {
    const { out } = await desk.holdfast(['run', 'x', '--', 'printf', '%s\\n', '--help']).end()
    expect(out).toBe('--help\n')
  })
})

describe('an option', () => {
  it('may have a value that looks like another option', async () => {
    const line = await desk.holdfast(['run', 'x', '--label=-h', '--', 'echo', 'ran']).end()
    expect(line).toMatchObject({ code: 0, out: 'ran\n' })
    const { code, err, out } = await desk.holdfast(['run', 'x', '-c', '-h']).end()
    expect({ code, err, out }).toEqual({
      code: 64,
      err: 'holdfast run: --command lacks its value; one that starts with a dash: --command=-...\n',
      out: '',
    })
  })
})

describe('the man page', () => {
  it('is built, named in the package, and tells everything', () => {
    const manifest = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { man: string[] }
    const page = readFileSync(`${root}${manifest.man[0]}`, 'utf8').replaceAll('\\-', '-')
    for (const { name, options } of CATALOGUE) {
      expect(page).toContain(`holdfast ${name}`)
      for (const option of options) expect(page).toContain(`--${option.name}`)
    }
    for (const [code] of EXIT_TABLE) expect(page).toContain(`\\fB${code}\\fR`)
    // A line that starts with a dot is an order; nothing else may look like one.
    const orders = page.match(/^\.\S+/gm) ?? []
    const known = [
      '.TH',
      '.SH',
      '.SS',
      '.B',
      '.br',
      '.PP',
      '.TP',
      '.nf',
      '.fi',
      '.RS',
      '.RE',
      '.BR',
    ]
    expect([...new Set(orders)].filter((order) => !known.includes(order))).toEqual([])
  })
})

describe('the exit codes', () => {
  it('that the program knows are those of the table', () => {
    const told = EXIT_TABLE.map(([code]) => Number.parseInt(code, 10)).filter((code) => code >= 0)
    expect(Object.values(EXIT).sort((a, b) => a - b)).toEqual(told)
  })

  it('in the help of a command come from the table or from the command', async () => {
    for (const spec of CATALOGUE.filter(({ name }) => /^(run|elect|show|demo)$/.test(name))) {
      const { out } = await desk.holdfast([spec.name, '--help']).end()
      const words = out.slice(out.indexOf('Exit codes:')).replace(/\s+/g, ' ')
      for (const [code, meaning] of exitsOf(spec)) expect(words).toContain(` ${code} ${meaning}`)
      const own = spec.exits ?? [['0', 'Done.']]
      const known = [...EXIT_TABLE, ...own].map((row) => row.join(' '))
      for (const row of exitsOf(spec)) expect(known).toContain(row.join(' '))
    }
  })
})

describe('docs/cli.md', () => {
  const page = readFileSync(`${root}docs/cli.md`, 'utf8')

  it('has the table of exit codes, and no other code', () => {
    const [table = ''] =
      /(?<=\| code +\| meaning +\|\n\|[ -]+\|[ -]+\|\n)(\|.*\n)+/.exec(page) ?? []
    const rows = table
      .trimEnd()
      .split('\n')
      .map((row) =>
        row
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      )
    expect(rows).toEqual(EXIT_TABLE)
  })

  it('has every type of object that is told, and no other', () => {
    const [table = ''] = /(?<=\| `type`.*\n\|[ -|]+\n)(\|.*\n)+/.exec(page) ?? []
    const told = [...table.matchAll(/^\| (`[^|]+`) +\|/gm)].flatMap(([, types = '']) =>
      [...types.matchAll(/`(\w+)`/g)].map(([, type]) => type),
    )
    const folder = `${root}src/cli/`
    const source = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => /^(run\/[^/]+|problem|commands)\.ts$/.test(file))
      .map((file) => readFileSync(folder + file, 'utf8'))
      .join('\n')
    const types = [...source.matchAll(/\b(?:say|whisper)\(\s*'(\w+)'/g)].map(([, type]) => type)
    expect(new Set(told)).toEqual(new Set([...types, 'error', 'warning']))
  })

  it('speaks of every command', () => {
    for (const name of names) expect(page).toContain(`holdfast ${name}`)
  })
})

describe('start-up', () => {
  it('of run on the embedded engine loads nothing of Redis and of other commands', async () => {
    const hooks = `import { appendFileSync } from 'node:fs'
    export async function resolve(name, context, next) {
      const found = await next(name, context)
      appendFileSync(${JSON.stringify(desk.file('loaded'))}, found.url + '\\n')
      return found
    }`
    writeFileSync(desk.file('hooks.mjs'), hooks)
    const register = `import { register } from 'node:module'; register(${JSON.stringify(
      `file://${desk.file('hooks.mjs')}`,
    )})`
    writeFileSync(desk.file('register.mjs'), register)
    const args = ['--import', `file://${desk.file('register.mjs')}`, main, 'run', 'x', '--', 'true']
    expect(await desk.run(process.execPath, args).end()).toMatchObject({ code: 0, err: '' })
    const loaded = desk.read('loaded').trim().split('\n')
    expect(loaded.some((url) => url.endsWith('/cli/run/run.js'))).toBe(true)
    const unneeded = /ioredis|engines\/redis|cli\/(look|bench|demo|help|man|completion|catalogue)/
    expect(loaded.filter((url) => unneeded.test(url))).toEqual([])
  })
})
