// Writes the Redis scripts (src/engines/redis/lua/*.lua) into a TypeScript file, so that they
// survive bundlers, and gives each its SHA-1 and the names of its arguments, read from its header.
//
//   node scripts/embed-lua.mjs [--check] [folder]
//
// --check writes nothing and fails when the file is stale. `folder` holds lua/ and the file that is
// written.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = fileURLToPath(new URL('..', import.meta.url))

class ScriptError extends Error {}

function readLua(path) {
  const text = readFileSync(path, 'utf8').replaceAll('\r\n', '\n')
  const file = relative(process.cwd(), path)
  // Only lines are looked at below, so nothing may span lines: a comment-like line inside a long
  // string would be dropped.
  if (/\[=*\[/.test(text)) throw new ScriptError(`${file}: write no [[ ]] strings or comments.`)
  if (/\\$/m.test(text)) throw new ScriptError(`${file}: end no line with a backslash.`)
  return { file, lines: text.split('\n') }
}

/** The comment lines at the top of a file, without their dashes. */
function headerOf({ lines }) {
  const start = lines[0]?.startsWith('#!') ? 1 : 0
  const end = lines.findIndex((line, at) => at >= start && !line.startsWith('--'))
  return lines.slice(start, end === -1 ? lines.length : end).map((line) => line.slice(2).trim())
}

function sentenceOf(lua) {
  const prose = []
  for (const line of headerOf(lua)) {
    if (line === '' || /^([A-Z]+:|@include\b)/.test(line)) break
    prose.push(line)
  }
  const sentence = /^.+?[.](?=\s|$)/.exec(prose.join(' '))?.[0]
  if (!sentence) {
    throw new ScriptError(
      `${lua.file}: begin with a comment of one sentence that ends in a full stop.`,
    )
  }
  if (sentence.includes('*/'))
    throw new ScriptError(`${lua.file}: write no */ in the first sentence.`)
  return sentence
}

/** The names after "KEYS:" or "ARGV:"; a line that ends with a comma goes on in the next. */
function namesOf(lua, table) {
  const header = headerOf(lua)
  const first = header.findIndex((line) => line.startsWith(`${table}:`))
  const again = header.findLastIndex((line) => line.startsWith(`${table}:`))
  if (first === -1 || first !== again) {
    throw new ScriptError(
      `${lua.file}: the header needs one line "-- ${table}: first, second", empty after the colon for none.`,
    )
  }
  let list = header[first].slice(table.length + 1).trim()
  for (let next = first + 1; list.endsWith(',') && next < header.length; next++) {
    list += ` ${header[next]}`
  }
  const names = list === '' ? [] : list.split(',').map((name) => name.trim())
  names.forEach((name, at) => {
    const last = at === names.length - 1
    if (!/^[a-z][a-z0-9_]*(\.\.\.)?$/i.test(name) || (name.endsWith('...') && !last)) {
      throw new ScriptError(
        `${lua.file}: "${name}" in ${table} is no plain name (only the last may end in "...").`,
      )
    }
  })
  if (new Set(names).size !== names.length) {
    throw new ScriptError(`${lua.file}: ${table} names one thing twice.`)
  }
  return names
}

/**
 * The pieces of a file, each include in place and once, without comments, indentation and blank
 * lines. `from` is the include that a piece is a part of.
 */
function piecesOf(lua, includes, done, open = []) {
  const pieces = []
  let piece
  for (const line of lua.lines) {
    const name = /^\s*--\s*@include\s+(\S+)\s*$/.exec(line)?.[1]
    if (name === undefined) {
      if (line.trim() === '' || /^\s*--/.test(line)) continue
      if (!piece) pieces.push((piece = { from: open.at(-1), text: '' }))
      piece.text += `${line.trim()}\n`
      continue
    }
    // Also where the include came before: the pieces are to be the same in every script.
    piece = undefined
    const path = join(includes, `${name}.lua`)
    if (!existsSync(path)) throw new ScriptError(`${lua.file}: there is no include "${name}".`)
    if (open.includes(name)) {
      throw new ScriptError(`${lua.file}: includes go round: ${[...open, name].join(' -> ')}.`)
    }
    if (done.has(name)) continue
    done.add(name)
    const included = readLua(path)
    sentenceOf(included)
    pieces.push(...piecesOf(included, includes, done, [...open, name]))
  }
  return pieces
}

/** Fails when the body reads an argument that the header does not name. */
function checkArguments(file, body, table, names) {
  if (names.at(-1)?.endsWith('...')) return
  for (const [use, index] of body.matchAll(new RegExp(`\\b${table}\\[\\s*(\\d+)\\s*\\]`, 'g'))) {
    if (Number(index) > names.length || Number(index) < 1) {
      throw new ScriptError(`${file}: reads ${use}, but the header names ${names.length} ${table}.`)
    }
  }
}

function readScript(lua, name, includes, used) {
  const sentence = sentenceOf(lua)
  const keys = namesOf(lua, 'KEYS')
  const args = namesOf(lua, 'ARGV')
  const done = new Set()
  const pieces = piecesOf(lua, includes, done)
  const source = pieces.map(({ text }) => text).join('')
  for (const include of done) used.add(include)
  checkArguments(lua.file, source, 'KEYS', keys)
  checkArguments(lua.file, source, 'ARGV', args)
  return { name, sentence, keys, args, source, pieces }
}

function camelCase(name) {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) {
    throw new ScriptError(`${name}.lua: name the file in kebab-case.`)
  }
  return name.replace(/-(.)/g, (_, letter) => letter.toUpperCase())
}

function luaFiles(folder) {
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .filter((file) => file.endsWith('.lua'))
    .sort()
    .map((file) => file.slice(0, -'.lua'.length))
}

const quoted = (name) => `'${name}'`
const escaped = (text) => text.replace(/[\\`]|\$(?=\{)/g, '\\$&')

/** The constants of the pieces that several scripts have: by text, so that each stands once. */
function sharedPieces(scripts) {
  const uses = new Map()
  for (const { text, from } of scripts.flatMap(({ pieces }) => pieces)) {
    if (from) uses.set(text, { from, count: (uses.get(text)?.count ?? 0) + 1 })
  }
  const shared = new Map()
  const taken = new Map()
  for (const [text, { from, count }] of uses) {
    if (count === 1) continue
    const part = (taken.get(from) ?? 0) + 1
    taken.set(from, part)
    shared.set(text, `${camelCase(from)}Lua${part === 1 ? '' : part}`)
  }
  return shared
}

/** What a script puts together is what is sent, and what its SHA-1 was computed from. */
function template(pieces, shared) {
  const parts = pieces.map(({ text }) =>
    shared.has(text) ? `\${${shared.get(text)}}` : escaped(text),
  )
  return `\`${parts.join('')}\``
}

function render({ name, sentence, keys, args, source, pieces }, shared) {
  return [
    `/** ${sentence} */`,
    `export const ${camelCase(name)}: Script = {`,
    `  name: ${quoted(name)},`,
    `  sha1: ${quoted(createHash('sha1').update(source).digest('hex'))},`,
    `  keys: [${keys.map(quoted).join(', ')}],`,
    `  args: [${args.map(quoted).join(', ')}],`,
    `  source: ${template(pieces, shared)},`,
    '}',
    '',
  ].join('\n')
}

function generate(folder) {
  const lua = join(folder, 'lua')
  const includes = join(lua, 'includes')
  const names = luaFiles(lua)
  if (names.length === 0) throw new ScriptError(`${relative(process.cwd(), lua)}: no .lua files.`)
  const used = new Set()
  const scripts = names.map((name) =>
    readScript(readLua(join(lua, `${name}.lua`)), name, includes, used),
  )
  const unused = luaFiles(includes).filter((name) => !used.has(name))
  if (unused.length > 0)
    throw new ScriptError(`No script includes ${unused.join(', ')}: delete it.`)
  const shared = sharedPieces(scripts)
  return [
    '// Written by scripts/embed-lua.mjs from lua/*.lua: edit those and run `npm run build`.',
    "import type { Script } from './script.ts'",
    '',
    ...[...shared].map(([text, name]) => `const ${name} = \`${escaped(text)}\`\n`),
    ...scripts.map((script) => render(script, shared)),
  ].join('\n')
}

function main() {
  const { values, positionals } = parseArgs({
    options: { check: { type: 'boolean', default: false } },
    allowPositionals: true,
  })
  const folder = positionals[0] ?? join(root, 'src/engines/redis')
  const target = join(folder, 'scripts.generated.ts')
  const text = generate(folder)
  const fresh = existsSync(target) && readFileSync(target, 'utf8').replaceAll('\r\n', '\n') === text
  if (fresh) return
  if (values.check) {
    throw new ScriptError(
      `${relative(process.cwd(), target)} is stale: run \`npm run build\` and commit it.`,
    )
  }
  writeFileSync(target, text)
}

try {
  main()
} catch (error) {
  if (!(error instanceof ScriptError)) throw error
  console.error(error.message)
  process.exitCode = 1
}
