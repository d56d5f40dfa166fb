import { parse, wordsOf } from '../arguments.ts'
import type { World } from '../commands.ts'
import { explained, open, urlOf } from '../engine.ts'
import { EXIT } from '../exit.ts'
import { allNames, inspectAll, lockJson, locksTable } from '../report.ts'
import { LIST } from '../specs/looking.ts'
import { paperFor } from '../style.ts'
import { jsonLine, visible } from '../text.ts'

/** Lists the locks that are held. */
export async function list(args: readonly string[], world: World): Promise<number> {
  const parsed = parse(LIST, args)
  const [prefix = ''] = wordsOf(LIST, parsed, 1)
  const url = urlOf(parsed, world.env)
  const holdfast = await open(url)
  try {
    return await explained(url, async () => {
      const { stdout } = world
      const names = await allNames(holdfast, prefix)
      if (parsed.options['names']) {
        const json = parsed.options['json'] === true
        for (const name of names) stdout.write(namesLine(name, { json, screen: stdout.isTTY }))
        return EXIT.ok
      }
      const reports = await inspectAll(holdfast, names)
      if (parsed.options['json']) {
        for (const report of reports) {
          stdout.write(`${jsonLine(lockJson(report.name, report))}\n`)
        }
        return EXIT.ok
      }
      if (reports.length === 0) {
        stdout.write(
          prefix === '' ? 'No lock is held.\n' : `No lock ${visible(prefix)}… is held.\n`,
        )
        return EXIT.ok
      }
      const lines = locksTable(reports, paperFor(world))
      stdout.write(`${lines.join('\n')}\n`)
      return EXIT.ok
    })
  } finally {
    await holdfast.close()
  }
}

/** A name with a newline would be two lines: such ones are left to --json. */
function namesLine(name: string, { json, screen }: { json: boolean; screen: boolean }): string {
  if (json) return `${jsonLine({ name })}\n`
  if (screen) return `${visible(name)}\n`
  return name.includes('\n') ? '' : `${name}\n`
}
