import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
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
})
