import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { freePort } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { Desk, main, type Run } from './support.ts'

let desk: Desk
beforeEach(() => {
  desk = new Desk()
})
afterEach(() => desk.clear())

const holdfast = `"${process.execPath}" "${main}"`

async function holder(...args: string[]): Promise<Run> {
  const run = desk.holdfast(['run', ...args, '-c', 'echo ready; read _'])
  await until(() => run.out.includes('ready'), { what: 'the lock to be held' })
  return run
}

/** What stands in front of a reader in bash, and the exit code of that at the end. */
async function piped(what: string, reader: string): Promise<{ code: string; err: string }> {
  const line = `${holdfast} ${what} | ${reader}; echo "\n\${PIPESTATUS[0]}"`
  const { out, err } = await desk.run('bash', ['-c', line]).end()
  return { code: String(out.trimEnd().split('\n').at(-1)), err }
}

describe('a reader that leaves early', () => {
  it('is no mistake', async () => {
    const runs = [await holder('a'), await holder('b')]
    // The reader is gone before anything is written.
    for (const what of [
      'list',
      'list --json',
      'list --names',
      'show a',
      'doctor',
      '--help',
      'list --help',
      'run --help',
      'completion bash',
    ]) {
      const line = `{ sleep 0.01; ${holdfast} ${what}; } | :; echo "\${PIPESTATUS[0]}"`
      const { out, err } = await desk.run('bash', ['-c', line]).end()
      expect({ what, out, err }).toEqual({ what, out: '0\n', err: '' })
    }
    for (const run of runs) {
      run.type('\n')
      await run.end()
    }
  })

  // Each of these has something to say in a minute or an hour only, or never.
  it.each([
    ['watch x', 'head -1', '0'],
    ['watch x --json', 'head -1', '0'],
    ['watch --json --interval 1h', ':', '0'],
    ['bench --seconds 60', ':', '141'],
    ['bench --seconds 60 --json', ':', '141'],
    ['demo --task-ms 3600000', 'head -1', '141'],
    ['demo --task-ms 3600000 --json', 'head -1', '141'],
  ])('ends %s, where there is nothing to write', async (what, reader, code) => {
    expect(await piped(what, reader)).toEqual({ code, err: '' })
  })

  it.each(['list', 'show x', 'doctor --json'])('ends %s that waits for an engine', async (what) => {
    // It takes connections, and never answers.
    const port = await freePort()
    const silent = desk.run('node', [
      '-e',
      `require('node:net').createServer(() => {}).listen(${port}, '127.0.0.1', () => console.log('ready'))`,
    ])
    await until(() => silent.out !== '', { what: 'the silent server' })
    const url = `--url redis://127.0.0.1:${port}`
    expect(await piped(`${what} ${url}`, ':')).toEqual({ code: '141', err: '' })
    silent.kill('SIGKILL')
  })

  it('is noticed on a socket too', async () => {
    const watch = desk.holdfast(['watch', 'x'])
    await until(() => watch.out.includes('free'), { what: 'the first look' })
    watch.child.stdout?.destroy()
    expect(await watch.end()).toMatchObject({ code: 0, err: '' })
  })

  it('is told from one that is slow, and from a file', async () => {
    const slow = desk.run('bash', [
      '-c',
      `${holdfast} watch x | { read -r line; sleep 2; echo "$line"; cat; }`,
    ])
    await until(() => slow.out.includes('free'), { what: 'the slow reader' })
    const file = desk.run('bash', ['-c', `exec ${holdfast} watch x > seen`])
    await until(() => desk.read('seen').includes('free'), { what: 'the first look' })
    const run = await holder('x')
    await until(() => slow.out.includes('held by'), { what: 'the change in the pipe' })
    await until(() => desk.read('seen').includes('held by'), { what: 'the change in the file' })
    run.type('\n')
    await run.end()
    file.kill('SIGTERM')
    expect(await file.end()).toMatchObject({ code: 0, err: '' })
    for (const pid of slow.processes()) process.kill(pid, 'SIGTERM')
    await slow.end()
  })
})
