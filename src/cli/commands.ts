import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { HelpWanted, readArguments } from './arguments.ts'
import { CliError, EXIT, usageError } from './exit.ts'
import { Reader } from './reader.ts'
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
  completion: async () => (await import('./completion/index.ts')).completion,
}

/** Those that only tell something, and so are of no use when nobody reads. */
const TELLING: readonly unknown[] = ['list', 'show', 'doctor', 'bench']

/** Runs the command line and resolves to its exit code; problems are one line on stderr. */
export async function runCli(args: readonly string[], world: World): Promise<number> {
  const [name, ...rest] = args[0] === 'help' ? helpAsOption(args.slice(1)) : args
  const load = name !== undefined && Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined
  const command = load === undefined ? undefined : name
  const tell = async (exitCode: number, message: string): Promise<number> => {
    const { problemLine } = await import('./problem.ts')
    const teller = { command, args, env: world.env }
    world.stderr.write(problemLine(teller, 'error', message, { exitCode }))
    return exitCode
  }
  try {
    const action = await load?.()
    // Not for a command that shares its streams: to touch the pipe here makes it non-blocking.
    let output = command === 'run' || command === 'elect' ? undefined : new Output(world)
    let code: number
    try {
      if (TELLING.includes(command)) endWithReader(world)
      code = await (action ? action(rest, world) : withoutCommand(name, args, world))
    } catch (error) {
      if (!(error instanceof HelpWanted)) throw error
      output ??= new Output(world)
      code = await showHelp(error.spec, world)
    }
    const failure = await output?.failure()
    if (failure === undefined) return code
    return await tell(EXIT.output, `the output cannot be written: ${failure}.`)
  } catch (error) {
    if (error instanceof CliError) return await tell(error.exitCode, error.message)
    const told = error instanceof Error ? (error.stack ?? error.message) : String(error)
    // A mistake of ours: with its stack, for a report.
    return await tell(EXIT.internal, `an error inside holdfast: ${told}`)
  }
}

/** `holdfast help run` is `holdfast run --help`. */
function helpAsOption([command]: readonly string[]): string[] {
  return command === undefined ? ['--help'] : [command, '--help']
}

/** Ends this process soon after its reader left, unless its work is done and being written. */
function endWithReader({ stdout }: World): void {
  let isWriting = false
  stdout.on('error', () => {
    isWriting = true
  })
  new Reader(stdout).gone.addEventListener('abort', () => {
    if (!isWriting) process.exit(EXIT.signal + constants.signals.SIGPIPE)
  })
}

/** What a command writes to, and whether that goes well. */
class Output {
  #failure: string | undefined

  constructor({ stdout, stderr }: World) {
    stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
      // A reader that left, such as `head`, wants no more; that is no mistake of anybody.
      if (code !== 'EPIPE') this.#failure ??= message.replace(/^E\w+: |, write$/g, '')
    })
    stderr.on('error', () => {})
  }

  /** Why something could not be written, once all that has failed so far is known. */
  async failure(): Promise<string | undefined> {
    await new Promise((resolve) => setImmediate(resolve))
    return this.#failure
  }
}

async function showHelp(spec: CommandSpec, world: World): Promise<number> {
  const { commandHelp } = await import('./help.ts')
  world.stdout.write(commandHelp(spec, helpWidth(world)))
  return EXIT.ok
}

async function withoutCommand(
  first: string | undefined,
  args: readonly string[],
  world: World,
): Promise<number> {
  const { generalHelp } = await import('./help.ts')
  if (first === undefined) {
    world.stderr.write(generalHelp(helpWidth(world)))
    return EXIT.usage
  }
  if (!first.startsWith('-')) {
    throw usageError(`unknown command ${JSON.stringify(first)}. See holdfast --help.`)
  }
  const flags = readArguments('holdfast', args[0] === 'help' ? ['--help'] : args, {
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean', short: 'v' },
    json: { type: 'boolean' },
  })
  if (!flags.help && !flags.version) throw usageError('name a command. See holdfast --help.')
  if (flags.help) world.stdout.write(generalHelp(helpWidth(world)))
  else world.stdout.write(flags.json ? `{"version":"${version()}"}\n` : `${version()}\n`)
  return EXIT.ok
}

/** As wide as the terminal, also where the help goes there through a pager, if it reads well. */
function helpWidth({ stdout, stderr }: World): number {
  const { columns } = stderr as Partial<NodeJS.WriteStream>
  return Math.min(100, Math.max(40, stdout.columns || columns || 80))
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}
