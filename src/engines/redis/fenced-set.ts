import { StaleFenceError } from '../../core/errors.ts'
import { checkObject, checkWhole, MAX_MS, show } from '../../core/options.ts'
import type { RedisClient } from './clients/detect.ts'
import { evaluatorFor } from './clients/evaluate.ts'
import { markKey } from './keys.ts'
import { fenceGuard as guard, fencedSet as script } from './scripts.generated.ts'

/**
 * How long a mark outlives a value that expires: no holder that was paused for longer is kept out.
 */
const LEAST_MEMORY_MS = 86_400_000

/** What a fenced write carries. A lease will do. */
export interface FencedWrite {
  /** The fence of the lease under which is written. */
  readonly fence: number
  /** Lets the value expire: 1 to 2147483647. By default it stays. */
  readonly expireMs?: number
}

/**
 * Sets a string key of Redis, unless somebody with a larger fence has set it before: then nothing
 * is changed and it rejects with `StaleFenceError`. The same fence may write again. The largest
 * fence is kept in a key beside, `{<key>}~written`, in the same slot of a Cluster; it lives as long
 * as the value, or a day where that is longer. Others read the key with GET.
 *
 * It writes through your client as it is, with its key prefix, and rejects with the client's errors.
 * Rejects with TypeError or RangeError for wrong arguments.
 */
export async function fencedSet(
  client: RedisClient,
  key: string,
  value: string | Uint8Array,
  write: FencedWrite,
): Promise<void> {
  const evaluator = evaluatorFor(client, 'fencedSet')
  if (typeof key !== 'string' || key === '') {
    throw new TypeError(`key must be a string that is not empty, got ${show(key)}.`)
  }
  if (typeof value !== 'string' && !(value instanceof Uint8Array)) {
    throw new TypeError(`value must be a string or a Uint8Array, got ${show(value)}.`)
  }
  checkObject('write', write)
  const { fence, expireMs } = write
  checkWhole('fence', fence, 1, Number.MAX_SAFE_INTEGER)
  if (expireMs !== undefined) checkWhole('expireMs', expireMs, 1, MAX_MS)
  const rememberMs = expireMs === undefined ? 0 : Math.max(expireMs, LEAST_MEMORY_MS)
  const reply = await evaluator.evaluate(
    script.source,
    [markKey(key, evaluator.keyPrefix), key],
    [String(fence), String(rememberMs), value, String(expireMs ?? 0)],
  )
  const later = Number(String(reply))
  if (later !== 0) throw new StaleFenceError(key, fence, later)
}

/**
 * A guard to stand in front of a Lua script of your own, which then runs only for the largest fence
 * so far: `client.eval(fenceGuard + yours, ...)`. `KEYS[1]` is a key of its own that remembers the
 * largest fence, `ARGV[1]` the fence, `ARGV[2]` for how many milliseconds it is remembered after
 * the last write (`0`: for ever). Yours begin with `KEYS[2]` and `ARGV[3]`. For an older fence
 * nothing is changed, and the command fails with an error that begins with `STALEFENCE`.
 */
export const fenceGuard: string = guard.source
