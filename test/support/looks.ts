import type { RunningServer } from './servers.ts'
import { until } from './until.ts'

/** Far more requests than a waiter makes in ten seconds that only keeps its place alive. */
const SEVERAL = 8

/** Waits until a waiter has looked again and again, as at a holder that tells nobody. */
export async function severalLooks(server: RunningServer): Promise<void> {
  const before = await scriptCalls(server)
  await until(async () => (await scriptCalls(server)) >= before + SEVERAL, {
    what: `${SEVERAL} looks within ten seconds`,
  })
}

/** How many scripts the server has run. */
async function scriptCalls(server: RunningServer): Promise<number> {
  const stats = await server.cli('info', 'commandstats')
  const counts = [...stats.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)]
  return counts.reduce((sum, [, count]) => sum + Number(count), 0)
}
