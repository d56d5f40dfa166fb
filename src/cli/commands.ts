import { readFileSync } from 'node:fs'
import { readArguments } from './arguments.ts'
import { CliError, EXIT, usageError } from './exit.ts'

/** What a command may use of the process it runs in. */
export interface World {
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WritableStream
  readonly env: NodeJS.ProcessEnv
}

interface Command {
  readonly summary: string
  /** Does the work and resolves to the exit code. */
  run(args: readonly string[], world: World): Promise<number>
}

/** Each command is loaded when it is called for. */
const COMMANDS: Readonly<Record<string, Command>> = {
  demo: {
    summary: 'Watch processes compete for one lock.',
    run: async (args, world) => await (await import('./demo/index.ts')).demo(args, world),
  },
}

/** Runs the command line and resolves to its exit code; problems are one line on stderr. */
export async function runCli(args: readonly string[], world: World): Promise<number> {
  const [name, ...rest] = args
  const command = name !== undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  try {
    if (name !== undefined && command !== undefined) return await command.run(rest, world)
    return withoutCommand(args, world)
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    const who = command === undefined ? 'holdfast' : `holdfast ${name}`
    world.stderr.write(`${who}: ${error.message}\n`)
    return error.exitCode
  }
}

function withoutCommand(args: readonly string[], world: World): number {
  const [first] = args
  if (first === undefined) {
    world.stderr.write(help())
    return EXIT.usage
  }
  if (!first.startsWith('-')) {
    throw usageError(`unknown command ${JSON.stringify(first)}. See holdfast --help.`)
  }
  const flags = readArguments('holdfast', args, {
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean', short: 'v' },
  })
  world.stdout.write(flags.version && !flags.help ? `${version()}\n` : help())
  return EXIT.ok
}

function help(): string {
  const commands = Object.entries(COMMANDS).map(
    ([name, { summary }]) => `  ${name.padEnd(12)}${summary}`,
  )
  return [
    'Distributed locks: leases that renew themselves, waiters served in order, fences.',
    '',
    'Usage: holdfast <command> [options]',
    '',
    'Commands:',
    ...commands,
    '',
    'Options:',
    '  -h, --help      Show this help; holdfast <command> --help shows that of a command.',
    '  -v, --version   Show the version.',
    '',
  ].join('\n')
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}
