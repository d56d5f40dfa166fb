import { parse, textOf } from '../arguments.ts'
import type { World } from '../commands.ts'
import { urlOf } from '../engine.ts'
import { EXIT, usageError } from '../exit.ts'
import { ELECT } from '../specs/running.ts'
import { granted, underLease, withVoice } from './index.ts'
import { readWish } from './wish.ts'

/** Runs a command while leading, and resolves to the exit code. */
export async function elect(args: readonly string[], world: World): Promise<number> {
  const parsed = parse(ELECT, args)
  const url = urlOf(parsed, world.env)
  const wish = readWish(ELECT, parsed)
  const again = parsed.options['again'] === true
  const note = textOf(parsed, 'note')
  if (note !== undefined && Buffer.byteLength(note) > 1024) {
    throw usageError('--note must be at most 1 KiB of UTF-8.')
  }
  return await withVoice(parsed, url, async (means) => {
    for (;;) {
      const patience = { ...wish, refusedCode: EXIT.timeout }
      const leadership = await granted(means, patience, (holdfast, options) => {
        const campaign = { ...options, ...(note === undefined ? {} : { note }) }
        return holdfast.election(wish.name).campaign(campaign)
      })
      if (leadership === undefined) return EXIT.timeout
      const { code, lost } = await underLease(leadership, wish, { ...means, env: world.env })
      if (!lost || !again) return code
      // Who asked holdfast to end meanwhile does not want it to stand again.
      if (means.signals.endCode !== undefined) return means.signals.endCode
    }
  })
}
