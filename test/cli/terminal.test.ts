import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { displayWidth } from '../../src/cli/text.ts'
import { until } from '../support/until.ts'
import { Desk, lives, main, type Run } from './support.ts'

let desk: Desk
beforeEach(() => {
  desk = new Desk()
})
afterEach(() => desk.clear())

const holdfast = `"${process.execPath}" "${main}"`
const ESC = '\u001b'
const LONG = 'a long name of a lock: report for the whole company, daily'

async function holder(...args: string[]): Promise<Run> {
  const run = desk.holdfast(['run', ...args, '-c', 'echo ready; read _'])
  await until(() => run.out.includes('ready'), { what: 'the lock to be held' })
  return run
}

async function end(...runs: Run[]): Promise<void> {
  for (const run of runs) {
    run.type('\n')
    await run.end()
  }
}

/** What fits a terminal of each width, and has colours there unless NO_COLOR says no. */
const LOOKS = [
  'list',
  `show '${LONG}'`,
  'show b',
  'doctor',
  'bench --seconds 1',
  '--help',
  'run --help',
  'demo --processes 2 --task-ms 60',
]

describe.skipIf(process.platform !== 'linux')('on a terminal', () => {
  it.each([80, 40])('of %d columns nothing is wider', async (columns) => {
    const runs = [
      await holder(LONG, '--label', 'nightly ünï 锁 of the office'),
      await holder('b', '--capacity', '3'),
    ]
    const looks = LOOKS.map(async (look) => {
      const run = desk.terminal(`stty cols ${columns}; ${holdfast} ${look}`, { NO_COLOR: '1' })
      const { code, out } = await run.end()
      expect({ look, code }).toEqual({ look, code: 0 })
      // What is redrawn in its line stands behind the last return.
      const lines = out
        .replaceAll('\r\n', '\n')
        .replaceAll(/.*\r/g, '')
        .replaceAll(`${ESC}[K`, '')
        .split('\n')
      expect(lines.length).toBeGreaterThan(1)
      const examples = lines.indexOf('Examples:')
      for (const [at, line] of lines.entries()) {
        // A command line can be copied only in one piece.
        const isUsage = /^(Usage:| {6}) holdfast /.test(line)
        const isCommand = isUsage || (at > examples && / holdfast /.test(line))
        if (!isCommand) expect(displayWidth(line), line).toBeLessThanOrEqual(columns)
      }
    })
    await Promise.all(looks)
    await end(...runs)
  })

  it('there are colours, unless NO_COLOR or TERM says no', async () => {
    const run = await holder('x')
    const coloured = await desk.terminal(`${holdfast} list`).end()
    expect(coloured.out).toContain(`${ESC}[2mLOCK`)
    for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) {
      for (const look of ['list', 'demo --processes 2 --task-ms 60']) {
        const plain = await desk.terminal(`${holdfast} ${look}`, env).end()
        expect({ look, env, code: plain.code }).toEqual({ look, env, code: 0 })
        expect(plain.out).not.toContain(ESC)
      }
    }
    const piped = desk.terminal(`{ ${holdfast} list; ${holdfast} watch x | head -1; } | cat`)
    expect((await piped.end()).out).not.toContain(ESC)
    await end(run)
  })

  it('watch is stopped by Ctrl-Z and goes on with fg', async () => {
    const shell = desk.terminal("PS1='ready> ' bash --norc -i")
    await until(() => shell.out.includes('ready> '), { what: 'the shell' })
    shell.type(`${holdfast} watch x\n`)
    await until(() => shell.out.includes('nobody holds it'), { what: 'the first look' })
    const away = shell.out.length
    shell.type('\u001a')
    await until(() => shell.out.slice(away).includes('Stopped'), { what: 'the job to be stopped' })
    expect(shell.out.slice(away)).toContain(`${ESC}[?1049l`)
    const back = shell.out.length
    shell.type('fg\n')
    await until(() => shell.out.slice(back).includes('nobody holds it'), { what: 'it to go on' })
    expect(shell.out.slice(back)).toContain(`${ESC}[?1049h`)
    shell.type('q')
    await until(() => shell.out.slice(back).includes(`${ESC}[?1049l`), { what: 'its end' })
    shell.type('echo "code $?"; exit\n')
    await shell.end()
    expect(shell.out).toContain('code 0')
  })

  it('watch ends with its terminal', async () => {
    const watch = desk.terminal(`${holdfast} watch x`)
    await until(() => watch.out.includes('nobody holds it'), { what: 'the first look' })
    const pids = watch.processes()
    watch.kill('SIGKILL')
    await until(() => !pids.some(lives), { what: 'all of it to be gone' })
  })
})
