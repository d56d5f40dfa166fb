/** The keys of one lock. All are in the slot of `lock` on a Redis Cluster. */
export interface LockKeys {
  /** The plain string key; other programs can take a mutex with `SET key value NX PX`. */
  readonly lock: string
  readonly fence: string
  readonly line: string
  readonly alive: string
  readonly places: string
  /** This and the next only where several can hold at once: every kind but the mutex. */
  readonly holders: string
  readonly leases: string
}

const SLOTS = 16_384

/** The keys in which the processes of quorums note their lists of nodes, one slot for both. */
export function nodeListKeys(prefix: string): string[] {
  return ['lists', 'users'].map((part) => `{${prefix}quorum}~${part}`)
}

/**
 * Derives a lock's keys from its name. `clientPrefix` is what the client itself will put in front
 * of every key: the server hashes the key with it, so the hash tag must be found with it.
 */
export function lockKeys(prefix: string, name: string, clientPrefix: string): LockKeys {
  const lock = prefix + name
  if (isPartOfLock(lock)) {
    throw new RangeError(
      `name must not make the key ${JSON.stringify(lock)}: Holdfast keeps a part of another lock ` +
        'in keys of this form. Use another name, or a prefix such as "holdfast:".',
    )
  }
  const tag = tagFor(clientPrefix, lock)
  // A name without braces is its own tag; otherwise two names may share one and must be told apart.
  const base = tag === clientPrefix + lock ? '' : `:${lock}`
  const derived = (part: string) => `{${tag}}~${part}${base}`
  return {
    lock,
    fence: derived('fence'),
    line: derived('line'),
    alive: derived('alive'),
    places: derived('places'),
    holders: derived('holders'),
    leases: derived('leases'),
  }
}

/**
 * Finds the keys of locks by name, and keeps the last ones. Who waits for a lock asks for the same
 * keys again and again, and texts that were just put together are copied once more to be sent.
 */
export function keysOf(prefix: string, clientPrefix: string): (name: string) => LockKeys {
  let last: { readonly name: string; readonly keys: LockKeys } | undefined
  return (name) => {
    if (last?.name !== name) last = { name, keys: lockKeys(prefix, name, clientPrefix) }
    return last.keys
  }
}

/** A key in the slot of another one, named after it. It is no part of a lock. */
export function markKey(key: string, clientPrefix: string): string {
  const tag = tagFor(clientPrefix, key)
  return `{${tag}}~written${tag === clientPrefix + key ? '' : `:${key}`}`
}

/** Whether a key is one that Holdfast derives. A lock's own key is none, unless it has no prefix. */
export function isPartOfLock(key: string): boolean {
  return (
    key.startsWith('{') &&
    /^\{[^]*\}~(fence|line|alive|places|holders|leases|lists|users)(:|$)/.test(key)
  )
}

/** Text that, in braces after the client's prefix, hashes to the slot of the lock's key. */
function tagFor(clientPrefix: string, lock: string): string {
  const whole = clientPrefix + lock
  const tag = hashTag(whole)
  if (tag !== undefined) return tag
  // Without a hash tag the whole key is hashed, which braces around it keep unless it has its own.
  return whole.includes('}') ? tagOfSlot(slotOf(whole)) : whole
}

/** The part of a key that Redis Cluster hashes, `undefined` when it is the whole key. */
function hashTag(key: string): string | undefined {
  const open = key.indexOf('{')
  if (open === -1) return undefined
  const close = key.indexOf('}', open + 1)
  return close > open + 1 ? key.slice(open + 1, close) : undefined
}

/** The slot of a key on a Redis Cluster, given as the server sees it. */
export function slotOfKey(key: string): number {
  return slotOf(hashTag(key) ?? key)
}

const tags = new Map<number, string>()

/** A short text that hashes to `slot`, always the same one; kept, since the search is long. */
export function tagOfSlot(slot: number): string {
  const known = tags.get(slot)
  if (known !== undefined) return known
  for (let number = 0; ; number++) {
    const text = number.toString(36)
    if (slotOf(text) !== slot) continue
    tags.set(slot, text)
    return text
  }
}

/**
 * CRC-16/XMODEM of the UTF-8 bytes, modulo 16384 (Redis Cluster specification, "Key distribution
 * model").
 */
export function slotOf(text: string): number {
  let crc = 0
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) {
      crc = crc & 0x80_00 ? ((crc << 1) ^ 0x10_21) & 0xff_ff : (crc << 1) & 0xff_ff
    }
  }
  return crc % SLOTS
}
