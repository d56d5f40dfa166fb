import { writeFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type RunningServer, startServer } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { Desk, lives, type Run } from './support.ts'

let server: RunningServer
let desk: Desk

beforeAll(async () => {
  server = await startServer()
})
afterAll(async () => {
  await server?.stop()
})
beforeEach(async () => {
  desk = new Desk()
  desk.url = server.url
  await server.call('flushall')
})
afterEach(() => desk.clear())

const SHORT = ['--ttl', '3', '--grace', '0.3']

/** Does not end at SIGTERM, and neither does what it started, in whatever session. */
const STUBBORN = `trap '' TERM
  setsid sh -c 'trap "" TERM; echo $$ > far; while :; do sleep 0.02; done' &
  sh -c 'trap "" TERM; echo $$ > near; while :; do sleep 0.02; done' &
  echo $$ > pid; while :; do sleep 0.02; done`

async function holding(run: Run, ...files: string[]): Promise<number[]> {
  await until(() => files.every((file) => desk.read(file).endsWith('\n')), {
    what: `${files.join(', ')} to be written (${run.err})`,
  })
  return files.map((file) => Number(desk.read(file)))
}

async function allGone(pids: readonly number[]): Promise<void> {
  await until(() => !pids.some(lives), { what: 'the command and all of its to be gone' })
}

describe('a lease that is taken away', () => {
  it('ends the command, and leaves the lock to who has it now', async () => {
    const trap = `trap 'echo TERM > term; exit 3' TERM; echo $$ > pid; while :; do sleep 0.02; done`
    const run = desk.holdfast(['run', 'x', ...SHORT, '-c', trap])
    const pids = await holding(run, 'pid')
    await server.call('set', 'holdfast:x', 'mine', 'px', 60_000)
    const { code, err } = await run.end()
    expect(code).toBe(79)
    expect(err).toMatch(
      /^holdfast: lock "x": the lease is lost \(released, taken over or deleted by somebody else\)/m,
    )
    expect(desk.read('term')).toBe('TERM\n')
    await allGone(pids)
    expect(await server.cli('get', 'holdfast:x')).toBe('mine')
  })

  it('kills what does not end at SIGTERM, in whatever session it is', async () => {
    const run = desk.holdfast(['run', 'x', ...SHORT, '-c', STUBBORN])
    const pids = await holding(run, 'pid', 'near', 'far')
    await server.call('del', 'holdfast:x')
    expect((await run.end()).code).toBe(79)
    await allGone(pids)
    expect(run.processes()).toEqual([])
  })

  it('is dealt with once: by holdfast, and by the guardian only if that dies', async () => {
    const line = `trap 'echo TERM >> terms' TERM; echo $$ > pid; while :; do sleep 0.02; done`
    const args = ['run', 'x', '--ttl', '3', '--grace', '1.4', '-c', line]
    const run = desk.holdfast(args)
    const pids = await holding(run, 'pid')
    await server.call('del', 'holdfast:x')
    expect((await run.end()).code).toBe(79)
    await allGone(pids)
    expect(desk.read('terms')).toBe('TERM\n')
    // The shell tells the end of each of its sleeps.
    expect(run.err.match(/^holdfast: /gm)).toHaveLength(1)

    const other = desk.holdfast([
      'run',
      'y',
      ...args.slice(2, -1),
      line.replace('> pid', '> other'),
    ])
    const others = await holding(other, 'other')
    await server.call('del', 'holdfast:y')
    await until(() => desk.read('terms') === 'TERM\nTERM\n', { what: 'the stop to begin' })
    other.kill('SIGKILL')
    await other.end()
    await allGone(others)
    expect(desk.read('terms')).toBe('TERM\nTERM\n')
    expect(other.err).toContain('was killed; the command is stopped.')
  })

  it('is told by the exit code also when the command ended well meanwhile', async () => {
    const run = desk.holdfast(['run', 'x', '-c', 'echo ready; read _'])
    await until(() => run.out.includes('ready'), { what: 'the lock to be held' })
    await server.call('del', 'holdfast:x')
    run.type('\n')
    const { code, err } = await run.end()
    expect({ code, err }).toEqual({
      code: 79,
      err: 'holdfast: lock "x": the lease was lost while the command ran.\n',
    })
  })

  it('goes to the next in line with release --force', async () => {
    const run = desk.holdfast(['run', 'x', ...SHORT, '-c', 'echo $$ > pid; sleep 1000'])
    await holding(run, 'pid')
    const next = desk.holdfast(['run', 'x', '-v', '-c', 'echo $HOLDFAST_FENCE'])
    await until(() => next.err.includes('waiting'), { what: 'the next to wait' })
    const forced = await desk.holdfast(['release', 'x', '--force', '--yes']).end()
    expect(forced).toMatchObject({ code: 0, err: '' })
    expect(forced.out).toMatch(
      new RegExp(`^x: broke the lease of\\n  process ${run.pid} on \\S+.*, fence \\d+\\n$`),
    )
    expect((await next.end()).code).toBe(0)
    expect((await run.end()).code).toBe(79)
  })
})

describe('a server that goes away', () => {
  it('and comes back in time costs two lines on stderr and nothing else', async () => {
    const run = desk.holdfast(['run', 'x', '--ttl', '9', '--json', '-c', 'echo ready; read _'])
    await until(() => run.out.includes('ready'), { what: 'the lock to be held' })
    server.pause()
    try {
      await until(() => run.err.includes('jeopardy'), { what: 'the lease to be in jeopardy' })
    } finally {
      server.resume()
    }
    await until(() => run.err.includes('secured'), { what: 'the lease to be confirmed' })
    run.type('\n')
    const { code, err } = await run.end()
    expect(code).toBe(0)
    const told = err
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object)
    expect(told).toMatchObject([
      { type: 'jeopardy', lock: 'x', message: expect.stringMatching(/the command is stopped in /) },
      { type: 'secured', lock: 'x' },
    ])
  })

  it.each([
    ['frozen', async () => server.pause(), async () => server.resume()],
    ['killed', async () => await server.kill(), async () => await server.start()],
  ])('and stays %s has all of the command gone before the lease ends', async (_how, away, back) => {
    const run = desk.holdfast(['run', 'x', '--ttl', '5', '--grace', '0.3', '-c', STUBBORN])
    const pids = await holding(run, 'pid', 'near', 'far')
    const askedAt = performance.now()
    const endsAt = askedAt + Number(await server.cli('pttl', 'holdfast:x'))
    await away()
    try {
      await allGone(pids)
      // Nobody else could have had the lock yet: that is what the stop begins early for.
      expect(performance.now()).toBeLessThan(endsAt)
      expect((await run.end()).code).toBe(79)
      expect(run.err).toContain('the lease is in jeopardy')
      // Holdfast does it, and its guardian has nothing to say.
      expect(run.err).not.toContain('does not renew')
      expect(run.err).toMatch(
        /did not confirm the lease, which ends in \S+ m?s; the command is stop/,
      )
    } finally {
      await back()
    }
  })
})

describe('processes of two hosts', () => {
  it('work one at a time, and every turn counts', async () => {
    writeFileSync(desk.file('count'), '0\n')
    const turn = 'read n < count; sleep 0.02; echo $((n + 1)) > count'
    const turns = Array.from({ length: 4 }, (_, host) =>
      Array.from({ length: 2 }, async () => {
        // Each host knows the server by an address of its own.
        const url = server.url.replace('127.0.0.1', host % 2 === 0 ? '127.0.0.1' : 'localhost')
        return await desk.holdfast(['run', 'count', '-c', turn], { HOLDFAST_URL: url }).end()
      }),
    ).flat()
    for (const { code, err } of await Promise.all(turns)) {
      expect({ code, err }).toEqual({ code: 0, err: '' })
    }
    expect(desk.read('count')).toBe('8\n')
  })
})

describe('doctor', () => {
  it('exits with 1 and says what to do when locks can be evicted', async () => {
    await server.call('config', 'set', 'maxmemory', 100_000_000)
    await server.call('config', 'set', 'maxmemory-policy', 'allkeys-lru')
    try {
      const { code, out, err } = await desk.holdfast(['doctor']).end()
      expect({ code, err }).toEqual({ code: 1, err: '' })
      expect(out).toMatch(/^danger {2}\S+\n {2}.*\n(.*\n)* {2}Endangers: .*\n(.*\n)* {2}To do: /m)
      expect(out).toContain('allkeys-lru')
      const json = await desk.holdfast(['doctor', '--json']).end()
      const found = json.out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as object)
      expect(found[0]).toMatchObject({ severity: 'danger', code: expect.any(String) })
      // Others are warned in a line.
      const list = await desk.holdfast(['list']).end()
      expect(list.err).toMatch(/^holdfast: warning: .*allkeys-lru.*\n$/)
      const objects = await desk.holdfast(['list', '--json']).end()
      expect(JSON.parse(objects.err)).toMatchObject({
        type: 'warning',
        message: expect.stringContaining('allkeys-lru'),
      })
      const run = desk.holdfast(['run', 'x', '--json', '-c', 'echo ready; read _'])
      await until(() => run.err !== '', { what: 'the warning' })
      run.type('\n')
      expect((await run.end()).code).toBe(0)
      expect(JSON.parse(run.err)).toMatchObject({
        type: 'warning',
        message: expect.stringContaining('allkeys-lru'),
      })
    } finally {
      await server.call('config', 'set', 'maxmemory-policy', 'noeviction')
    }
  })
})
