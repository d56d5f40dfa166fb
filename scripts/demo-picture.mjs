/**
 * Plays the demo and draws what it wrote as docs/demo.svg: `npm run demo:picture`.
 */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const demo = fileURLToPath(new URL('demo.mjs', import.meta.url))
const picture = fileURLToPath(new URL('../docs/demo.svg', import.meta.url))
const args = ['--crash', '--processes', '3']

const COLUMNS = 108
const GLYPH = 7.8
const LINE = 18
const MARGIN = 20
const TITLE = 40

const ink = {
  text: '#d0d7de',
  quiet: '#8b949e',
  good: '#7ee787',
  bad: '#ff7b72',
  P1: '#79c0ff',
  P2: '#ffa657',
  P3: '#d2a8ff',
}

/**
 * What gets a colour of its own; the first that fits wins.
 * @type {readonly [pattern: RegExp, colour: string][]}
 */
const colours = [
  [/^ {2}✔.*/, ink.good],
  [/^ {2}P1 {2,}[█╳░·].*?(?= {2,}\d)/, ink.P1],
  [/^ {2}P2 {2,}[█╳░·].*?(?= {2,}\d)/, ink.P2],
  [/^ {2}P3 {2,}[█╳░·].*?(?= {2,}\d)/, ink.P3],
  [/\bis killed \(SIGKILL\)|\brefuses the late write/, ink.bad],
  [/\bP1\b/, ink.P1],
  [/\bP2\b/, ink.P2],
  [/\bP3\b/, ink.P3],
  [/\bacquires the lock\b|\baccepts the write\b/, ink.good],
  [/^ +\d\.\d{3} s/, ink.quiet],
  [/^\$ .*/, ink.good],
]

/** @param {string} text */
const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

/**
 * @param {string} line
 * @returns {string[]}
 */
function wrapped(line) {
  if (line.length <= COLUMNS) return [line]
  const end = line.lastIndexOf(' ', COLUMNS)
  const indent = /^ {2}[ \d.]+s {2}\S+ +/.exec(line)?.[0].length ?? 0
  return [line.slice(0, end), ...wrapped(' '.repeat(indent) + line.slice(end + 1))]
}

/**
 * The line in pieces of one colour each, with the column where each begins.
 * @param {string} line
 */
function pieces(line) {
  /** @type {(string | undefined)[]} */
  const inks = Array.from(line, () => undefined)
  for (const [pattern, colour] of colours) {
    for (const {
      index,
      0: { length },
    } of line.matchAll(new RegExp(pattern, 'g'))) {
      for (let at = index; at < index + length; at++) inks[at] ??= colour
    }
  }
  /** @type {{ column: number, text: string, colour: string }[]} */
  const found = []
  Array.from(line).forEach((letter, column) => {
    const colour = inks[column] ?? ink.text
    const last = found.at(-1)
    if (last?.colour === colour) last.text += letter
    else found.push({ column, text: letter, colour })
  })
  return found
}

/** @param {readonly string[]} lines */
function draw(lines) {
  const width = Math.ceil(COLUMNS * GLYPH + 2 * MARGIN)
  const height = TITLE + lines.length * LINE + MARGIN
  const texts = lines.flatMap((line, row) =>
    pieces(line)
      .filter(({ text }) => text.trim() !== '')
      .map(({ column, text, colour }) => {
        // Each piece gets the width of its columns: the bars meet in every font.
        const lead = text.length - text.trimStart().length
        const letters = text.trim()
        const x = (MARGIN + (column + lead) * GLYPH).toFixed(1)
        const y = TITLE + row * LINE + 12
        const length = (letters.length * GLYPH).toFixed(1)
        return `<text x="${x}" y="${y}" fill="${colour}" textLength="${length}">${escaped(letters)}</text>`
      }),
  )
  const dots = ['#ff5f57', '#febc2e', '#28c840'].map(
    (colour, index) => `<circle cx="${24 + index * 20}" cy="20" r="6" fill="${colour}"/>`,
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    '<title>Three processes compete for one lock; the first holder is killed</title>',
    `<rect width="${width}" height="${height}" rx="10" fill="#0d1117"/>`,
    ...dots,
    '<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="13" xml:space="preserve">',
    ...texts,
    '</g>',
    '</svg>',
    '',
  ].join('\n')
}

const { status, stdout, stderr } = spawnSync(process.execPath, [demo, ...args], {
  encoding: 'utf8',
  env: { ...process.env, NO_COLOR: '1' },
})
if (status !== 0) throw new Error(`the demo failed: ${stdout}${stderr}`)
const told = stdout.trimEnd().split('\n')
writeFileSync(picture, draw([`$ npm run demo -- ${args.join(' ')}`, '', ...told].flatMap(wrapped)))
