import { connect, type Holdfast, type HoldfastOptions } from '../index.ts'
import { type Arguments, textOf } from './arguments.ts'
import { CliError, EXIT, usageError } from './exit.ts'
import { hasSecret, isMasked, withoutSecrets } from './secret.ts'

/** Where the locks are: the URL of the call, or `undefined` for the file of this machine. */
export function urlOf(args: Arguments, env: NodeJS.ProcessEnv): string | undefined {
  const url = textOf(args, 'url') ?? (env['HOLDFAST_URL'] || undefined)
  if (url === undefined) return undefined
  if (/^memory:/i.test(url)) {
    throw usageError('memory: locks live within one process and are gone when it ends.')
  }
  if (isMasked(url)) {
    throw usageError(
      'the URL has *** in place of its password, as holdfast run hands it to its command. ' +
        'Give the whole URL to this command.',
    )
  }
  // The list of processes shows the arguments of each to everybody on the machine.
  if (hasSecret(textOf(args, 'url') ?? '')) process.title = 'holdfast'
  return url
}

/** Connects, with the exit codes and masked messages of the command line. */
export async function open(
  url: string | undefined,
  options: HoldfastOptions = {},
): Promise<Holdfast> {
  return await explained(url, async () => await connect(url ?? 'sqlite:', options))
}

/** Runs `work`; what the library throws becomes the line and the exit code of the command line. */
export async function explained<T>(url: string | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw asCliError(error, url)
  }
}

/** The library's error as one line without secrets, with its exit code. */
export function asCliError(error: unknown, url: string | undefined): unknown {
  if (error instanceof CliError) return error
  const code = exitCodeOf(error)
  if (code === undefined) return error
  return new CliError(code, withoutSecrets((error as Error).message, url ?? ''))
}

function exitCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined
  // The library's own complaint about an argument, not a mistake inside it.
  const refuses = /^[a-z]\w*( \+ \w+)? must |^(A|The) \w+ URL /i.test(error.message)
  if (refuses && (error instanceof TypeError || error instanceof RangeError)) return EXIT.usage
  switch ((error as { code?: unknown }).code) {
    case 'HOLDFAST_ACQUIRE_TIMEOUT':
      return EXIT.timeout
    case 'HOLDFAST_LEASE_LOST':
      return EXIT.lost
    case 'HOLDFAST_SHAPE_MISMATCH':
      return EXIT.mismatch
    case 'HOLDFAST_UNSUPPORTED':
      return error.message.startsWith('No engine serves') ? EXIT.usage : EXIT.unavailable
    case 'HOLDFAST_ENGINE_FAILED':
    case 'HOLDFAST_NO_QUORUM':
      return EXIT.unavailable
    default:
      return undefined
  }
}
