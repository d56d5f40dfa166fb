import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningServer, startServer } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { build, main, Run } from './run.ts'

const ESC = '\u001b'
const ESCAPES = new RegExp(`${ESC}\\[[0-9;?]*[A-Za-z]`, 'g')
const SHOW_CURSOR = '\u001b[?25h'
const HIDE_CURSOR = '\u001b[?25l'

describe.skipIf(process.platform !== 'linux')('the demo in a terminal', () => {
  let server: RunningServer

  beforeAll(async () => {
    await build()
    server = await startServer()
  })
  afterAll(async () => {
    await server?.stop()
  })

  function inTerminal(args: string, { columns = 80, env = {} as NodeJS.ProcessEnv } = {}): Run {
    const command = `stty cols ${columns} rows 24; exec "${process.execPath}" "${main}" demo ${args}`
    // Node writes no colours where CI is set, even to a terminal.
    const own = { CI: undefined, TERM: 'xterm-256color', HOLDFAST_URL: server.url }
    const terminal = { ...own, ...env }
    return new Run('script', ['--quiet', '--return', '--command', command, '/dev/null'], terminal)
  }

  it('redraws in place and in colours, and gives the cursor back', async () => {
    const { code, out } = await inTerminal('--processes 3 --task-ms 300').end()
    expect(code).toBe(0)
    expect(out).toContain(HIDE_CURSOR)
    expect(out.lastIndexOf(SHOW_CURSOR)).toBeGreaterThan(out.lastIndexOf(HIDE_CURSOR))
    expect(out).toContain('\r\u001b[4A\u001b[J')
    expect(out).toContain(`${ESC}[38;5;39mP1`)
    expect(out).toMatch(/● executes .*█+░+ +\d+ %/)
    expect(out).toContain('Everybody got the lock, one at a time.')
  })

  it.each([
    ['NO_COLOR', { NO_COLOR: '1' }],
    ['TERM=dumb', { TERM: 'dumb' }],
  ])('writes no escape sequence with %s', async (_title, env) => {
    const { code, out } = await inTerminal('--processes 2 --task-ms 100', { env }).end()
    expect(code).toBe(0)
    expect(out).not.toContain('\u001b')
    expect(out).toMatch(/executes the task [█#░-]+ +\d+ %/)
  })

  it.each([40, 120])('fits %i columns', async (columns) => {
    const run = inTerminal('--crash --processes 2 --task-ms 100', { columns })
    const { code, out } = await run.end()
    expect(code).toBe(0)
    const lines = out.replaceAll(ESCAPES, '').split(/[\r\n]+/)
    const longest = Math.max(...lines.map((line) => line.length))
    expect(longest).toBeLessThan(columns)
    // The rule and the bars take all the room there is.
    expect(longest).toBe(columns - 1)
  })

  it('is left clean by Ctrl-C', async () => {
    const run = inTerminal('--processes 3 --task-ms 60000')
    await until(() => run.out.includes('waits in line'), { what: 'one to wait', timeoutMs: 20_000 })
    const [demo] = run.processes().filter((pid) => pid !== run.child.pid)
    process.kill(Number(demo), 'SIGINT')
    const { code, out } = await run.end()
    expect(code).toBe(130)
    expect(out.lastIndexOf(SHOW_CURSOR)).toBeGreaterThan(out.lastIndexOf(HIDE_CURSOR))
    expect(out).toContain('Interrupted')
    expect(run.processes()).toEqual([])
  })
})
