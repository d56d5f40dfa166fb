import { displayWidth, fit } from './text.ts'

export interface Column {
  readonly title: string
  /** Numbers stand at the right. */
  readonly right?: boolean
  /** How narrow the column may become where the terminal is; columns without it stay. */
  readonly least?: number
}

const GAP = 2

/**
 * Lays rows out under their titles, in lines of at most `width` as far as columns give way. A column
 * that is empty in every row is left out.
 */
export function table(
  allColumns: readonly Column[],
  allRows: readonly (readonly string[])[],
  width: number,
): string[] {
  const isFilled = (index: number): boolean => allRows.some((row) => (row[index] ?? '') !== '')
  const shape = allColumns.filter((_, index) => isFilled(index))
  const rows = allRows.map((row) => row.filter((_, index) => isFilled(index)))
  const widths = shape.map(({ title }, index) =>
    Math.max(displayWidth(title), ...rows.map((row) => displayWidth(row[index] ?? ''))),
  )
  const total = (): number => widths.reduce((sum, one) => sum + one, GAP * (shape.length - 1))
  // The widest of those that give way gives first.
  for (let excess = total() - width; excess > 0; excess = total() - width) {
    const index = widestThatGives(shape, widths)
    if (index === -1) break
    widths[index] = (widths[index] ?? 0) - 1
  }
  const line = (cells: readonly string[]): string =>
    shape
      .map(({ right }, index) => {
        const cell = fit(cells[index] ?? '', widths[index] ?? 0)
        const padding = ' '.repeat((widths[index] ?? 0) - displayWidth(cell))
        return right ? padding + cell : cell + padding
      })
      .join(' '.repeat(GAP))
      .trimEnd()
  return [line(shape.map(({ title }) => title)), ...rows.map(line)]
}

function widestThatGives(shape: readonly Column[], widths: readonly number[]): number {
  let found = -1
  for (const [index, { least }] of shape.entries()) {
    const width = widths[index] ?? 0
    if (least === undefined || width <= least) continue
    if (found === -1 || width > (widths[found] ?? 0)) found = index
  }
  return found
}
