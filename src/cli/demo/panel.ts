import type { Row } from './journal.ts'
import { type Glyphs, type Paint, progressBar } from './paint.ts'
import { placeInLine, seconds } from './sentence.ts'

export interface PanelLook {
  readonly width: number
  /** Most lines it may take. */
  readonly height: number
  readonly glyphs: Glyphs
  readonly paint: Paint
}

/** A line of the panel: with colours, and how wide it is without them. */
export interface PanelLine {
  readonly text: string
  readonly width: number
}

/** Who is shown first when not everybody fits. */
const IMPORTANCE: readonly Row['phase'][] = [
  'holds',
  'waits',
  'tries',
  'starts',
  'dead',
  'failed',
  'refused',
  'done',
]

const WORD_WIDTH = 9

/** How everybody stands at this moment, one line each. */
export function panel(rows: readonly Row[], look: PanelLook): PanelLine[] {
  const { width, height, glyphs, paint } = look
  const rule = glyphs.line.repeat(width)
  const nameWidth = Math.max(...rows.map(({ process }) => process.length))
  const everybody = rows.map((row, index) => ({ row, index }))
  const shown =
    rows.length + 1 <= height
      ? everybody
      : [...everybody]
          .sort((a, b) => importance(a.row) - importance(b.row))
          .slice(0, Math.max(1, height - 2))
  const lines = shown.map(({ row, index }) => rowLine(row, index, nameWidth, look))
  const hidden = rows.length - shown.length
  const more = hidden === 0 ? [] : [`  and ${hidden} more`.slice(0, width)]
  return [
    { text: paint.dim(rule), width },
    ...lines,
    ...more.map((text) => ({ text: paint.dim(text), width: text.length })),
  ]
}

function importance({ phase, ahead }: Row): number {
  return IMPORTANCE.indexOf(phase) * 100 + (phase === 'waits' ? ahead : 0)
}

function rowLine(row: Row, index: number, nameWidth: number, look: PanelLook): PanelLine {
  const { width, paint } = look
  const name = row.process.padEnd(nameWidth)
  const { mark, word, tone } = state(row, look.glyphs)
  const room = Math.max(0, width - (2 + nameWidth + 2 + 2 + WORD_WIDTH))
  const rest = details(row, room, look.glyphs).slice(0, room)
  const head = `${mark} ${word.padEnd(WORD_WIDTH)}`
  const toned = tone === 'dim' ? paint.dim(head) : tone === 'bad' ? paint.bad(head) : head
  const coloured = row.phase === 'holds' ? paint.process(index, rest) : paint.dim(rest)
  return {
    text: `  ${paint.process(index, name)}  ${toned}${coloured}`,
    width: 2 + nameWidth + 2 + head.length + rest.length,
  }
}

function state(
  { phase }: Row,
  { marks }: Glyphs,
): { mark: string; word: string; tone: 'plain' | 'dim' | 'bad' } {
  switch (phase) {
    case 'starts':
      return { mark: marks.starts, word: 'starts', tone: 'dim' }
    case 'tries':
      return { mark: marks.waits, word: 'tries', tone: 'plain' }
    case 'waits':
      return { mark: marks.waits, word: 'waits', tone: 'plain' }
    case 'holds':
      return { mark: marks.holds, word: 'executes', tone: 'plain' }
    case 'done':
      return { mark: marks.done, word: 'done', tone: 'dim' }
    case 'refused':
      return { mark: marks.refused, word: 'gave up', tone: 'dim' }
    case 'dead':
      return { mark: marks.bad, word: 'dead', tone: 'bad' }
    case 'failed':
      return { mark: marks.bad, word: 'failed', tone: 'bad' }
    default:
      return phase satisfies never
  }
}

function details(row: Row, room: number, glyphs: Glyphs): string {
  if (row.phase === 'waits') return placeInLine(row.ahead)
  if (row.phase === 'holds') {
    const percent = `${Math.round(row.share * 100)} %`.padStart(6)
    const barWidth = Math.min(40, room - percent.length)
    return barWidth < 4 ? percent : progressBar(row.share, barWidth, glyphs) + percent
  }
  if (row.interval === undefined) return ''
  return `held the lock for ${seconds(row.interval.toMs - row.interval.fromMs)}`
}
