import { displayWidth, fit } from './text.ts'

export interface Column {
  readonly title: string
  /** Numbers stand at the right. */
  readonly right?: boolean
  /** How narrow the column may become where the terminal is; columns without it stay. */
  readonly least?: number
  /** Where even that does not do, the column with the largest goes; those without it stay. */
  readonly spare?: number
}

const GAP = 2

/** Where a table goes: how wide it may be, and how titles are marked there. */
export interface Paper {
  readonly width: number
  readonly title: (text: string) => string
}

/**
 * Lays rows out under their titles, in lines within the width as far as columns give way. A column
 * that is empty in every row is left out.
 */
export function table(
  allColumns: readonly Column[],
  rows: readonly (readonly string[])[],
  { width, title }: Paper,
): string[] {
  let columns = allColumns
    .map((column, index) => ({ ...column, cells: rows.map((row) => row[index] ?? '') }))
    .filter(({ cells }) => cells.some((cell) => cell !== ''))
  for (;;) {
    const { widths, fits } = narrowed(columns, width)
    const most = Math.max(...columns.map(({ spare = 0 }) => spare))
    if (fits || !(most > 0)) {
      const [titles = '', ...lines] = layOut(columns, widths)
      return [title(titles), ...lines]
    }
    columns = columns.filter(({ spare }) => spare !== most)
  }
}

interface Filled extends Column {
  readonly cells: readonly string[]
}

/** The widths nearest to what the cells need, and whether the columns fit with them. */
function narrowed(
  columns: readonly Filled[],
  width: number,
): { widths: readonly number[]; fits: boolean } {
  const widths = columns.map(({ title, cells }) => Math.max(...[title, ...cells].map(displayWidth)))
  const gaps = GAP * (columns.length - 1)
  for (let excess = widths.reduce((sum, one) => sum + one, gaps) - width; excess > 0; excess--) {
    // The widest of those that give way gives first.
    const index = widestThatGives(columns, widths)
    if (index === -1) return { widths, fits: false }
    widths[index] = (widths[index] ?? 0) - 1
  }
  return { widths, fits: true }
}

function widestThatGives(columns: readonly Column[], widths: readonly number[]): number {
  let found = -1
  for (const [index, { least }] of columns.entries()) {
    const width = widths[index] ?? 0
    if (least === undefined || width <= least) continue
    if (found === -1 || width > (widths[found] ?? 0)) found = index
  }
  return found
}

function layOut(columns: readonly Filled[], widths: readonly number[]): string[] {
  const line = (cellOf: (column: Filled) => string): string =>
    columns
      .map((column, index) => {
        const cell = fit(cellOf(column), widths[index] ?? 0)
        const padding = ' '.repeat(Math.max(0, (widths[index] ?? 0) - displayWidth(cell)))
        return column.right ? padding + cell : cell + padding
      })
      .join(' '.repeat(GAP))
      .trimEnd()
  const rows = columns[0]?.cells ?? []
  return [
    line((column) => column.title),
    ...rows.map((_, index) => line(({ cells }) => cells[index] ?? '')),
  ]
}
