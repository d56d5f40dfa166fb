import { onlyName, parse } from '../arguments.ts'
import type { World } from '../commands.ts'
import { explained, open, urlOf } from '../engine.ts'
import { EXIT } from '../exit.ts'
import { lockJson, lockLines } from '../report.ts'
import { SHOW } from '../specs/looking.ts'
import { paperFor } from '../style.ts'
import { jsonLine, visible } from '../text.ts'

/** Shows one lock; exits with 1 when nobody holds it or waits for it. */
export async function showLock(args: readonly string[], world: World): Promise<number> {
  const parsed = parse(SHOW, args)
  const name = onlyName(SHOW, parsed)
  const url = urlOf(parsed, world.env)
  const holdfast = await open(url)
  try {
    const report = await explained(url, async () => await holdfast.inspect(name))
    if (parsed.options['json']) {
      world.stdout.write(`${jsonLine(lockJson(name, report))}\n`)
    } else if (report === null) {
      world.stdout.write(`${visible(name)}: nobody holds it or waits for it.\n`)
    } else {
      const lines = lockLines(report, paperFor(world))
      world.stdout.write(`${lines.join('\n')}\n`)
    }
    return report === null ? EXIT.failed : EXIT.ok
  } finally {
    await holdfast.close()
  }
}
