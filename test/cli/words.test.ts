import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CATALOGUE } from '../../src/cli/catalogue.ts'
import { EXIT_TABLE } from '../../src/cli/exit.ts'
import { until } from '../support/until.ts'
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

describe('docs/cli.md', () => {
  const page = readFileSync(`${root}docs/cli.md`, 'utf8')

  it('has the table of exit codes', () => {
    for (const [code, meaning] of EXIT_TABLE) {
      expect(page.replace(/ +/g, ' ')).toContain(`| ${code} | ${meaning} |`)
    }
  })

  it('speaks of every command', () => {
    for (const name of names) expect(page).toContain(`holdfast ${name}`)
  })
})

describe('completion', () => {
  it('for bash completes commands, options, locks and the command that is run', async () => {
    const run = desk.holdfast(['run', 'report daily', '-c', 'echo ready; read _'])
    await until(() => run.out.includes('ready'), { what: 'the lock to be held' })
    const colon = desk.holdfast(['run', 'report:c d', '-c', 'echo ready; read _'])
    await until(() => colon.out.includes('ready'), { what: 'the other lock to be held' })
    const { out } = await desk.holdfast(['completion', 'bash']).end()
    const script = `${out}
      holdfast() { "${process.execPath}" "${main}" "$@"; }
      try() { COMP_WORDS=(holdfast "$@"); COMP_CWORD=$#; _holdfast; echo "\${COMPREPLY[*]}"; }
      try el; try run --no; try show ''; try completion f; try run x -- ech; try run --wait ''
      # As bash breaks it: a word ends at a colon.
      COMP_LINE='holdfast show report:c'; try show report : c
      COMP_LINE='holdfast show report:'; try show report :
      COMP_LINE='holdfast run report:c --no'; try run report : c --no
      COMP_LINE='holdfast show report:c '; try show report : c ''`
    writeFileSync(desk.file('try.sh'), script)
    const tried = await desk.run('bash', ['--norc', desk.file('try.sh')]).end()
    expect(tried.err).toBe('')
    expect(tried.out.split('\n')).toEqual([
      'elect',
      '--nonblock',
      'report\\ daily report:c\\ d',
      'fish',
      expect.stringMatching(/\becho\b/),
      '',
      'c\\ d',
      'c\\ d',
      '--nonblock',
      '',
      '',
    ])
    for (const one of [run, colon]) {
      one.type('\n')
      await one.end()
    }
  })

  it.each(['zsh', 'fish'])('for %s speaks of every command and option', async (shell) => {
    const { code, out } = await desk.holdfast(['completion', shell]).end()
    expect(code).toBe(0)
    for (const { name, options } of CATALOGUE) {
      expect(out).toMatch(new RegExp(`\\b${name}\\b`))
      for (const option of options) expect(out).toContain(option.name)
    }
    const there = spawnSync(shell, ['--version']).status === 0
    writeFileSync(desk.file('completions'), out)
    const read = spawnSync(shell, ['-n', desk.file('completions')])
    if (there) expect(read.stderr.toString()).toBe('')
  })

  it('wants a shell that it knows', async () => {
    const { code, err } = await desk.holdfast(['completion', 'tcsh']).end()
    expect({ code, err }).toEqual({
      code: 64,
      err: 'holdfast completion: name the shell: bash, zsh or fish.\n',
    })
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
    expect(loaded.some((url) => url.endsWith('/cli/run/guard.js'))).toBe(true)
    const unneeded = /ioredis|engines\/redis|cli\/(look|bench|demo|help|man|completion|catalogue)/
    expect(loaded.filter((url) => unneeded.test(url))).toEqual([])
  })
})
