/** Numbers as people read them. */
export function shown(value, digits = 0) {
  const number = middle(value)
  if (number === undefined || number === null || Number.isNaN(number)) return '–'
  const places = digits || (Math.abs(number) < 10 ? 2 : 0)
  return number.toLocaleString('en-US', { maximumFractionDigits: places })
}

/** Of a value with quartiles, the median. */
export function middle(value) {
  return value !== null && typeof value === 'object' ? value.median : value
}

export function shownRatio(ratio) {
  if (!ratio) return ''
  const range = ratio.rounds > 1 ? ` (${precise(ratio.low)} to ${precise(ratio.high)})` : ''
  return `${precise(ratio.median)}${range}`
}

/** Two digits that matter, also of what is very small. */
export function precise(number) {
  if (Number.isNaN(number)) return '–'
  if (Math.abs(number) >= 100) return number.toFixed(0)
  if (Math.abs(number) >= 10) return number.toFixed(1)
  if (Math.abs(number) >= 0.1 || number === 0) return number.toFixed(number % 1 === 0 ? 0 : 2)
  return number.toPrecision(2)
}

/** The cells of one row's table; the first line is the head. */
export function cells({ columns, ratio, entries }) {
  const head = ['', ...columns.map(({ label }) => label)]
  if (ratio) head.push('ratio (half of the rounds)')
  const body = entries.map((entry) => {
    const line = columns.map(({ key, digits }) => shown(entry.values[key], digits))
    return [entry.contender, ...line, ...(ratio ? [shownRatio(entry.ratio)] : [])]
  })
  return [head, ...body]
}

export function verdictLine({ what, reach, got, met }) {
  return `${met ? 'reached' : 'MISSED '}  ${what}: ${reach}, got ${precise(got)}`
}

/** A table for a terminal. */
export function textTable(lines) {
  const widths = lines[0].map((_, at) => Math.max(...lines.map((line) => line[at].length)))
  const padded = (line) =>
    line.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]) : cell.padStart(widths[at])))
  return lines.map((line) => padded(line).join('  ').trimEnd()).join('\n')
}

export function rowText(result) {
  const title = `${result.name}: ${result.title}`
  const notes = [result.ratio && `ratio: ${result.ratio}`, ...(result.notes ?? [])]
  return [
    title,
    ...notes.filter(Boolean).map((note) => `  ${note}`),
    textTable(cells(result)),
    ...result.verdicts.map(verdictLine),
    '',
  ].join('\n')
}
