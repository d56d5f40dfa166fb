import type { ListQuery, LockPage } from '../../core/engine.ts'
import { isPartOfLock } from './keys.ts'
import type { RedisPort, Reply } from './port.ts'

/**
 * One page of names by SCAN, which never keeps the server busy for long. Strings under the prefix
 * are locks, whoever took them.
 */
export async function listLocks(
  port: RedisPort,
  settings: { prefix: string; timeoutMs: number },
  query: ListQuery,
): Promise<LockPage> {
  const { timeoutMs } = settings
  // The client adds its prefix to keys, but neither to a pattern nor to what SCAN returns.
  const before = port.keyPrefix + settings.prefix
  const pattern = `${escapeGlob(before + query.prefix)}*`
  const args = [query.cursor ?? '0', 'match', pattern, 'count', query.limit, 'type', 'string']
  const [cursor, keys] = (await port.command('scan', args, { timeoutMs })) as [Reply, string[]]
  // With a prefix that is empty or a hash tag the fence records match too.
  const locks = keys.filter((key) => !isPartOfLock(key.slice(port.keyPrefix.length)))
  const names = locks.map((key) => key.slice(before.length))
  return String(cursor) === '0' ? { names } : { names, cursor: String(cursor) }
}

function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]^-]/g, '\\$&')
}
