import type { World } from './commands.ts'
import type { Paper } from './table.ts'

/** Marks for people; none where nobody sees them. */
export type Style = Readonly<
  Record<'bold' | 'dim' | 'good' | 'warn' | 'bad', (text: string) => string>
>

const code =
  (start: number) =>
  (text: string): string =>
    text === '' ? '' : `\u001b[${start}m${text}\u001b[0m`
const same = (text: string): string => text

/** Whether the output is a terminal that may be redrawn. */
export function isScreen({ stdout, env }: World): boolean {
  return stdout.isTTY === true && env['TERM'] !== 'dumb'
}

/** Colours on a terminal, unless NO_COLOR or a dumb terminal says no. */
export function styleFor(world: World): Style {
  const plain = !isScreen(world) || Boolean(world.env['NO_COLOR'])
  if (plain) return { bold: same, dim: same, good: same, warn: same, bad: same }
  return { bold: code(1), dim: code(2), good: code(32), warn: code(33), bad: code(31) }
}

/** Width of a file or pipe: rows there are not cut short of what a reader may need. */
const FILE_WIDTH = 160

/** How many columns there are. */
export function widthFor({ stdout }: World): number {
  return stdout.isTTY ? Math.max(20, stdout.columns || 80) : FILE_WIDTH
}

/** For tables: as wide as the output, titles set apart where there are colours. */
export function paperFor(world: World): Paper {
  return { width: widthFor(world), title: styleFor(world).dim }
}
