/** Breaks text at blanks into lines of at most `width`; a longer word keeps a line of its own. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return [...lines, line]
}

/** The same in columns of a terminal; a longer word is broken too. */
export function fill(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`
    if (displayWidth(longer) <= width) {
      line = longer
      continue
    }
    if (line !== '') lines.push(line)
    line = ''
    for (const one of word) {
      if (line !== '' && displayWidth(line + one) > width) {
        lines.push(line)
        line = ''
      }
      line += one
    }
  }
  return [...lines, line]
}

/** Narrower than this the second of two columns goes below the first. */
const LEAST_COLUMN = 24

/** Two columns, the second one wrapped, everything indented by two. */
export function columns(
  rows: readonly (readonly [left: string, right: string])[],
  width: number,
): string[] {
  const leftWidth = Math.min(28, Math.max(...rows.map(([left]) => left.length)) + 2)
  const room = width - 2 - leftWidth
  if (room < LEAST_COLUMN) {
    return rows.flatMap(([left, right]) => {
      return [`  ${left}`, ...wrap(right, width - 6).map((line) => `      ${line}`)]
    })
  }
  return rows.flatMap(([left, right]) => {
    const lines = wrap(right, room)
    const indented = lines.map((line) => `${' '.repeat(2 + leftWidth)}${line}`)
    const fits = left.length + 2 <= leftWidth
    if (!fits) return [`  ${left}`, ...indented]
    return [`  ${left.padEnd(leftWidth)}${lines[0]}`, ...indented.slice(1)]
  })
}

/** A duration for people, in the two largest units that matter. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return 'no end'
  if (ms < 1) return `${Math.round(ms * 1000)} µs`
  if (ms < 1000) return `${ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms)} ms`
  const seconds = Math.round(ms / 1000)
  if (ms < 9950) return `${Math.round(ms / 100) / 10} s`
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return pair(Math.floor(seconds / 60), 'min', seconds % 60, 's')
  const minutes = Math.floor(seconds / 60)
  if (minutes < 1440) return pair(Math.floor(minutes / 60), 'h', minutes % 60, 'min')
  const hours = Math.floor(minutes / 60)
  return pair(Math.floor(hours / 24), 'd', hours % 24, 'h')
}

function pair(large: number, unit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${unit}` : `${large} ${unit} ${small} ${smallUnit}`
}

/** A count with its noun: "1 waiter", "3 waiters". */
export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}

// Control characters, and what turns text around or hides in it, could forge a line.
const UNSAFE = /[\p{Cc}\p{Cf}\u2028\u2029]/gu

/** Text of others as it may be written to a terminal: control characters are escaped. */
export function visible(text: string): string {
  return text.replace(UNSAFE, (one) => {
    const short = { '\n': '\\n', '\t': '\\t', '\r': '\\r', '\0': '\\0' }[one]
    return short ?? `\\u{${one.codePointAt(0)?.toString(16)}}`
  })
}

/** JSON that may be written to a terminal: the same value, without raw control characters. */
export function jsonLine(
  value: object,
  replacer?: (key: string, value: unknown) => unknown,
): string {
  return JSON.stringify(value, replacer).replace(UNSAFE, (one) => {
    const units = Array.from({ length: one.length }, (_, at) => one.charCodeAt(at))
    return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')
  })
}

const EAST_ASIAN =
  '\\u1100-\\u115f\\u2e80-\\ua4cf\\uac00-\\ud7a3\\uf900-\\ufaff\\uff00-\\uff60\\uffe0-\\uffe6'
const WIDE = new RegExp(`[\\p{Emoji_Presentation}${EAST_ASIAN}]`, 'u')

/** How many columns of a terminal the text takes. */
export function displayWidth(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length
  let width = 0
  for (const one of text) width += /\p{M}/u.test(one) ? 0 : WIDE.test(one) ? 2 : 1
  return width
}

/** Cuts text to `width` columns; what was cut shows as an ellipsis. */
export function fit(text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  let kept = ''
  let used = 0
  for (const one of text) {
    const more = displayWidth(one)
    if (used + more > width - 1) break
    kept += one
    used += more
  }
  return `${kept}…`
}
