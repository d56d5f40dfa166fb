import { readFileSync } from 'node:fs'
import { HelpWanted, readArguments } from './arguments.ts'
import { CliError, EXIT, usageError } from './exit.ts'
import type { CommandSpec } from './spec.ts'

/** What a command may use of the process it runs in. */
export interface World {
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WritableStream
  readonly env: NodeJS.ProcessEnv
}

/** Does the work and resolves to the exit code. */
type Action = (args: readonly string[], world: World) => Promise<number>

/** Each command is loaded when it is called for. */
const ACTIONS: Readonly<Record<string, () => Promise<Action>>> = {
  run: async () => (await import('./run/index.ts')).run,
  elect: async () => (await import('./run/elect.ts')).elect,
  list: async () => (await import('./look/list.ts')).list,
  show: async () => (await import('./look/show.ts')).showLock,
  watch: async () => (await import('./look/watch.ts')).watch,
  release: async () => (await import('./release.ts')).release,
  doctor: async () => (await import('./doctor.ts')).doctor,
  bench: async () => (await import('./bench/index.ts')).bench,
  demo: async () => (await import('./demo/index.ts')).demo,
  completion: async () => (await import('./completion.ts')).completion,
}

/** Runs the command line and resolves to its exit code; problems are one line on stderr. */
export async function runCli(args: readonly string[], world: World): Promise<number> {
  const [name, ...rest] = args[0] === 'help' ? helpAsOption(args.slice(1)) : args
  const load = name !== undefined && Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined
  const who = load === undefined ? 'holdfast' : `holdfast ${name}`
  try {
    if (load === undefined) return await withoutCommand(args, world)
    const action = await load()
    // Not for a command that shares its streams: to touch the pipe here makes it non-blocking.
    if (name !== 'run' && name !== 'elect') mindReader(world)
    return await action(rest, world)
  } catch (error) {
    if (error instanceof HelpWanted) return await showHelp(error.spec, world)
    if (!(error instanceof CliError)) return await internal(error, who, world)
    const { visible } = await import('./text.ts')
    world.stderr.write(`${who}: ${visible(error.message)}\n`)
    return error.exitCode
  }
}

/** `holdfast help run` is `holdfast run --help`. */
function helpAsOption([command]: readonly string[]): string[] {
  return command === undefined ? ['--help'] : [command, '--help']
}

/** A reader that left, such as `head`, wants no more; that is no mistake of anybody. */
function mindReader({ stdout, stderr }: World): void {
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
    })
  }
}

async function showHelp(spec: CommandSpec, world: World): Promise<number> {
  const { commandHelp } = await import('./help.ts')
  mindReader(world)
  world.stdout.write(commandHelp(spec, helpWidth(world)))
  return EXIT.ok
}

async function withoutCommand(args: readonly string[], world: World): Promise<number> {
  const { generalHelp } = await import('./help.ts')
  mindReader(world)
  const [first] = args
  if (first === undefined) {
    world.stderr.write(generalHelp(helpWidth(world)))
    return EXIT.usage
  }
  if (first !== 'help' && !first.startsWith('-')) {
    throw usageError(`unknown command ${JSON.stringify(first)}. See holdfast --help.`)
  }
  const flags = readArguments('holdfast', first === 'help' ? ['--help'] : args, {
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean', short: 'v' },
  })
  const text = flags.version && !flags.help ? `${version()}\n` : generalHelp(helpWidth(world))
  world.stdout.write(text)
  return EXIT.ok
}

/** As wide as the terminal, within what reads well. */
function helpWidth({ stdout }: World): number {
  return Math.min(100, Math.max(40, stdout.columns || 90))
}

/** A mistake of ours: with its stack, for a report. */
async function internal(error: unknown, who: string, { env, stderr }: World): Promise<number> {
  const { withoutSecrets } = await import('./secret.ts')
  const told = error instanceof Error ? (error.stack ?? error.message) : String(error)
  const text = withoutSecrets(told, env['HOLDFAST_URL'] ?? '')
  stderr.write(`${who}: an error inside holdfast: ${text}\n`)
  return EXIT.internal
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}
