import { RedisFailure, type Reply } from '../port.ts'

/** Where a node listens. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** Which node serves which slot, as far as is known. Nodes are named `host:port`. */
export class ClusterMap {
  readonly #owners: (string | undefined)[]
  readonly #primaries: Set<string>

  constructor(owners: (string | undefined)[]) {
    this.#owners = owners
    this.#primaries = new Set(owners.filter((owner) => owner !== undefined))
  }

  /** Every node that serves slots. */
  get primaries(): ReadonlySet<string> {
    return this.#primaries
  }

  owner(slot: number): string | undefined {
    return this.#owners[slot]
  }

  /** A node said who serves this slot now. */
  moved(slot: number, owner: string): void {
    this.#owners[slot] = owner
    this.#primaries.add(owner)
  }
}

/**
 * Reads the answer of CLUSTER SLOTS. `asked` stands in for a node that does not know its own
 * address; only the first node of a range counts, which is its primary.
 */
export function readSlots(
  reply: Reply,
  asked: Address,
  translate: (address: Address) => Address,
): ClusterMap {
  const owners: (string | undefined)[] = []
  for (const range of listOf(reply)) {
    const [first, last, primary] = listOf(range)
    const [host, port] = listOf(primary ?? null)
    const known = typeof host === 'string' && host !== '' && host !== '?' ? host : asked.host
    const owner = nameOf(translate({ host: known, port: Number(port) }))
    for (let slot = Number(first); slot <= Number(last); slot += 1) owners[slot] = owner
  }
  return new ClusterMap(owners)
}

function listOf(reply: Reply): readonly Reply[] {
  if (Array.isArray(reply)) return reply as readonly Reply[]
  const problem = `the answer to CLUSTER SLOTS is not understood: ${JSON.stringify(reply)}`
  throw new RedisFailure('other', false, problem)
}

/** What a node said instead of running a command. */
export interface Redirection {
  readonly ask: boolean
  readonly slot: number
  readonly to: Address
}

/** Reads `MOVED 3999 127.0.0.1:6381` and `ASK ...`; an empty host means the node that said so. */
export function redirectionOf(failure: RedisFailure, saidBy: string): Redirection | undefined {
  const match = /^(MOVED|ASK) (\d+) (\S*):(\d+)\b/.exec(failure.message)
  if (!match) return undefined
  const [, word, slot, host, port] = match
  const to = { host: host || addressOf(saidBy).host, port: Number(port) }
  return { ask: word === 'ASK', slot: Number(slot), to }
}

export function nameOf({ host, port }: Address): string {
  return `${host}:${port}`
}

export function addressOf(name: string): Address {
  const colon = name.lastIndexOf(':')
  return { host: name.slice(0, colon), port: Number(name.slice(colon + 1)) }
}
