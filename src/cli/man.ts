import { CATALOGUE } from './catalogue.ts'
import { EXIT_TABLE } from './exit.ts'
import { ENVIRONMENT, GIVEN } from './help.ts'
import type { CommandSpec, OptionSpec } from './spec.ts'

/** The man page of `holdfast`, in the macros that every man program knows. */
export function manPage(version: string): string {
  const lines = [
    `.TH HOLDFAST 1 "" "holdfast ${roff(version)}" "Holdfast"`,
    '.SH NAME',
    'holdfast \\- distributed locks: leases that renew themselves, waiters in line, fences',
    '.SH SYNOPSIS',
    ...CATALOGUE.flatMap(({ usage }) => usage.map((form) => `.B holdfast ${roff(form)}\n.br`)),
    '.SH COMMANDS',
    ...CATALOGUE.flatMap(section),
    '.SH TIMES',
    'A time is in seconds, or says its unit: 500ms, 30s, 5m, 1h, 1d.',
    '.SH "EXIT STATUS"',
    ...EXIT_TABLE.flatMap(([code, meaning]) => item(bold(code), meaning)),
    '.SH ENVIRONMENT',
    ...ENVIRONMENT.flatMap(([name, meaning]) => item(bold(name), meaning)),
    '.PP',
    'A command under a lock finds:',
    ...GIVEN.flatMap(([name, meaning]) => item(bold(name), meaning)),
    '.SH EXAMPLES',
    ...CATALOGUE.flatMap(({ examples }) => examples).flatMap(({ text, line }) => [
      '.PP',
      roff(text),
      '.PP',
      '.nf',
      `.RS`,
      roff(line),
      '.RE',
      '.fi',
    ]),
    '.SH "SEE ALSO"',
    '.BR flock (1)',
  ]
  return `${lines.join('\n')}\n`
}

function section({
  summary,
  usage,
  about,
  options,
  notes = [],
  exits = [],
}: CommandSpec): string[] {
  return [
    ...usage.map((form) => `.SS holdfast ${roff(form)}`).slice(0, 1),
    roff(summary),
    ...about.flatMap((paragraph) => ['.PP', roff(paragraph)]),
    ...options.flatMap((option) => item(form(option), option.text)),
    ...notes.flatMap((paragraph) => ['.PP', roff(paragraph)]),
    ...exits.flatMap(([code, meaning]) => item(`exit status ${roff(code)}`, meaning)),
  ]
}

function form({ name, short, value }: OptionSpec): string {
  const long = bold(`--${name}`)
  const both = short === undefined ? long : `${bold(`-${short}`)}, ${long}`
  return value === undefined ? both : `${both} \\fI${roff(value)}\\fR`
}

function item(title: string, text: string): string[] {
  return ['.TP', title, roff(text)]
}

function bold(text: string): string {
  return `\\fB${roff(text)}\\fR`
}

/** Text without meaning to the formatter. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('\u2019', '\\(cq')
    .replace(/^([.'])/gm, '\\&$1')
}
