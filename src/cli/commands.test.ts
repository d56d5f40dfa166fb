import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { CATALOGUE } from './catalogue.ts'
import { runCli } from './commands.ts'

async function cli(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const world = { stdout: stdout as unknown as NodeJS.WriteStream, stderr, env: {} }
  const code = await runCli(args, world)
  return { code, out: String(stdout.read() ?? ''), err: String(stderr.read() ?? '') }
}

describe('the command line', () => {
  it('lists its commands', async () => {
    for (const flag of ['--help', '-h']) {
      const { code, out, err } = await cli(flag)
      expect({ code, err }).toEqual({ code: 0, err: '' })
      expect(out).toMatch(/Usage: holdfast <command>[^]*\n {2}demo +\S/)
    }
  })

  it('tells its version', async () => {
    expect(await cli('--version')).toEqual({
      code: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\S*\n$/),
      err: '',
    })
  })

  it('shows how it is used when it is not told what to do', async () => {
    const { code, out, err } = await cli()
    expect({ code, out }).toEqual({ code: 64, out: '' })
    expect(err).toContain('Usage: holdfast <command>')
  })

  it.each([
    [['dmeo'], 'holdfast: unknown command "dmeo". See holdfast --help.'],
    [['constructor'], 'holdfast: unknown command "constructor". See holdfast --help.'],
    [['--loud'], "holdfast: Unknown option '--loud'. See holdfast --help."],
    [['demo', '--loud'], "holdfast demo: Unknown option '--loud'. See holdfast demo --help."],
    [['demo', 'now'], 'holdfast demo: "now" is too much. See holdfast demo --help.'],
    [
      ['demo', '--processes', '0'],
      'holdfast demo: --processes must be a whole number from 1 to 50, got "0".',
    ],
  ])('refuses %j in one line', async (args, line) => {
    expect(await cli(...args)).toEqual({ code: 64, out: '', err: `${line}\n` })
  })

  it('explains the demo', async () => {
    const { code, out } = await cli('demo', '--help')
    expect(code).toBe(0)
    for (const word of ['--processes', '--try', '--crash', '--url', '--json', 'Exit codes']) {
      expect(out).toContain(word)
    }
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100)
  })

  it.each([
    [[], 'name the lock'],
    [['x'], 'give the command after --'],
    [['x', '--'], 'give the command after --'],
    [['', '--', 'true'], 'must not be empty'],
    [['x', 'echo', 'hi'], 'put -- in front of the command: holdfast run x -- echo'],
    [['x', 'y', '--', 'true'], '"y" is too much'],
    [['x', '-c', 'true', '--', 'true'], '-c takes the place'],
    [['x', '-n', '-w', '1', '--', 'true'], '--nonblock and --wait'],
    [['x', '-s', '-x', '--', 'true'], '--shared and --exclusive'],
    [['x', '--permits', '2', '--', 'true'], '--permits needs --capacity'],
    [['x', '--permits', '3', '--capacity', '2', '--', 'true'], 'from 1 to 2'],
    [['x', '-s', '--capacity', '2', '--', 'true'], '--capacity makes a semaphore'],
    [['x', '-w', 'soon', '--', 'true'], '--wait must be a time'],
    [
      ['x', '-w', '-1', '--', 'true'],
      '--wait lacks its value; one that starts with a dash: --wait=-...',
    ],
    [['x', '--ttl', '0.5', '--', 'true'], '--ttl must be a time from 1 '],
    [['x', '--ttl', '4', '--grace', '3', '--', 'true'], '--grace must be a time from 0 to 2 '],
    [['x', '-E', '256', '--', 'true'], '--conflict-exit-code must be a whole number from 0 to 255'],
    [['x', '--url', 'memory:', '--', 'true'], 'memory: locks live within one process'],
    [['x', '--url', 'redis://u:***@h', '--', 'true'], '*** in place of its password'],
  ])('refuses to run %j', async (args, problem) => {
    const { code, out, err } = await cli('run', ...args)
    expect({ code, out }).toEqual({ code: 64, out: '' })
    expect(err).toMatch(/^holdfast run: .*\n$/)
    expect(err).toContain(problem)
  })

  it.each(['list', 'show', 'watch', 'release', 'doctor', 'bench', 'demo', 'completion'])(
    'refuses words that %s has no use for',
    async (name) => {
      const { code, err } = await cli(name, ...['a', 'b'].slice(name === 'demo' ? 1 : 0))
      expect(code).toBe(64)
      expect(err).toMatch(new RegExp(`^holdfast ${name}: "[ab]" is too much\\.`))
    },
  )

  it.each(CATALOGUE)('explains $name with its options and two examples', async (spec) => {
    const { code, out, err } = await cli(spec.name, '--help')
    expect({ code, err }).toEqual({ code: 0, err: '' })
    for (const { name } of spec.options) expect(out).toContain(`--${name}`)
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100)
    expect(out.split('Examples:')[1]?.match(/^ {4}.*\bholdfast /gm)?.length).toBeGreaterThan(1)
    expect((await cli('help', spec.name)).out).toBe(out)
  })
})
