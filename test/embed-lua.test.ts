import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Script } from '../src/engines/redis/script.ts'

const program = fileURLToPath(new URL('../scripts/embed-lua.mjs', import.meta.url))
const header = '-- Does a thing.\n-- KEYS: lock\n-- ARGV: holder, ttl_ms\n'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-lua-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

function embed(files: Record<string, string>, ...options: string[]): string {
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, 'lua', name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
  const run = spawnSync(process.execPath, [program, ...options, folder], { encoding: 'utf8' })
  return run.status === 0 ? 'embedded' : run.stderr
}

const generatedFile = (): string => join(folder, 'scripts.generated.ts')
const generated = (): string => readFileSync(generatedFile(), 'utf8')

describe('embed-lua', () => {
  it('writes one constant per script with its SHA-1 and the names of its arguments', () => {
    expect(embed({ 'take-it.lua': `${header}\n-- why\nlocal a = 1 -- b\n\n  return a\n` })).toBe(
      'embedded',
    )
    const source = 'local a = 1 -- b\nreturn a\n'
    expect(generated()).toContain('/** Does a thing. */\nexport const takeIt: Script = {')
    expect(generated()).toContain(`source: \`${source}\``)
    expect(generated()).toContain(createHash('sha1').update(source).digest('hex'))
    expect(generated()).toContain("keys: ['lock'],\n  args: ['holder', 'ttl_ms'],")
  })

  it('puts nested includes in place, each once', () => {
    const files = {
      'a.lua': `${header}-- @include one\n-- @include two\nreturn two\n`,
      'includes/one.lua': '-- The first.\nlocal one = 1\n',
      'includes/two.lua': '-- The second.\n-- @include one\nlocal two = one + 1\n',
    }
    expect(embed(files)).toBe('embedded')
    expect(generated()).toContain('`local one = 1\nlocal two = one + 1\nreturn two\n`')
  })

  it('writes what several scripts include once, and sends each of them whole', async () => {
    const files = {
      'a.lua': `${header}-- @include two\nreturn two\n`,
      'b.lua': `${header}-- @include one\n-- @include two\nreturn -two\n`,
      'includes/one.lua': '-- The first.\nlocal one = 1\n',
      'includes/two.lua':
        "-- The second.\nlocal two = '`${\\\\'\n-- @include one\ntwo = two .. one\n",
    }
    expect(embed(files)).toBe('embedded')
    expect(generated().split('local two').length).toBe(2)
    const scripts: Readonly<Record<string, Script>> = await import(generatedFile())
    const [one, first, last] = ['local one = 1\n', "local two = '`${\\\\'\n", 'two = two .. one\n']
    expect(scripts['a']?.source).toBe(`${first}${one}${last}return two\n`)
    expect(scripts['b']?.source).toBe(`${one}${first}${last}return -two\n`)
    for (const { sha1, source } of Object.values(scripts)) {
      expect(sha1).toBe(createHash('sha1').update(source).digest('hex'))
    }
  })

  it('reads names over several lines', () => {
    const long = '-- Does a thing.\n-- KEYS: lock\n-- ARGV: a,\n--   b,\n--   c...\n-- Returns 1.\n'
    expect(embed({ 'a.lua': `${long}return 1\n` })).toBe('embedded')
    expect(generated()).toContain("args: ['a', 'b', 'c...'],")
  })

  it('keeps backslashes, backquotes and braces as they are', () => {
    const line = "return '\\\\d`${x}'\n"
    expect(embed({ 'a.lua': header + line })).toBe('embedded')
    const literal = /source: (`(?:\\.|[^\\`])*`)/.exec(generated())?.[1]
    expect(literal).toBe("`return '\\\\\\\\d\\`\\${x}'\n`")
  })

  it('tells a stale file from a fresh one', () => {
    expect(embed({ 'a.lua': `${header}return 1\n` }, '--check')).toContain(
      'stale: run `npm run build`',
    )
    expect(embed({})).toBe('embedded')
    expect(embed({}, '--check')).toBe('embedded')
    expect(embed({ 'a.lua': `${header}return 2\n` }, '--check')).toContain('is stale')
  })

  it.each([
    ['no sentence', { 'a.lua': '-- KEYS: a\n-- ARGV:\nreturn 1\n' }, 'begin with a comment'],
    ['no KEYS', { 'a.lua': '-- Does it.\n-- ARGV:\nreturn 1\n' }, 'one line "-- KEYS:'],
    ['no ARGV', { 'a.lua': '-- Does it.\n-- KEYS:\nreturn 1\n' }, 'one line "-- ARGV:'],
    ['a strange name', { 'a.lua': '-- Do.\n-- KEYS: a b\n-- ARGV:\n' }, 'is no plain name'],
    ['an early repetition', { 'a.lua': '-- Do.\n-- KEYS: a..., b\n-- ARGV:\n' }, 'only the last'],
    ['a name twice', { 'a.lua': '-- Do.\n-- KEYS: a, a\n-- ARGV:\n' }, 'one thing twice'],
    ['an unnamed argument', { 'a.lua': `${header}return ARGV[3]\n` }, 'header names 2 ARGV'],
    ['a long string', { 'a.lua': `${header}return [[\n-- x\n]]\n` }, 'no [[ ]]'],
    ['an unknown include', { 'a.lua': `${header}-- @include now\n` }, 'no include "now"'],
    ['camelCase', { 'aB.lua': `${header}return 1\n` }, 'kebab-case'],
    ['no scripts', { 'a.txt': '' }, 'no .lua files'],
    [
      'includes that go round',
      { 'a.lua': `${header}-- @include b\n`, 'includes/b.lua': '-- B.\n-- @include b\n' },
      'go round: b -> b',
    ],
    [
      'an include nobody wants',
      { 'a.lua': `${header}return 1\n`, 'includes/b.lua': '-- B.\nlocal b = 1\n' },
      'includes b: delete it',
    ],
  ])('refuses %s', (_, files, message) => {
    expect(embed(files as Record<string, string>)).toContain(message)
  })
})
