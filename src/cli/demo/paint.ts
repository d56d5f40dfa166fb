/** Gives text its colour, or leaves it as it is. */
export interface Paint {
  /** The colour of the process with this number, from 0. */
  process(index: number, text: string): string
  dim(text: string): string
  bold(text: string): string
  good(text: string): string
  bad(text: string): string
}

export const plainPaint: Paint = {
  process: (_index, text) => text,
  dim: (text) => text,
  bold: (text) => text,
  good: (text) => text,
  bad: (text) => text,
}

/** Red and green say bad and good, so that no process has them. */
const FEW = ['36', '33', '35', '34', '96', '93', '95', '94']

/** Twelve that differ from one another on dark and on light ground. */
const MANY = [39, 214, 170, 43, 105, 179, 204, 74, 142, 135, 208, 37].map((n) => `38;5;${n}`)

export function colourPaint(hasManyColours: boolean): Paint {
  const colours = hasManyColours ? MANY : FEW
  const paint = (code: string, text: string): string =>
    text === '' ? '' : `\u001b[${code}m${text}\u001b[0m`
  return {
    process: (index, text) => paint(colours[index % colours.length] ?? '0', text),
    dim: (text) => paint('2', text),
    bold: (text) => paint('1', text),
    good: (text) => paint('32', text),
    bad: (text) => paint('31', text),
  }
}

/** The signs that drawings are made of. */
export interface Glyphs {
  readonly full: string
  readonly empty: string
  readonly waiting: string
  readonly dead: string
  readonly line: string
  readonly corner: string
  readonly tick: string
  readonly marks: Readonly<
    Record<'starts' | 'waits' | 'holds' | 'done' | 'refused' | 'bad', string>
  >
}

export const unicode: Glyphs = {
  full: '█',
  empty: '░',
  waiting: '·',
  dead: '╳',
  line: '─',
  corner: '└',
  tick: '┬',
  marks: { starts: '·', waits: '◌', holds: '●', done: '✔', refused: '–', bad: '✖' },
}

export const ascii: Glyphs = {
  full: '#',
  empty: '-',
  waiting: '.',
  dead: 'x',
  line: '-',
  corner: '+',
  tick: '+',
  marks: { starts: '.', waits: 'o', holds: '*', done: '+', refused: '-', bad: 'x' },
}

export function progressBar(share: number, width: number, glyphs: Glyphs): string {
  const done = Math.round(Math.min(1, Math.max(0, share)) * width)
  return glyphs.full.repeat(done) + glyphs.empty.repeat(width - done)
}
