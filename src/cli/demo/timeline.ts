import type { Row } from './journal.ts'
import type { Glyphs, Paint } from './paint.ts'

export interface TimelineLook {
  /** Columns that no line exceeds, where at least 24 are given. */
  readonly width: number
  readonly glyphs: Glyphs
  readonly paint: Paint
}

/** A row's bars leave this much on the left of them. */
const GAP = 2

/** Below this width the numbers beside the bars are left out. */
const ROOM_FOR_NUMBERS = 60

/** One line per process, in the order in which they held the lock, over an axis in milliseconds. */
export function timeline(rows: readonly Row[], look: TimelineLook): string[] {
  const ordered = rows
    .map((row, index) => ({ row, index }))
    .sort((a, b) => startOf(a.row) - startOf(b.row) || a.index - b.index)
  const endMs = Math.max(1, ...rows.map((row) => row.interval?.toMs ?? row.endedAtMs ?? 0))
  const nameWidth = Math.max(...rows.map(({ process }) => process.length))
  const numbers = ordered.map(({ row }) => numbersOf(row))
  const numbersWidth =
    look.width < ROOM_FOR_NUMBERS ? 0 : Math.max(...numbers.map((text) => text.length)) + GAP
  const width = Math.max(10, look.width - GAP - nameWidth - GAP - numbersWidth)
  const margin = ' '.repeat(GAP)
  const lines = ordered.map(({ row, index }, at) => {
    const name = look.paint.process(index, row.process.padEnd(nameWidth))
    const told = numbersWidth === 0 ? '' : margin + look.paint.dim((numbers[at] ?? '').trimEnd())
    // A dead holder's lease keeps the lock until somebody follows.
    const leftMs = ordered[at + 1]?.row.interval?.fromMs ?? 0
    const drawn = bars({ row, index, leftMs }, endMs, width, look)
    return `${margin}${name}${margin}${drawn}${told}`.trimEnd()
  })
  const indent = ' '.repeat(GAP + nameWidth + GAP)
  return [...lines, ...axis(endMs, width, look.glyphs).map((text) => look.paint.dim(indent + text))]
}

function startOf(row: Row): number {
  return row.interval?.fromMs ?? Number.POSITIVE_INFINITY
}

function numbersOf({ interval, phase }: Row): string {
  if (interval === undefined) return phase === 'refused' ? 'refused' : ''
  const { fromMs, toMs, ending } = interval
  const how = ending === 'released' ? '' : `, ${ending}`
  return `${Math.round(fromMs)} to ${Math.round(toMs)} ms${how}`
}

function bars(
  { row, index, leftMs }: { row: Row; index: number; leftMs: number },
  endMs: number,
  width: number,
  look: TimelineLook,
): string {
  const { glyphs, paint } = look
  const at = (ms: number): number => Math.round((Math.min(ms, endMs) / endMs) * width)
  const { interval, triedAtMs = endMs, endedAtMs = triedAtMs } = row
  if (interval === undefined) {
    // It never held the lock: a mark where it gave up.
    const marked = Math.min(width - 1, at(endedAtMs))
    const waited = Math.max(0, marked - at(triedAtMs))
    const before = ' '.repeat(marked - waited) + paint.dim(glyphs.waiting.repeat(waited))
    return before + paint.bad(glyphs.marks.bad) + ' '.repeat(width - marked - 1)
  }
  // However short, a hold is seen.
  const from = Math.min(width - 1, at(interval.fromMs))
  const to = Math.max(from + 1, at(interval.toMs))
  const tried = Math.min(from, at(triedAtMs))
  const isKilled = interval.ending !== 'released'
  const left = isKilled ? Math.max(to, at(leftMs)) : to
  const full = glyphs.full.repeat(to - from - (isKilled ? 1 : 0))
  return (
    ' '.repeat(tried) +
    paint.dim(glyphs.waiting.repeat(from - tried)) +
    paint.process(index, full) +
    (isKilled ? paint.bad(glyphs.dead) : '') +
    paint.dim(glyphs.empty.repeat(left - to)) +
    ' '.repeat(width - left)
  )
}

/** A ruled line with ticks at round numbers, and the numbers below it. */
function axis(endMs: number, width: number, glyphs: Glyphs): string[] {
  const unit = ' ms'
  const step = roundStep(endMs, width, String(Math.round(endMs)).length + GAP)
  const rule = Array.from({ length: width }, () => glyphs.line)
  let labels = ''
  for (let ms = 0; ms <= endMs; ms += step) {
    const column = Math.round((ms / endMs) * width)
    const label = String(ms)
    if (column >= width) break
    rule[column] = ms === 0 ? glyphs.corner : glyphs.tick
    if (column + label.length + unit.length > width) continue
    labels = labels.padEnd(column) + label
  }
  return [rule.join(''), labels + unit]
}

/** The smallest of 1, 2, 5, 10, ... whose ticks lie `apart` columns from each other. */
function roundStep(endMs: number, width: number, apart: number): number {
  const leastMs = (endMs * apart) / width
  for (let power = 1; ; power *= 10) {
    for (const factor of [1, 2, 5]) {
      if (factor * power >= leastMs) return factor * power
    }
  }
}
