import { randomBytes } from 'node:crypto'
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { until } from '../support/until.ts'
import { Desk, main, type Run } from './support.ts'

let desk: Desk
beforeEach(() => {
  desk = new Desk()
})
afterEach(() => desk.clear())

/** A holder that keeps the lock until its input ends. */
async function holder(...args: string[]): Promise<Run> {
  const run = desk.holdfast(['run', ...args, '-c', 'echo ready; read _'])
  await until(() => run.out.includes('ready'), { what: 'the lock to be held' })
  return run
}

describe('exit codes of run', () => {
  it.each([
    ['true', 0],
    ['exit 1', 1],
    ['exit 42', 42],
    ['exit 79', 79],
    ['kill -TERM $$', 128 + 15],
    ['kill -KILL $$', 128 + 9],
    ['kill -SEGV $$', 128 + 11],
  ])('are those of the command: %s', async (line, code) => {
    expect(await desk.holdfast(['run', 'x', '-c', line]).end()).toMatchObject({ code, err: '' })
  })

  it('tell that a command is not there or cannot be executed', async () => {
    const missing = await desk.holdfast(['run', 'x', '--', './no such']).end()
    expect(missing).toMatchObject({
      code: 127,
      err: expect.stringContaining('"./no such" was not'),
    })
    writeFileSync(desk.file('text'), 'no program')
    const text = await desk.holdfast(['run', 'x', '--', './text']).end()
    expect(text).toMatchObject({ code: 126, err: expect.stringContaining('cannot be executed') })
    // Node throws some of them and tells others by an event.
    const unwilling = [['./text/program'], ['.']]
    for (const command of unwilling) {
      const { code, err } = await desk.holdfast(['run', 'x', '--', ...command]).end()
      expect({ code, err }).toEqual({
        code: 126,
        err: expect.stringMatching(/^holdfast: "[^"]+" cannot be executed: [a-z ]+\.\n$/),
      })
    }
    // None of them keeps the lock.
    expect((await desk.holdfast(['run', '-n', 'x', '--', 'true']).end()).code).toBe(0)
  })

  it.skipIf(process.platform !== 'linux')('tell arguments that are too long', async () => {
    const first = await holder('x')
    // What the system takes is a quarter of the stack's limit, which shrinks while holdfast waits.
    const env = Object.fromEntries(
      Array.from({ length: 8 }, (_, at) => [`PADDING_${at}`, 'x'.repeat(100_000)]),
    )
    const run = desk.holdfast(['run', '-v', 'x', '--', 'touch', 'ran'], env)
    await until(() => run.err.includes('waiting'), { what: 'it to wait' })
    const limit = ['--pid', String(run.pid), `--stack=${2 * 1024 * 1024}:`]
    expect((await desk.run('prlimit', limit).end()).code).toBe(0)
    first.type('\n')
    await first.end()
    const { code, err } = await run.end()
    expect({ code, err: err.trimEnd().split('\n').at(-1) }).toEqual({
      code: 126,
      err: 'holdfast: "touch" cannot be executed: its arguments and environment are too long.',
    })
    expect(desk.has('ran')).toBe(false)
    await until(() => run.processes().length === 0, { what: 'the guardian to be gone' })
    expect((await desk.holdfast(['run', '-n', 'x', '--', 'true']).end()).code).toBe(0)
  })

  it('tell a conflict from a timeout, and both from the command', async () => {
    const first = await holder('x')
    const busy = await desk.holdfast(['run', '-n', 'x', '--', 'touch', 'ran']).end()
    expect(busy.code).toBe(1)
    expect(busy.err).toMatch(
      /^holdfast: lock "x" was not granted within 0 ms; held by process \d+ /,
    )
    const atOnce = await desk.holdfast(['run', '-w', '0', 'x', '--', 'touch', 'ran']).end()
    expect(atOnce).toMatchObject({ code: 75, err: expect.stringContaining('within 0 ms') })
    const late = await desk.holdfast(['run', '-w', '0.05', 'x', '--', 'touch', 'ran']).end()
    expect(late).toMatchObject({ code: 75, err: expect.stringContaining('within 50 ms') })
    for (const flags of [['-n'], ['-w', '10ms']]) {
      const chosen = ['run', ...flags, '-q', '-E', '17', 'x', '--', 'touch', 'ran']
      expect(await desk.holdfast(chosen).end()).toMatchObject({ code: 17, err: '' })
    }
    expect(desk.has('ran')).toBe(false)
    first.type('\n')
    expect((await first.end()).code).toBe(0)
  })

  it('tell that the engine cannot be reached or used', async () => {
    const away = ['run', 'x', '--url', 'redis://127.0.0.1:9', '--', 'touch', 'ran']
    expect(await desk.holdfast(away).end()).toMatchObject({ code: 69 })
    mkdirSync(desk.file('folder'))
    const folder = ['run', 'x', '--url', `sqlite:${desk.file('folder')}`, '--', 'touch', 'ran']
    expect(await desk.holdfast(folder).end()).toMatchObject({ code: 69 })
    expect(desk.has('ran')).toBe(false)
  })

  it('tell a lock of another kind', async () => {
    const first = await holder('--capacity', '2', 'x')
    const other = await desk.holdfast(['run', '-n', 'x', '--', 'true']).end()
    expect(other).toMatchObject({ code: 65, err: expect.stringContaining('a semaphore of 2') })
    first.type('\n')
    await first.end()
  })

  it('tell wrong usage in one line', async () => {
    const { code, err, out } = await desk.holdfast(['run', 'x', 'echo', 'hi']).end()
    expect({ code, err, out }).toEqual({
      code: 64,
      err: 'holdfast run: put -- in front of the command: holdfast run x -- echo\n',
      out: '',
    })
  })

  it('tell a name that is too long', async () => {
    const { code, err } = await desk.holdfast(['run', 'x'.repeat(1025), '--', 'true']).end()
    expect({ code, err }).toMatchObject({
      code: 64,
      err: expect.stringMatching(/^holdfast: name must be at most 1024 bytes.*\n$/),
    })
  })
})

describe('the streams of the command', () => {
  it('carry 10 MiB of binary data unchanged', async () => {
    const data = randomBytes(10 * 1024 * 1024)
    const run = desk.holdfast(['run', 'x', '--verbose', '--', 'cat'])
    run.child.stdin?.end(data)
    expect((await run.end()).code).toBe(0)
    expect(run.bytes.equals(data)).toBe(true)
  })

  it('stay blocking when holdfast writes beside the command', async () => {
    // Each write is more than a pipe holds: on a non-blocking one it would fail. The command goes
    // on in spite of SIGTERM, until the grace is over.
    const write = 'dd if=/dev/zero bs=1M count=1 2>/dev/null && echo >>writes || touch failed'
    const line = `"${process.execPath}" "${main}" run x --ttl 4 --grace 1.5 -c '
      trap "" TERM; echo ready; while :; do ${write}; sleep 0.05; done' 2>&1`
    const run = desk.run('bash', ['-c', line])
    await until(() => desk.read('writes') !== '', { what: 'the command to write' })
    await desk.holdfast(['release', 'x', '--force', '--yes']).end()
    await until(() => run.bytes.includes('the lease is lost'), { what: 'holdfast to write' })
    const before = desk.read('writes').length
    expect((await run.end()).code).toBe(79)
    expect(desk.has('failed')).toBe(false)
    expect(desk.read('writes').length).toBeGreaterThan(before)
  })

  it('may be full without holding holdfast up', async () => {
    const first = await holder('x')
    // A pipe holds this much, and nobody reads it: the word that it waits has to wait itself.
    const line = `{ head -c 65536 /dev/zero; "${process.execPath}" "${main}" run -v x -- touch ran
      echo $? >code; } 2>&1 | { until [ -e enough ]; do sleep 0.05; done; tr -d '\\0'; }`
    const second = desk.run('bash', ['-c', line])
    const { out } = await until(
      async () => {
        const seen = await desk.holdfast(['show', 'x', '--json']).end()
        return seen.out.includes('"waiting":1') && seen
      },
      { what: 'the second to wait', timeoutMs: 30_000 },
    )
    expect(out).toContain(String(first.pid))
    first.type('\n')
    await first.end()
    await until(() => desk.has('ran'), { what: 'the second to have its turn' })
    expect(desk.has('code')).toBe(false)
    writeFileSync(desk.file('enough'), '')
    expect((await second.end()).out).toMatch(/waiting\.\n.*granted after .*\n.*ended with 0/)
    expect(desk.read('code')).toBe('0\n')
  })

  it('keep standard error apart, and a closed input closed', async () => {
    const apart = await desk.holdfast(['run', 'x', '-c', 'echo out; echo err >&2']).end()
    expect(apart).toMatchObject({ out: 'out\n', err: 'err\n' })
    const empty = openSync('/dev/null', 'r')
    closeSync(empty)
    const line = `${process.execPath} ${main} run x -- cat <&-`
    expect(await desk.run('bash', ['-c', line]).end()).toMatchObject({ code: 0, out: '' })
  })

  it.skipIf(process.platform !== 'linux')('above standard error are passed on too', async () => {
    // As with a lock file of flock, a log, and the two ends of the job server of a make.
    const holdfast = `"${process.execPath}" "${main}" run x`
    writeFileSync(desk.file('in'), 'from nine\n')
    const command = `-c 'cat <&9; echo to three >&3; echo to eight >&8; echo to seven >&7
      ls /proc/$$/fd'`
    const files = '3>three 9<in 8>eight 7>/dev/null'
    // Whoever runs the tests may hand on some of its own.
    const bare = await desk.run('bash', ['-c', `/bin/sh ${command} ${files}`]).end()
    const line = `${holdfast} ${command} ${files}`
    const { code, err, out } = await desk.run('bash', ['-c', line]).end()
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toBe(bare.out)
    expect(out.split('\n')).toEqual(expect.arrayContaining(['from nine', '3', '7', '8', '9']))
    expect([desk.read('three'), desk.read('eight')]).toEqual(['to three\n', 'to eight\n'])
    const pipes = `coproc cat; a=\${COPROC[0]} b=\${COPROC[1]}; mkfifo p; exec 5<>p
      ${holdfast} -- bash -c 'echo through >&5; read -r -t 5 line <&5; echo "$line"'`
    expect(await desk.run('bash', ['-c', pipes]).end()).toMatchObject({ out: 'through\n' })
  })

  it('are left to the command by --json', async () => {
    const { out, err } = await desk.holdfast(['run', 'x', '-v', '--json', '--', 'echo', 'hi']).end()
    expect(out).toBe('hi\n')
    const told = err
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object)
    expect(told).toMatchObject([
      { type: 'granted', lock: 'x' },
      { type: 'ended', lock: 'x', code: 0 },
    ])
  })
})

describe('the command', () => {
  it('is told of its lock in the environment', async () => {
    const line = 'echo "$HOLDFAST_LOCK $HOLDFAST_HOLDER $HOLDFAST_FENCE $HOLDFAST_ENGINE"'
    const fences: number[] = []
    for (let turn = 0; turn < 2; turn++) {
      const { out } = await desk.holdfast(['run', 'a "b" é', '-c', line]).end()
      expect(out).toMatch(/^a "b" é [0-9a-f]{32} \d+ sqlite\n$/)
      fences.push(Number(out.split(' ').at(-2)))
    }
    expect(fences[1]).toBeGreaterThan(Number(fences[0]))
  })

  it.each(["it's", 'a "b"', ' ', '$(touch ran)', '-dash', '{x}', 'ünïcödé 锁', 'a\nb'])(
    'runs under a lock named %j',
    async (name) => {
      const dashed = name.startsWith('-') ? ['--', name, '--'] : [name, '--']
      const first = desk.holdfast(['run', ...dashed, 'sh', '-c', 'echo ready; read _'])
      await until(() => first.out.includes('ready'), { what: 'the lock to be held' })
      const busy = await desk.holdfast(['run', '-n', ...dashed, 'touch', 'ran']).end()
      expect(busy.code).toBe(1)
      const seen = await desk.holdfast(['show', '--json', '--', name]).end()
      expect(JSON.parse(seen.out)).toMatchObject({ name, held: true })
      first.type('\n')
      expect((await first.end()).code).toBe(0)
      expect(desk.has('ran')).toBe(false)
    },
  )

  it('gets its arguments as they are', async () => {
    const args = ['a b', '', '$HOME', '*', '--', '-n', "it's", '"']
    const script = 'console.log(JSON.stringify(process.argv.slice(1)))'
    const { out } = await desk
      .holdfast(['run', 'x', '--', process.execPath, '-e', script, '--', ...args])
      .end()
    expect(JSON.parse(out)).toEqual(args)
  })

  it('shares a lock for reading, and has it alone for writing', async () => {
    const readers = [await holder('-s', 'x'), await holder('-s', 'x')]
    expect((await desk.holdfast(['run', '-n', '-x', 'x', '--', 'true']).end()).code).toBe(1)
    for (const reader of readers) {
      reader.type('\n')
      await reader.end()
    }
    const writer = await holder('-x', 'x')
    expect((await desk.holdfast(['run', '-n', '-s', 'x', '--', 'true']).end()).code).toBe(1)
    writer.type('\n')
    await writer.end()
  })

  it('takes permits of a semaphore', async () => {
    const two = await holder('--capacity', '3', '--permits', '2', 'x')
    const shape = ['run', '-n', '--capacity', '3']
    expect((await desk.holdfast([...shape, '--permits', '2', 'x', '--', 'true']).end()).code).toBe(
      1,
    )
    expect((await desk.holdfast([...shape, 'x', '--', 'true']).end()).code).toBe(0)
    two.type('\n')
    await two.end()
  })

  it('keeps its lock for --min-hold', async () => {
    const once = ['run', '-n', '--min-hold', '1h', 'x', '--', 'true']
    expect((await desk.holdfast(once).end()).code).toBe(0)
    expect((await desk.holdfast(once).end()).code).toBe(1)
  })
})
