import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { freePort, type RunningServer, startServer } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { Desk, type Result, read } from './support.ts'

/** With a sign that stands encoded in a URL. */
const PASSWORD = 'p@ss/wörd'
const ENCODED = encodeURIComponent(PASSWORD)

let server: RunningServer
let desk: Desk
let url: string

beforeAll(async () => {
  server = await startServer()
  await server.call('acl', 'setuser', 'app', 'on', `>${PASSWORD}`, '~*', '&*', '+@all')
  url = server.url.replace('redis://', `redis://app:${ENCODED}@`)
})
afterAll(async () => {
  await server?.stop()
})
beforeEach(() => {
  desk = new Desk()
})
afterEach(() => desk.clear())

function expectNoSecret({ out, err }: Pick<Result, 'out' | 'err'>): void {
  for (const secret of [PASSWORD, ENCODED, 'wörd', 'w%C3%B6rd']) {
    expect(`${out}${err}`).not.toContain(secret)
  }
}

describe('the password of a URL', () => {
  it('is not in the environment of the command, nor in the list of processes', async () => {
    const line = 'echo "$HOLDFAST_URL"; env; read _'
    const run = desk.holdfast(['run', 'x', '--url', url, '-v', '-c', line])
    await until(() => run.out.includes('HOLDFAST_LOCK'), { what: 'the command to run' })
    expect(run.out.split('\n')[0]).toBe(server.url.replace('redis://', 'redis://app:***@'))
    for (const pid of run.processes()) {
      expect(read(`/proc/${pid}/cmdline`)).not.toContain(ENCODED)
    }
    run.type('\n')
    const result = await run.end()
    expect(result.code).toBe(0)
    expectNoSecret(result)
  })

  it('is handed on as *** from the environment too, and refused by a holdfast within', async () => {
    const { XDG_STATE_HOME = '' } = process.env
    expect(XDG_STATE_HOME).not.toContain(desk.folder)
    const within = `"$NODE" "$MAIN" list`
    const { main } = await import('./support.ts')
    const env = { HOLDFAST_URL: url, NODE: process.execPath, MAIN: main }
    const result = await desk.holdfast(['run', 'x', '-c', within], env).end()
    expect(result).toMatchObject({ code: 64, err: expect.stringContaining('*** in place of') })
    expectNoSecret(result)
  })

  it('of a sentinel is masked too, and the rest of the URL is handed on', async () => {
    // Two holdfasts, one in the other; the first has a URL that any server serves.
    const { main } = await import('./support.ts')
    const query = `${server.url.replace('redis://', `redis://app:${ENCODED}@`)}?db=0`
    const shown = await desk
      .holdfast(['run', 'x', '--url', query, '-c', 'echo "$HOLDFAST_URL"'])
      .end()
    expect(shown).toMatchObject({ code: 0, out: expect.stringMatching(/:\*\*\*@.*\?db=0\n$/) })
    const masked = 'redis+sentinel://127.0.0.1:1/main?sentinelPassword=***'
    const within = desk.run(process.execPath, [main, 'list'], { HOLDFAST_URL: masked })
    expect(await within.end()).toMatchObject({ code: 64, err: expect.stringContaining('*** in') })
  })

  it.each([
    [
      'a server that is away',
      async () => `redis://app:${ENCODED}@127.0.0.1:${await freePort()}`,
      69,
    ],
    ['a wrong password', async () => url.replace(ENCODED, `${ENCODED}x`), 69],
    ['a port that is no number', async () => `redis://app:${ENCODED}@host:none`, 64],
    ['a scheme nobody serves', async () => `gopher://app:${ENCODED}@host`, 64],
  ])('is not told with %s', async (_what, make, code) => {
    const HOLDFAST_URL = await make()
    for (const args of [
      ['run', 'x', '--json', '-v', '--', 'true'],
      ['list', '--json'],
      ['doctor', '--json'],
    ]) {
      const result = await desk.holdfast(args, { HOLDFAST_URL }).end()
      expect(result).toMatchObject({ code, out: '' })
      expect(result.err.trimEnd().split('\n')).toHaveLength(1)
      expectNoSecret(result)
    }
  })

  it.each([
    [['list', 'x', '@']],
    [['@']],
    [['run', '@', 'true']],
    [['run', 'x', '@', '--', 'true']],
    [['run', 'x', '--ttl', '@', '--', 'true']],
    [['run', 'x', '-E', '@', '--json', '--', 'true']],
    [['show', 'x', '@', '--json']],
    [['demo', '@']],
    [['bench', '--url=@', '--seconds', '0']],
    [['completion', '@']],
  ])('is not told where the URL stands in a wrong place: %j', async (words) => {
    for (const password of [ENCODED, 'w%C3%B6rd"\\x', "it's"]) {
      const wrong = url.replace(ENCODED, password)
      const args = words.map((word) => word.replace('@', wrong))
      const result = await desk.holdfast(args).end()
      expect(result).toMatchObject({ code: 64, out: '' })
      expect(result.err).not.toBe('')
      expectNoSecret(result)
      expect(result.err).not.toContain(password)
      expect(result.err).not.toContain(JSON.stringify(password).slice(1, -1))
    }
  })

  it('is not told by bench and doctor', async () => {
    for (const args of [['bench', '--seconds', '1'], ['doctor'], ['doctor', '--json']]) {
      const result = await desk.holdfast([...args], { HOLDFAST_URL: url }).end()
      expect([0, 1]).toContain(result.code)
      expect(result.out).not.toBe('')
      expectNoSecret(result)
    }
  })
})

describe('bench on a server', () => {
  it('counts the commands of an acquire, a release and a handoff', async () => {
    const args = ['bench', '--seconds', '1', '--json']
    const { out } = await desk.holdfast(args, { HOLDFAST_URL: url }).end()
    const { rows } = JSON.parse(out) as { rows: { commands: number }[] }
    expect(rows.map(({ commands }) => Math.round(commands))).toEqual([1, 1, expect.any(Number)])
  })
})
