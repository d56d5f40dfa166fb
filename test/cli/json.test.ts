import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CATALOGUE } from '../../src/cli/catalogue.ts'
import { freePort } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { Desk, main, type Result, type Run } from './support.ts'

let desk: Desk
beforeEach(() => {
  desk = new Desk()
})
afterEach(() => desk.clear())

/** Each line as the object that it must be. */
function objects(text: string): Record<string, unknown>[] {
  if (text === '') return []
  expect(text.endsWith('\n')).toBe(true)
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => {
      const value: unknown = JSON.parse(line)
      expect(value).toBeTypeOf('object')
      return value as Record<string, unknown>
    })
}

/** Nothing but objects on both streams; the one of stderr is the error. */
function expectError({ code, out, err }: Result, exitCode: number, type = 'error'): void {
  expect({ code, out }).toEqual({ code: exitCode, out: '' })
  expect(objects(err)).toEqual([
    expect.objectContaining({ type, exitCode, message: expect.stringMatching(/\S/) }),
  ])
}

async function holder(...args: string[]): Promise<Run> {
  const run = desk.holdfast(['run', ...args, '-c', 'echo ready; read _'])
  await until(() => run.out.includes('ready'), { what: 'the lock to be held' })
  return run
}

/** What each command is called with to do its work. */
const CALLS: Readonly<Record<string, readonly string[]>> = {
  run: ['run', 'x', '-v', '--json', '--', 'true'],
  elect: ['elect', 'boss', '-v', '--json', '--', 'true'],
  list: ['list', '--json'],
  show: ['show', 'held', '--json'],
  watch: ['watch', '--json'],
  release: ['release', 'held', '--force', '--yes', '--json'],
  doctor: ['doctor', '--json'],
  bench: ['bench', '--seconds', '1', '--json'],
  demo: ['demo', '--processes', '2', '--task-ms', '50', '--json'],
}
const names = Object.keys(CALLS)

describe('--json', () => {
  it('is known to every command but the one that prints scripts', () => {
    const known = CATALOGUE.filter(({ options }) => options.some(({ name }) => name === 'json'))
    expect(known.map(({ name }) => name)).toEqual(names)
    expect(CATALOGUE.length - known.length).toBe(1)
  })

  it('makes every line of every command an object', async () => {
    // The guardian of a lock that was taken away is not asked here.
    const held = await holder('held', '--ttl', '600')
    for (const name of names.filter((one) => one !== 'watch' && one !== 'release')) {
      const { code, out, err } = await desk.holdfast([...(CALLS[name] ?? [])]).end()
      expect({ name, code }).toEqual({ name, code: 0 })
      expect(objects(out).length + objects(err).length).toBeGreaterThan(name === 'doctor' ? -1 : 0)
    }
    const watch = desk.holdfast([...(CALLS['watch'] ?? [])])
    await until(() => watch.out.includes('held'), { what: 'the lock to be told' })
    watch.kill('SIGINT')
    expect(objects((await watch.end()).out)).toMatchObject([{ name: 'held', held: true }])
    const { out, err } = await desk.holdfast([...(CALLS['release'] ?? [])]).end()
    expect(objects(out)).toMatchObject([{ name: 'held', broken: [{ pid: held.pid }] }])
    expect(err).toBe('')
    const version = await desk.holdfast(['--version', '--json']).end()
    expect(objects(version.out)).toEqual([{ version: expect.stringMatching(/^\d+\.\d+\.\d+/) }])
  })

  it('tells wrong usage as an object, however wrong it is', async () => {
    for (const name of [...names, 'completion']) {
      const result = await desk.holdfast([name, '--json', '--bogus']).end()
      expectError(result, 64)
      expect(objects(result.err)).toMatchObject([{ command: name }])
    }
    for (const args of [
      ['--json'],
      ['nope', '--json'],
      ['help', 'nope', '--json'],
      ['run', 'x', '--json'],
      ['run', 'x', '--json', '--ttl', '--', 'true'],
      ['run', 'x', '--json', '--ttl', 'soon', '--', 'true'],
      ['show', '--json'],
      ['release', 'x', '--json'],
      ['watch', 'x', 'y', '--json'],
    ]) {
      expectError(await desk.holdfast(args).end(), 64)
    }
    // Behind -- it is the command's own.
    const { err } = await desk.holdfast(['run', '--bogus', 'x', '--', 'echo', '--json']).end()
    expect(err).toMatch(/^holdfast run: /)
  })

  it('tells an engine that cannot be reached as an object', async () => {
    desk.url = `redis://127.0.0.1:${await freePort()}`
    for (const name of names) expectError(await desk.holdfast([...(CALLS[name] ?? [])]).end(), 69)
  })

  it('tells a lock that is not granted as an object', async () => {
    const held = await holder('x')
    const json = ['x', '--json', '--', 'true']
    expectError(await desk.holdfast(['run', '-n', ...json]).end(), 1, 'refused')
    expectError(await desk.holdfast(['run', '-n', '-E', '9', ...json]).end(), 9, 'refused')
    expectError(await desk.holdfast(['run', '-w', '0', ...json]).end(), 75, 'refused')
    expectError(await desk.holdfast(['run', '-n', '--capacity', '2', ...json]).end(), 65)
    held.type('\n')
    await held.end()
    const leader = desk.holdfast(['elect', 'y', '-c', 'echo ready; read _'])
    await until(() => leader.out.includes('ready'), { what: 'the leader' })
    const late = ['elect', 'y', '-w', '0.05', '--json', '--', 'true']
    expectError(await desk.holdfast(late).end(), 75, 'refused')
    leader.type('\n')
    await leader.end()
  })

  it('tells a command that cannot be started as an object', async () => {
    expectError(await desk.holdfast(['run', 'x', '--json', '--', './missing']).end(), 127)
    expectError(await desk.holdfast(['run', 'x', '--json', '--', '.']).end(), 126)
  })

  it('tells a loss as objects', async () => {
    const line = 'echo ready; while :; do sleep 0.02; done 2>/dev/null'
    const lost = desk.holdfast(['run', 'x', '--ttl', '2', '--json', '-v', '-c', line])
    await until(() => lost.out.includes('ready'), { what: 'the lock to be held' })
    await desk.holdfast(['release', 'x', '--force', '--yes']).end()
    expect((await lost.end()).code).toBe(79)
    expect(objects(lost.err)).toMatchObject([
      { type: 'granted', lock: 'x' },
      { type: 'stopping', lock: 'x' },
      { type: 'ended', lock: 'x', code: 143 },
    ])
    const well = await holder('y', '--json')
    await desk.holdfast(['release', 'y', '--force', '--yes']).end()
    well.type('\n')
    expect((await well.end()).code).toBe(79)
    expect(objects(well.err)).toMatchObject([{ lock: 'y' }])
  })

  it('holds for the guardian too', async () => {
    const line = 'echo ready; while :; do sleep 0.02; done 2>/dev/null'
    const run = desk.holdfast(['run', 'x "y"', '--grace', '0.3', '--json', '-c', line])
    await until(() => run.out.includes('ready'), { what: 'the lock to be held' })
    run.kill('SIGKILL')
    await run.end()
    await until(() => run.processes().length === 0, { what: 'every process to be gone' })
    expect(objects(run.err)).toMatchObject([
      { type: 'stopping', lock: 'x "y"', message: expect.stringContaining('was killed') },
    ])
  })

  it('tells an output that cannot be written as an object', async () => {
    const held = await holder('x')
    for (const what of ['list --json', 'watch --json', 'demo --json', '--help --json']) {
      const line = `"${process.execPath}" "${main}" ${what} >/dev/full`
      const { code, err } = await desk.run('bash', ['-c', line]).end()
      expect({ what, code }).toEqual({ what, code: 74 })
      expect(objects(err)).toMatchObject([{ type: 'error', exitCode: 74 }])
    }
    held.type('\n')
    await held.end()
  })
})
