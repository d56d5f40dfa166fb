import type { Finding } from '../index.ts'
import { parse, wordsOf } from './arguments.ts'
import type { World } from './commands.ts'
import { explained, open, urlOf } from './engine.ts'
import { EXIT } from './exit.ts'
import { shownUrl, withoutSecrets } from './secret.ts'
import { DOCTOR } from './specs/looking.ts'
import { type Style, styleFor, widthFor } from './style.ts'
import { count, jsonLine, visible, wrap } from './text.ts'
import { tellWarnings } from './warnings.ts'

/** Checks the engine; exits with 1 when something endangers a promise. */
export async function doctor(args: readonly string[], world: World): Promise<number> {
  const parsed = parse(DOCTOR, args)
  wordsOf(DOCTOR, parsed, 0)
  const url = urlOf(parsed, world.env)
  // They are among the findings.
  tellWarnings(() => {})
  const holdfast = await open(url)
  try {
    const told = await explained(url, async () => await holdfast.diagnose())
    const findings = told.map((finding) => masked(finding, url))
    if (parsed.options['json']) {
      for (const finding of findings) world.stdout.write(`${jsonLine(finding)}\n`)
    } else {
      const where = url === undefined ? 'the file of this user' : shownUrl(url)
      const lines = picture(findings, styleFor(world), Math.min(100, widthFor(world)))
      world.stdout.write(`${holdfast.engine.name}: ${where}\n\n${lines.join('\n')}\n`)
    }
    return findings.some(endangers) ? EXIT.failed : EXIT.ok
  } finally {
    await holdfast.close()
  }
}

function endangers({ severity }: Finding): boolean {
  return severity !== 'note'
}

/** A finding may repeat a message of the client, which may repeat the URL. */
function masked(finding: Finding, url: string | undefined): Finding {
  const clean = (text: string): string => withoutSecrets(text, url ?? '')
  const { seen, endangers: promise, advice } = finding
  return { ...finding, seen: clean(seen), endangers: clean(promise), advice: clean(advice) }
}

function picture(findings: readonly Finding[], style: Style, width: number): string[] {
  const paint = { danger: style.bad, warning: style.warn, note: style.dim }
  const lines = findings.flatMap(({ severity, code, seen, endangers: promise, advice }) => [
    `${paint[severity](severity)}  ${style.bold(code)}`,
    ...[seen, `Endangers: ${promise}`, `To do: ${advice}`].flatMap((text) =>
      wrap(visible(text), width - 2).map((line) => `  ${line}`),
    ),
    '',
  ])
  const serious = findings.filter(endangers).length
  const verdict =
    serious === 0
      ? style.good('Nothing endangers a promise.')
      : style.bad(`${count(serious, 'finding')} to look at.`)
  return [...lines, verdict]
}
