import type { Engine } from '../core/engine.ts'
import type { Holdfast } from '../core/holdfast.ts'
import { quorum } from '../engines/quorum/index.ts'
import { type RedisClient, redis } from '../engines/redis/index.ts'
import { createHoldfast } from '../index.ts'

/** What the clients of all libraries have for listeners; GLIDE has none. */
interface Emitter {
  once?(event: 'end', listener: () => void): unknown
}

interface Entry {
  readonly clients: readonly RedisClient[]
  readonly holdfast: Holdfast
}

const entries = new WeakMap<RedisClient, Entry[]>()

/**
 * The Holdfast of these clients, one however many locks are made with them: it has connections of
 * its own. They end when one of the clients does, so that a program can exit as it did before; what
 * is held then stays taken until its time is over. Several clients are a quorum. Throws TypeError
 * or RangeError for wrong clients.
 */
export function holdfastOf(clients: readonly RedisClient[]): Holdfast {
  const [first] = clients
  const known = first === undefined ? undefined : entries.get(first)
  const same = known?.find((entry) => isSame(entry.clients, clients))
  if (same !== undefined) return same.holdfast
  const holdfast = createHoldfast({ engine: engineOf(clients) })
  const entry = { clients: [...clients], holdfast }
  if (first !== undefined) entries.set(first, [...(entries.get(first) ?? []), entry])
  for (const client of clients) {
    const emitter = client as Emitter
    emitter.once?.('end', () => void leave(entry))
  }
  return holdfast
}

/** Closes what was made for these clients, if anything was. */
export async function leaveHoldfastOf(clients: readonly RedisClient[]): Promise<void> {
  const [first] = clients
  const known = first === undefined ? undefined : entries.get(first)
  const entry = known?.find((each) => isSame(each.clients, clients))
  if (entry !== undefined) await leave(entry)
}

async function leave(entry: Entry): Promise<void> {
  const [first] = entry.clients
  if (first !== undefined) {
    const others = (entries.get(first) ?? []).filter((other) => other !== entry)
    entries.set(first, others)
  }
  await entry.holdfast.leave()
}

function isSame(some: readonly RedisClient[], others: readonly RedisClient[]): boolean {
  return some.length === others.length && some.every((each, index) => each === others[index])
}

/** The keys are bare names, so that programs with the original library are kept out. */
function engineOf(clients: readonly RedisClient[]): Engine {
  const engines = clients.map((client) => redis(client, { prefix: '' }))
  const [only] = engines
  return only !== undefined && engines.length === 1 ? only : quorum(engines)
}
