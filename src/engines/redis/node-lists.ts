import type { Enlisted, NodeList } from '../../core/engine.ts'
import { nodeListKeys } from './keys.ts'
import type { Reply } from './port.ts'
import { number, text } from './replies.ts'
import type { Requests } from './requests.ts'
import { enlist } from './scripts.generated.ts'

/** Other lists that are told of. */
const SHOWN = 8

/** See `Engine.enlist`. Processes with another prefix share no lock, and so no list. */
export async function enlistAt(
  requests: Requests,
  prefix: string,
  { list, by, node, keepMs }: NodeList,
): Promise<Enlisted> {
  const args = [list, by, node, keepMs, SHOWN]
  const call = { script: enlist, keys: nodeListKeys(prefix), args }
  const { reply } = await requests.run('enlist', call)
  const [name, nodeMs, others] = reply
  return {
    node: text(name),
    nodeMs: number(nodeMs),
    others: (others as readonly Reply[][]).map(([other, user, agoMs]) => ({
      list: text(other),
      by: text(user),
      agoMs: number(agoMs),
    })),
  }
}
