/** One option of a command. */
export interface OptionSpec {
  readonly name: string
  readonly short?: string
  /** What stands for the value in the help; a switch has none. */
  readonly value?: string
  readonly text: string
}

/** A command line and what it does. */
export interface Example {
  readonly text: string
  readonly line: string
}

/**
 * What a command is called with. Parsing, `--help`, the man page and the shell completions all come
 * from it.
 */
export interface CommandSpec {
  readonly name: string
  readonly summary: string
  /** What may follow `holdfast <name>`, one form per line. */
  readonly usage: readonly string[]
  /** Paragraphs that explain it. */
  readonly about: readonly string[]
  readonly options: readonly OptionSpec[]
  readonly examples: readonly [Example, Example, ...Example[]]
  /** Paragraphs that come after the options. */
  readonly notes?: readonly string[]
  /** What its exit codes mean, where that differs from the common table. */
  readonly exits?: readonly (readonly [code: string, meaning: string])[]
  /** What the first argument is, for completions. */
  readonly completes?: 'lock' | readonly string[]
  /** Whether a command to run follows after `--`. */
  readonly runs?: true
}

export const URL_OPTION: OptionSpec = {
  name: 'url',
  value: 'url',
  text:
    'Where the locks are: redis://, valkey://, with s for TLS, with +sentinel or +cluster; ' +
    'sqlite:<file>; quorum:<url>,<url>,<url>. HOLDFAST_URL by default; without either, a file ' +
    'of yours on this machine.',
}

export const HELP_OPTION: OptionSpec = { name: 'help', short: 'h', text: 'Show this help.' }

/** The `--json` of a command that prints `what`. */
export function jsonOption(what: string): OptionSpec {
  return { name: 'json', text: `Print ${what} as JSON, one object per line.` }
}
