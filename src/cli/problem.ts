import { hasSecret, withoutSecrets } from './secret.ts'
import { jsonLine, visible } from './text.ts'

/** Who tells of a problem on stderr, and how. */
export interface Teller {
  /** The command, as `list`; `undefined` where none is known. */
  readonly command: string | undefined
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
}

/**
 * What goes wrong as a line of stderr: for people, or as an object where the arguments ask for
 * JSON, however wrong they are otherwise.
 */
export function problemLine(
  { command, args, env }: Teller,
  type: 'error' | 'warning',
  message: string,
  fields: Readonly<Record<string, unknown>> = {},
): string {
  const told = withoutSecretsOf([...args, env['HOLDFAST_URL'] ?? ''], message)
  if (wantsJson(args)) {
    const who = command === undefined ? {} : { command }
    return `${jsonLine({ type, ...who, ...fields, message: told })}\n`
  }
  const who = command === undefined ? 'holdfast' : `holdfast ${command}`
  return `${who}: ${visible(type === 'warning' ? `warning: ${told}` : told)}\n`
}

function wantsJson(args: readonly string[]): boolean {
  const dashes = args.indexOf('--')
  return (dashes === -1 ? args : args.slice(0, dashes)).includes('--json')
}

/** An argument in a wrong place may hold a password as well. */
function withoutSecretsOf(words: readonly string[], message: string): string {
  return words.filter(hasSecret).reduce((told, word) => {
    // Messages also quote what they name.
    const quoted = JSON.stringify(word).slice(1, -1)
    return withoutSecrets(withoutSecrets(told, word), quoted)
  }, message)
}
