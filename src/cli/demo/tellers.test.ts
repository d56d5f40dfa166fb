import { describe, expect, it } from 'vitest'
import { type DemoEvent, Journal } from './journal.ts'
import { JsonTeller } from './json.ts'
import { LinesTeller } from './lines.ts'
import { type Look, Narrator } from './narrator.ts'
import { type Setting, summarize } from './outcome.ts'
import { ascii, colourPaint, plainPaint, unicode } from './paint.ts'
import { panel } from './panel.ts'
import { ScreenTeller } from './screen.ts'
import type { Teller } from './teller.ts'

const ESC = '\u001b'
const ESCAPES = new RegExp(`${ESC}\\[[0-9;?]*[A-Za-z]`, 'g')

const setting: Setting = {
  scene: 'line',
  lock: 'demo:test',
  names: ['P1', 'P2', 'P3'],
  taskMs: 1000,
  ttlMs: 2000,
  engine: 'redis',
  server: 'a server',
}

const value = '0123456789abcdef0123456789abcdef'

const story: readonly [string, number, object][] = [
  ['P1', 1, { type: 'tries' }],
  ['P2', 2, { type: 'tries' }],
  ['P3', 2, { type: 'tries' }],
  ['P1', 10, { type: 'acquires', value, fence: 1 }],
  ['P2', 11, { type: 'waits', ahead: 0, holder: 'P1' }],
  ['P3', 12, { type: 'waits', ahead: 1, holder: 'P1' }],
  ['P1', 20, { type: 'executes', share: 0 }],
  ['P1', 300, { type: 'executes', share: 0.3 }],
  ['P1', 310, { type: 'executes', share: 0.31 }],
  ['P1', 900, { type: 'executes', share: 1 }],
  ['P1', 1000.1234567, { type: 'completes' }],
  ['P1', 1001, { type: 'releases' }],
  ['P1', 1002, { type: 'released', confirmed: true }],
  ['P2', 1003, { type: 'acquires', value: 'other', fence: 2 }],
  ['P2', 1100, { type: 'waits', ahead: 0, holder: undefined }],
  ['P2', 1203, { type: 'loses', message: 'gone' }],
  ['P3', 1300, { type: 'killed', signal: 'SIGKILL', planned: false }],
]

function play(teller: Teller, scene: Setting['scene'] = 'line', interrupted = false): void {
  const journal = new Journal(setting.names)
  teller.server('a server')
  teller.begin({ ...setting, scene })
  for (const [process, atMs, what] of story) {
    const event = { process, pid: 1, atMs, ...what } as DemoEvent
    journal.record(event)
    teller.tell(event, journal)
    teller.draw(journal)
  }
  teller.end(summarize({ ...setting, scene }, journal, { atMs: 1400, interrupted }), journal)
  teller.close()
}

function look(width: number, more: Partial<Look> = {}): Look {
  return { glyphs: unicode, paint: plainPaint, width: () => width, wraps: false, ...more }
}

function lines(width = 80, more: Partial<Look> = {}, scene: Setting['scene'] = 'line'): string {
  let text = ''
  play(new LinesTeller((part) => (text += part), new Narrator(look(width, more))), scene)
  return text
}

describe('JsonTeller', () => {
  it('tells one object per line, and the summary last', () => {
    let text = ''
    play(new JsonTeller((part) => (text += part)))
    const events = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; atMs: number })
    expect(events[0]).toMatchObject({ type: 'start', processes: 3, lock: 'demo:test' })
    expect(events.filter(({ type }) => type === 'executes')).toHaveLength(1)
    expect(events.find(({ type }) => type === 'completes')).toMatchObject({ atMs: 1000.123 })
    expect(events.at(-1)).toMatchObject({ type: 'summary', granted: 2, failed: 2, ok: false })
  })
})

describe('LinesTeller', () => {
  it('tells what each does, with a bar now and then', () => {
    const text = lines()
    expect(text).toContain('Uses a server.\n3 processes want the lock demo:test')
    expect(text).toContain(`0.010 s  P1  acquires the lock: value ${value}, fence 1\n`)
    expect(text.match(/executes the task/g)).toHaveLength(2)
    expect(text).toContain('executes the task ██████░░░░░░░░░░░░░░ 30 %')
    expect(text).toContain('granted                 2 of 3')
    expect(text).toContain('✖ Nobody overlapped, but not everything went as it should')
    expect(text).not.toMatch(ESCAPES)
  })

  it('says where one waits once, not at each step', () => {
    expect(lines().match(/P2 {2}waits/g)).toHaveLength(1)
  })

  it('keeps to a narrow terminal and to plain characters', () => {
    const text = lines(39, { wraps: true, glyphs: ascii }, 'crash')
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(39)
    expect(text).toContain('store')
    // Shortened values end in an ellipsis.
    expect(text.replaceAll('…', '')).toMatch(/^[\x20-\x7e\n]*$/)
  })
})

describe('ScreenTeller', () => {
  function screen(columns: number, rows: number, interrupted = false): string {
    let text = ''
    const terminal = { columns, rows, write: (part: string) => (text += part) !== '' }
    const wide = look(columns - 1, { wraps: true, paint: colourPaint(true) })
    play(new ScreenTeller(terminal as never, new Narrator(wide), wide), 'line', interrupted)
    return text
  }

  it('redraws in place, in colours, and gives the cursor back', () => {
    const text = screen(80, 24)
    expect(text).toContain('\u001b[?25l')
    expect(text.lastIndexOf('\u001b[?25h')).toBeGreaterThan(text.lastIndexOf('\u001b[?25l'))
    // Three processes and the rule above them.
    expect(text).toContain('\r\u001b[4A\u001b[J')
    expect(text).toContain(`${ESC}[38;5;39mP1`)
    expect(text).toContain('P3\u001b[0m  \u001b[31m✖ dead')
  })

  it('writes no line that a terminal of this width would break', () => {
    for (const columns of [40, 80, 200]) {
      const shown = screen(columns, 24)
        .replaceAll(ESCAPES, '')
        .split(/[\r\n]+/)
      expect(Math.max(...shown.map((line) => line.length))).toBeLessThan(columns)
    }
  })

  it('says of an interrupted demo only what is true of it', () => {
    const text = screen(80, 24, true).replaceAll(ESCAPES, '')
    expect(text).toContain('✖ Interrupted')
    expect(text).not.toContain('The check')
  })
})

describe('panel', () => {
  const names = Array.from({ length: 50 }, (_, index) => `P${index + 1}`)

  it('shows the holder and who comes next where not everybody fits', () => {
    const journal = new Journal(names)
    const record = (process: string, what: object): void =>
      journal.record({ process, pid: 1, atMs: 1, ...what } as DemoEvent)
    record('P40', { type: 'acquires', value: 'v', fence: 1 })
    record('P40', { type: 'executes', share: 0.5 })
    record('P30', { type: 'waits', ahead: 1, holder: 'P40' })
    record('P20', { type: 'waits', ahead: 0, holder: 'P40' })
    record('P1', { type: 'refused', holder: 'P40' })
    record('P2', { type: 'tries' })
    record('P3', { type: 'fails', message: 'broken' })
    const shown = panel(journal.rows, { width: 60, height: 6, glyphs: ascii, paint: plainPaint })
    expect(shown.map(({ text }) => text.trimEnd())).toEqual([
      '-'.repeat(60),
      `  P40  * executes ${'#'.repeat(18)}${'-'.repeat(18)}  50 %`,
      '  P20  o waits    next',
      '  P30  o waits    1 ahead',
      '  P2   o tries',
      '  and 46 more',
    ])
  })
})

describe('summarize', () => {
  it('is content only when everybody got what was due', () => {
    const turn = (journal: Journal, process: string, fromMs: number): void => {
      const base = { process, pid: 1 }
      journal.record({ ...base, atMs: fromMs, type: 'acquires', value: process, fence: fromMs })
      journal.record({ ...base, atMs: fromMs + 10, type: 'completes' })
      journal.record({ ...base, atMs: fromMs + 10, type: 'releases' })
    }
    const two = { ...setting, names: ['P1', 'P2'] }
    const end = { atMs: 30, interrupted: false }
    const one = new Journal(two.names)
    turn(one, 'P1', 0)
    expect(summarize(two, one, end)).toMatchObject({ ok: false, granted: 1, overlaps: 0 })
    turn(one, 'P2', 10)
    expect(summarize(two, one, end)).toMatchObject({ ok: true, granted: 2, overlaps: 0 })
    expect(summarize(two, one, { ...end, interrupted: true })).toMatchObject({ ok: false })
    expect(summarize({ ...two, scene: 'try' }, one, end)).toMatchObject({ ok: false })

    const overlapping = new Journal(two.names)
    turn(overlapping, 'P1', 0)
    turn(overlapping, 'P2', 9)
    const summary = summarize(two, overlapping, end)
    expect(summary).toMatchObject({ ok: false, overlaps: 1, maxConcurrentHolders: 2 })
    expect(new Narrator(look(80)).end(summary, overlapping).at(-1)).toContain(
      'More than one process held the lock at a time.',
    )
  })
})
