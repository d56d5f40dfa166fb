import { brokenContenders } from './broken.mjs'
import { holdfastContenders } from './holdfast.mjs'
import { peerContenders } from './peers.mjs'
import { rawContenders } from './raw.mjs'
import { sqliteContenders } from './sqlite.mjs'

/**
 * Whoever is measured. A lock of a contender is asked for a grant and given it back:
 *
 *   const opened = await contender.open({ url, ttlMs })
 *   const lock = opened.lock(name)
 *   const grant = await lock.acquire()
 *   await lock.release(grant)
 *   await opened.close()
 *
 * `name` is what `--only` takes. `kind` is `floor`, `holdfast`, `peer` or `broken`; `polling` says how a peer waits: `defaults`
 * or `aggressive`; `sends` are the commands it sends besides scripts; `engine` is `redis` unless
 * it says so; `handover` marks a lock that is passed on inside the process.
 */
export const contenders = [
  ...rawContenders,
  ...holdfastContenders,
  ...peerContenders,
  ...sqliteContenders,
  ...brokenContenders,
]

export function contenderNamed(name) {
  const found = contenders.find((one) => one.name === name)
  if (!found) throw new Error(`no contender is named ${name}`)
  return found
}
