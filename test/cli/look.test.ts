import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startServer } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { Desk, main, type Run } from './support.ts'

let desk: Desk
beforeEach(() => {
  desk = new Desk()
})
afterEach(() => desk.clear())

const ESC = '\u001b'

async function holder(...args: string[]): Promise<Run> {
  const run = desk.holdfast(['run', ...args, '-c', 'echo ready; read _'])
  await until(() => run.out.includes('ready'), { what: 'the lock to be held' })
  return run
}

async function waiter(...args: string[]): Promise<Run> {
  const run = desk.holdfast(['run', '-v', ...args, '-c', 'true'])
  await until(() => run.err.includes('waiting'), { what: 'one to wait' })
  return run
}

async function end(...runs: Run[]): Promise<void> {
  for (const run of runs) {
    run.type('\n')
    await run.end()
  }
}

describe('list', () => {
  it('tells each held lock in a line, and nothing in a sentence', async () => {
    expect(await desk.holdfast(['list']).end()).toMatchObject({
      code: 0,
      out: 'No lock is held.\n',
    })
    const runs = [await holder('a', '--label', 'nightly'), await holder('b', '--capacity', '2')]
    const { out } = await desk.holdfast(['list']).end()
    const lines = out.trimEnd().split('\n')
    expect(lines[0]).toMatch(/^LOCK +KIND +HOST +PID +LABEL +HELD +LEFT +WAIT$/)
    expect(lines[1]).toMatch(/^a +mutex +\S+ +\d+ +nightly +\S+ m?s +(30|2\d) s +0$/)
    expect(lines[2]).toMatch(/^b +semaphore of 2 +\S+ +\d+ /)
    const json = await desk.holdfast(['list', 'b', '--json']).end()
    expect(
      json.out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as object),
    ).toMatchObject([
      { name: 'b', kind: 'semaphore', capacity: 2, holders: [{ pid: runs[1]?.pid, permits: 1 }] },
    ])
    expect((await desk.holdfast(['list', '--names']).end()).out).toBe('a\nb\n')
    expect((await desk.holdfast(['list', 'zz']).end()).out).toBe('No lock zz… is held.\n')
    await end(...runs)
  })

  it('and run write nothing of others raw', async () => {
    const label = `${ESC}]0;mine\u0007\u009b31m\u202e`
    const run = await holder('x', '--label', label)
    const seen = [
      await desk.holdfast(['run', '-n', 'x', '--', 'true']).end(),
      await desk.holdfast(['run', '-n', '--json', 'x', '--', 'true']).end(),
      await desk.holdfast(['show', 'x']).end(),
      await desk.holdfast(['show', 'x', '--json']).end(),
      await desk.holdfast(['list', `${ESC}[31m`]).end(),
    ]
    for (const { out, err } of seen) {
      const raw = /(?!\n)\p{Cc}|\u202e/u
      expect(`${out}${err}`).not.toMatch(raw)
    }
    expect(seen[0]?.err).toContain('\\u{1b}]0;mine')
    expect(JSON.parse(String(seen[3]?.out))).toMatchObject({ holders: [{ label }] })
    await end(run)
  })

  it('writes names of others without their control characters', async () => {
    const run = await holder(`${ESC}[31mred\nline`)
    const { out } = await desk.holdfast(['list']).end()
    expect(out).toContain('\\u{1b}[31mred\\nline')
    expect(out).not.toContain(ESC)
    await end(run)
  })
})

describe('show', () => {
  it('tells holder, fence, life and line', async () => {
    const first = await holder('x')
    const second = await waiter('x', '--label', 'patient')
    const { code, out } = await desk.holdfast(['show', 'x']).end()
    expect(code).toBe(0)
    expect(out).toMatch(/^x: mutex, 1 holder, 1 waiter\n\nHOST +PID +SINCE +LEFT +FENCE\n/)
    expect(out).toContain(String(first.pid))
    expect(out).toMatch(new RegExp(`Waiting:\n.*\n1 +\\S+ +${second.pid} +patient\n$`))
    const json = await desk.holdfast(['show', 'x', '--json']).end()
    expect(JSON.parse(json.out)).toMatchObject({
      name: 'x',
      kind: 'mutex',
      holders: [{ pid: first.pid, ours: true }],
      waiters: [{ pid: second.pid, label: 'patient' }],
      waiting: 1,
    })
    await end(first)
    expect((await second.end()).code).toBe(0)
  })

  it('exits with 1 where nobody is', async () => {
    const free = await desk.holdfast(['show', 'x']).end()
    expect(free).toMatchObject({ code: 1, out: 'x: nobody holds it or waits for it.\n' })
    const { code, out } = await desk.holdfast(['show', 'x', '--json']).end()
    expect(code).toBe(1)
    expect(JSON.parse(out)).toEqual({
      name: 'x',
      held: false,
      holders: [],
      waiters: [],
      waiting: 0,
    })
  })
})

describe('watch', () => {
  it('writes a line per change where there is no terminal, and ends cleanly', async () => {
    const watch = desk.holdfast(['watch', 'x', '--interval', '0.05'])
    await until(() => watch.out.includes('x: free'), { what: 'the first look' })
    const first = await holder('x')
    await until(() => watch.out.includes('; 0 waiters'), { what: 'the holder to be seen' })
    const second = await waiter('x')
    await until(() => watch.out.includes('; 1 waiter\n'), { what: 'the waiter to be seen' })
    await end(first)
    await second.end()
    await until(() => watch.out.trimEnd().endsWith('x: free'), { what: 'the end to be seen' })
    watch.kill('SIGINT')
    expect(await watch.end()).toMatchObject({ code: 0, err: '' })
    for (const line of watch.out.trimEnd().split('\n')) {
      expect(line).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z x(: free| \(mutex\): held by )/)
    }
  })

  it('writes objects with --json', async () => {
    const watch = desk.holdfast(['watch', '--json', '--interval', '0.05'])
    const run = await holder('x')
    await until(() => watch.out.includes('"held":true'), { what: 'the holder to be seen' })
    await end(run)
    await until(() => watch.out.includes('"held":false'), { what: 'the end to be seen' })
    watch.kill('SIGTERM')
    expect((await watch.end()).code).toBe(0)
    const told = watch.out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object)
    expect(told).toMatchObject([
      { name: 'x', held: true, holders: [{ pid: run.pid }] },
      { name: 'x', held: false },
    ])
  })

  it('tells a failure once, and what there is when it is over', async () => {
    const server = await startServer()
    try {
      desk.url = server.url
      const run = await holder('x')
      const watch = desk.holdfast(['watch', '--json', '--interval', '0.05'])
      const told = (): object[] =>
        watch.out
          .split('\n')
          .slice(0, -1)
          .map((line) => JSON.parse(line) as object)
      await until(() => told().length === 1, { what: 'the holder to be told' })
      await server.kill()
      await until(() => told().length >= 2, { what: 'the failure to be told' })
      await server.start()
      await until(() => !('error' in (told().at(-1) ?? {})), { what: 'the end of the failure' })
      watch.kill('SIGINT')
      expect((await watch.end()).code).toBe(0)
      const messages = told().map((one) => ('error' in one ? one.error : 'name' in one && one.name))
      expect(messages[0]).toBe('x')
      // Each look may fail in another way, but no two in a row are told for the same.
      for (const [at, message] of messages.entries()) expect(message).not.toBe(messages[at + 1])
      run.kill('SIGKILL')
    } finally {
      await server.stop()
    }
  })

  it.skipIf(process.platform !== 'linux')('redraws a terminal and gives it back', async () => {
    const run = await holder('x')
    const watch = desk.terminal(`"${process.execPath}" "${main}" watch`)
    await until(() => watch.out.includes('mutex'), { what: 'the lock to be drawn' })
    await end(run)
    await until(() => watch.out.includes('No lock is held.'), { what: 'the end to be drawn' })
    watch.type('q')
    expect((await watch.end()).code).toBe(0)
    expect(watch.out).toContain(`${ESC}[?1049h`)
    expect(watch.out.trimEnd().endsWith(`${ESC}[?25h${ESC}[?1049l`)).toBe(true)
  })
})

describe('release', () => {
  it('wants --force, and somebody to ask', async () => {
    const plain = await desk.holdfast(['release', 'x']).end()
    expect(plain).toMatchObject({ code: 64, err: expect.stringContaining('say --force') })
    const forced = await desk.holdfast(['release', 'x', '--force']).end()
    expect(forced).toMatchObject({ code: 64, err: expect.stringContaining('add --yes') })
  })

  it('says what it broke', async () => {
    const run = await holder('x', '--ttl', '3')
    const { out } = await desk.holdfast(['release', 'x', '--force', '--yes', '--json']).end()
    expect(JSON.parse(out)).toMatchObject({ name: 'x', broken: [{ pid: run.pid }] })
    expect((await run.end()).code).toBe(79)
    const free = await desk.holdfast(['release', 'x', '--force', '--yes']).end()
    expect(free).toMatchObject({ code: 0, out: 'x: nobody holds it.\n' })
  })

  it.skipIf(process.platform !== 'linux').each([
    ['n\r', 1, 'Nothing was changed.'],
    ['\u0003', 1, 'Nothing was changed.'],
    ['y\r', 0, 'broke the lease of'],
  ])('asks on a terminal: %j', async (answer, code, told) => {
    const run = await holder('x', '--ttl', '3')
    const release = desk.terminal(`"${process.execPath}" "${main}" release x --force`)
    await until(() => release.out.includes('[y/N]'), { what: 'the question' })
    expect(release.out).toContain(`process ${run.pid} on `)
    release.type(answer)
    expect(await release.end()).toMatchObject({ code, out: expect.stringContaining(told) })
    await end(run)
  })
})

describe('elect', () => {
  it('runs the command of one candidate at a time, with its note for all to see', async () => {
    const lead = 'echo leads; read _; exit 4'
    const first = desk.holdfast(['elect', 'boss', '--note', 'here:80', '-c', lead])
    await until(() => first.out.includes('leads'), { what: 'the first to lead' })
    const second = desk.holdfast(['elect', 'boss', '-v', '-c', lead])
    await until(() => second.err.includes('waiting'), { what: 'the second to stand by' })
    const { out } = await desk.holdfast(['show', 'boss']).end()
    expect(out).toMatch(/^boss: election, 1 holder, 1 waiter\n/)
    expect(out).toContain('here:80')
    first.type('\n')
    expect((await first.end()).code).toBe(4)
    await until(() => second.out.includes('leads'), { what: 'the second to lead' })
    second.type('\n')
    expect((await second.end()).code).toBe(4)
    expect((await desk.holdfast(['elect', 'boss', '-w', '0', '--', 'true']).end()).code).toBe(0)
  })

  it('--again campaigns anew after a loss', async () => {
    const run = desk.holdfast([
      'elect',
      'boss',
      '--again',
      '--ttl',
      '2',
      '-c',
      'echo leads; read _',
    ])
    await until(() => run.out === 'leads\n', { what: 'it to lead' })
    await desk.holdfast(['release', 'boss', '--force', '--yes']).end()
    await until(() => run.out === 'leads\nleads\n', { what: 'it to lead again' })
    run.type('\n')
    expect((await run.end()).code).toBe(0)
  })
})

describe('elect --again', () => {
  const again = ['elect', 'boss', '--again', '--ttl', '4', '--grace', '2']

  it('ends when it is told to while a loss is dealt with', async () => {
    const line = 'trap "echo term" TERM; echo leads; while :; do sleep 0.02; done'
    const run = desk.holdfast([...again, '-c', line])
    await until(() => run.out === 'leads\n', { what: 'it to lead' })
    await desk.holdfast(['release', 'boss', '--force', '--yes']).end()
    await until(() => run.err.includes('the command is stopped'), { what: 'the loss' })
    run.kill('SIGINT')
    expect(await run.end()).toMatchObject({
      code: 130,
      out: expect.not.stringMatching(/leads.*leads/s),
    })
  })

  it("takes the command's own 79 for what it is", async () => {
    const line = 'echo leads; exit 79'
    expect(await desk.holdfast([...again, '-c', line]).end()).toMatchObject({
      code: 79,
      out: 'leads\n',
      err: '',
    })
  })
})

describe('doctor', () => {
  it('finds nothing that endangers a promise in a file of this user', async () => {
    const { code, out } = await desk.holdfast(['doctor']).end()
    expect(code).toBe(0)
    expect(out).toMatch(/^sqlite: the file of this user\n/)
    expect(out).toContain('Nothing endangers a promise.')
  })
})

describe('bench', () => {
  it('measures the engine', async () => {
    const { code, out } = await desk.holdfast(['bench', '--seconds', '1', '--json']).end()
    expect(code).toBe(0)
    const { engine, rows } = JSON.parse(out) as { engine: string; rows: Record<string, number>[] }
    expect(engine).toBe('sqlite')
    expect(rows).toHaveLength(3)
    for (const row of rows) {
      expect(row['times']).toBeGreaterThan(0)
      expect(row['p99Ms']).toBeGreaterThanOrEqual(Number(row['p50Ms']))
      expect(row['commands']).toBeNull()
    }
  })
})
