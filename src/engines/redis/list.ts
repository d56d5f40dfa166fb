import type { ListQuery, LockPage } from '../../core/engine.ts'
import { isPartOfLock } from './keys.ts'
import type { RedisPort, Reply } from './port.ts'

/**
 * One page of names by SCAN, which never keeps the server busy for long. Strings under the prefix
 * are locks, whoever took them. The servers of a Cluster are scanned one after the other.
 */
export async function listLocks(
  port: RedisPort,
  settings: { prefix: string; timeoutMs: number },
  query: ListQuery,
): Promise<LockPage> {
  const { timeoutMs } = settings
  const servers = [...(await port.servers({ timeoutMs }))].sort()
  const start = readCursor(query.cursor, servers)
  if (!start) return { names: [] }
  const { server, scan } = start
  // The client adds its prefix to keys, but neither to a pattern nor to what SCAN returns.
  const before = port.keyPrefix + settings.prefix
  const pattern = `${escapeGlob(before + query.prefix)}*`
  const args = [scan, 'match', pattern, 'count', query.limit, 'type', 'string']
  const [next, keys] = (await port.command('scan', args, { timeoutMs, server })) as [
    Reply,
    string[],
  ]
  // With a prefix that is empty or a hash tag the fence records match too.
  const locks = keys.filter((key) => !isPartOfLock(key.slice(port.keyPrefix.length)))
  const names = locks.map((key) => key.slice(before.length))
  if (String(next) !== '0') return { names, cursor: cursorAt(String(next), server) }
  const following = servers.find((each) => each > server)
  return following === undefined ? { names } : { names, cursor: cursorAt('0', following) }
}

/** A scan's own cursor, and behind it the server, where there are several. */
function cursorAt(scan: string, server: string): string {
  return server === '' ? scan : `${scan}@${server}`
}

/** Where to go on; `undefined` when the last server has left meanwhile. */
function readCursor(
  cursor: string | undefined,
  servers: readonly string[],
): { server: string; scan: string } | undefined {
  const at = cursor?.indexOf('@') ?? -1
  if (cursor === undefined || at === -1) return { server: servers[0] ?? '', scan: cursor ?? '0' }
  const server = cursor.slice(at + 1)
  if (servers.includes(server)) return { server, scan: cursor.slice(0, at) }
  const following = servers.find((each) => each > server)
  return following === undefined ? undefined : { server: following, scan: '0' }
}

function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]^-]/g, '\\$&')
}
