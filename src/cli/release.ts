import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { HolderReport, Holdfast } from '../index.ts'
import { onlyName, parse } from './arguments.ts'
import type { World } from './commands.ts'
import { explained, open, urlOf } from './engine.ts'
import { EXIT, usageError } from './exit.ts'
import { lockJson, who } from './report.ts'
import { RELEASE } from './specs/looking.ts'
import { duration, fill, jsonLine, visible } from './text.ts'

/** Takes a lock away from its holders, after it said who they are. */
export async function release(args: readonly string[], world: World): Promise<number> {
  const parsed = parse(RELEASE, args)
  const name = onlyName(RELEASE, parsed)
  const { force, yes, json } = parsed.options
  if (!force) {
    throw usageError(
      'this breaks the lease of a holder that may still work: say --force if you mean it. ' +
        'A holder of yours releases by ending.',
    )
  }
  const asks = !yes
  if (asks && !process.stdin.isTTY) {
    throw usageError('there is no terminal to ask on: add --yes.')
  }
  const url = urlOf(parsed, world.env)
  const holdfast = await open(url)
  try {
    return await explained(url, async () => {
      return await breakLock(holdfast, name, { asks, json: json === true }, world)
    })
  } finally {
    await holdfast.close()
  }
}

async function breakLock(
  holdfast: Holdfast,
  name: string,
  { asks, json }: { asks: boolean; json: boolean },
  { stdout, stderr }: World,
): Promise<number> {
  const shown = visible(name)
  const seen = await holdfast.inspect(name)
  if (seen === null || seen.holders.length === 0) {
    stdout.write(json ? `${jsonLine({ name, broken: [] })}\n` : `${shown}: nobody holds it.\n`)
    return EXIT.ok
  }
  if (asks) {
    const next = seen.waiting > 0 ? ` ${seen.waiting} wait for it.` : ''
    const told =
      `${shown} is held by\n${seen.holders.map(holderLine).join('')}` +
      `They work on until they notice: two may be at work.${next}`
    const width = (stderr as Partial<NodeJS.WriteStream>).columns ?? Number.POSITIVE_INFINITY
    const lines = told.split('\n').flatMap((line) => fill(line, width))
    stderr.write(`${lines.join('\n')}\n`)
    if (!(await confirmed(`Break ${seen.holders.length === 1 ? 'this lease' : 'these leases'}?`))) {
      stderr.write('Nothing was changed.\n')
      return EXIT.failed
    }
  }
  const { broken } = await holdfast.forceRelease(name)
  if (json) {
    const { holders } = lockJson(name, { ...seen, holders: broken }) as { holders: object[] }
    stdout.write(`${jsonLine({ name, broken: holders })}\n`)
    return EXIT.ok
  }
  stdout.write(
    broken.length === 0
      ? `${shown}: it was released meanwhile.\n`
      : `${shown}: broke the lease of\n${broken.map(holderLine).join('')}`,
  )
  return EXIT.ok
}

function holderLine(holder: HolderReport): string {
  const held = holder.heldMs === 0 ? '' : `, held for ${duration(holder.heldMs)}`
  const fence = holder.fence === 0 ? '' : `, fence ${holder.fence}`
  return `  ${who(holder)}${held}${fence}\n`
}

/** Asks on the terminal; anything but yes is no. */
async function confirmed(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const asked = new Promise<string>((resolve) => lines.question(`${question} [y/N] `, resolve))
    // Ctrl-C and Ctrl-D are no answer, and so no yes.
    const answer = await Promise.race([asked, once(lines, 'close').then(() => '')])
    return /^\s*y(es)?\s*$/i.test(answer)
  } finally {
    lines.close()
  }
}
