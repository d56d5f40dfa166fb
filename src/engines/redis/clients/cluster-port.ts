import type { Timer } from '../../../core/clock.ts'
import { slotOfKey, tagOfSlot } from '../keys.ts'
import {
  type Listener,
  type PortOptions,
  RedisFailure,
  type RedisPort,
  type Reply,
  type Routing,
} from '../port.ts'
import { Anchor } from './anchor.ts'
import { type Address, addressOf, nameOf, type Redirection, redirectionOf } from './cluster-map.ts'
import { ClusterNode } from './cluster-node.ts'
import { Topology } from './cluster-topology.ts'
import type { Dial, Purpose } from './connection.ts'
import { withPrefix } from './prefix.ts'
import { Subscriptions } from './subscriptions.ts'

/** A slot on its way can be redirected once to its new owner and once more by that one. */
const MOST_REDIRECTIONS = 4
/** Nobody tells a listener that its slot has moved, so the map is looked at while one listens. */
const PATROL_MS = 5000

/** What a client library has to say about its Cluster client to become a port. */
export interface ClusterProfile {
  readonly client: string
  readonly keyPrefix: string
  /** Where the user's client begins to ask for the nodes. */
  seeds(): readonly Address[]
  /** From the address that a node tells to the one that it is reached at. */
  translate(address: Address): Address
  /** Makes connections to one node. */
  dial(node: Address, purpose: Purpose): Dial
  /** For a library that listens on sharded channels only with a client for the whole Cluster. */
  readonly dialSubscriptions?: Dial
}

/** One who listens, and the node that its channel belongs to at the moment. */
interface Ear {
  readonly channel: string
  readonly slot: number
  readonly listener: Listener
  node: string | undefined
  up: boolean
  close: () => void
}

/**
 * The port to a Redis Cluster over one connection for each node, so that a node that is down or
 * slow concerns only what it serves. Which node serves what, and what MOVED and ASK mean, is known
 * here and not left to the library's own Cluster client, since each of those repeats, parks or
 * spreads commands in its own way.
 */
export class ClusterPort implements RedisPort {
  readonly client: string
  readonly topology = 'cluster'
  readonly keyPrefix: string
  readonly #profile: ClusterProfile
  readonly #options: PortOptions
  readonly #topology: Topology
  readonly #nodes = new Map<string, ClusterNode>()
  readonly #ears = new Set<Ear>()
  readonly #whole: Subscriptions | undefined
  /** The slot whose channel is used for each node. */
  readonly #channelSlots = new Map<string, number>()
  readonly #breakListeners: ((server: string) => void)[] = []
  readonly #moveListeners: (() => void)[] = []
  readonly #anchor = new Anchor()
  #patrol: Timer | undefined
  #closed = false

  constructor(profile: ClusterProfile, options: PortOptions) {
    refuseBraces(profile.keyPrefix)
    this.client = profile.client
    this.keyPrefix = profile.keyPrefix
    this.#profile = profile
    this.#options = options
    this.#topology = new Topology({
      options,
      seeds: () => profile.seeds(),
      translate: (address) => profile.translate(address),
      ask: (node, timeoutMs) => this.#node(node).run('cluster', ['slots'], { timeoutMs }),
      learnt: () => this.#learnt(),
    })
    const { dialSubscriptions } = profile
    this.#whole = dialSubscriptions && new Subscriptions(options, dialSubscriptions)
  }

  serverOf(key: string): string {
    return this.#topology.map?.owner(slotOfKey(this.keyPrefix + key)) ?? ''
  }

  async servers({ timeoutMs }: { timeoutMs: number }): Promise<readonly string[]> {
    return [...(await this.#topology.known(timeoutMs)).primaries].sort()
  }

  channelFor(name: string, key: string): string {
    const own = slotOfKey(this.keyPrefix + key)
    const owner = this.#topology.map?.owner(own)
    let slot = own
    if (owner !== undefined) {
      const used = this.#channelSlots.get(owner)
      if (used !== undefined && this.#topology.map?.owner(used) === owner) slot = used
      else this.#channelSlots.set(owner, own)
    }
    return `${name}:{${tagOfSlot(slot)}}`
  }

  async command(
    name: string,
    args: readonly (string | number)[],
    options: Routing,
  ): Promise<Reply> {
    this.#anchor.hold()
    const { clock } = this.#options
    const until = clock.now() + options.timeoutMs
    const all = withPrefix(this.keyPrefix, name, args, options.key)
    const known = options.server || this.#ownerOf(options)
    let node = known ?? (await this.#serving(options))
    // One and the same limit for all: those with an equal one share a timer.
    let timeoutMs = known === undefined ? Math.max(1, until - clock.now()) : options.timeoutMs
    let asking = false
    for (let redirections = 0; ; redirections += 1) {
      try {
        const reply = await this.#node(node).run(name, all, { timeoutMs, asking })
        options.answered?.(node)
        return reply
      } catch (error) {
        const failure = error as RedisFailure
        const redirection = redirectionOf(failure, node)
        if (redirection && options.pinned) this.#follow(redirection)
        if (
          !redirection ||
          options.pinned ||
          redirections === MOST_REDIRECTIONS ||
          clock.now() >= until
        ) {
          this.#doubt(failure)
          throw failure
        }
        asking = redirection.ask
        timeoutMs = Math.max(1, until - clock.now())
        node = this.#follow(redirection)
      }
    }
  }

  subscribe(channel: string, listener: Listener): { close(): Promise<void> } {
    this.#anchor.hold()
    if (!this.#closed) this.#watch()
    if (this.#whole) return this.#whole.add(channel, listener)
    const ear: Ear = {
      channel,
      slot: slotOfKey(channel),
      listener,
      node: undefined,
      up: false,
      close() {},
    }
    if (!this.#closed) {
      this.#ears.add(ear)
      this.#place(ear)
    }
    return {
      close: async () => {
        this.#ears.delete(ear)
        ear.close()
      },
    }
  }

  onBreak(listener: (server: string) => void): void {
    this.#breakListeners.push(listener)
  }

  onMove(listener: () => void): void {
    this.#moveListeners.push(listener)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#patrol?.cancel()
    this.#topology.close()
    this.#ears.clear()
    this.#whole?.close()
    for (const node of this.#nodes.values()) node.close()
    await this.#anchor.letGo()
  }

  /** The node that serves the key; any primary for a command without one. */
  async #serving(options: Routing): Promise<string> {
    await this.#topology.known(options.timeoutMs)
    const node = this.#ownerOf(options)
    if (node !== undefined) return node
    this.#topology.doubt()
    throw new RedisFailure(
      'unavailable',
      false,
      'no node of the Cluster serves the slot of the key',
    )
  }

  #ownerOf({ key }: Routing): string | undefined {
    const { map } = this.#topology
    const [first] = map?.primaries ?? []
    return key === undefined ? first : map?.owner(slotOfKey(this.keyPrefix + key))
  }

  /** Remembers who serves a slot from now on, and names whom the command should go to. */
  #follow({ ask, slot, to }: Redirection): string {
    const node = nameOf(this.#profile.translate(to))
    if (!ask) this.#topology.moved(slot, node)
    return node
  }

  #node(name: string): ClusterNode {
    let node = this.#nodes.get(name)
    if (!node) {
      const dial = (purpose: Purpose): Dial => this.#profile.dial(addressOf(name), purpose)
      node = new ClusterNode(name, dial, this.#options, {
        broke: this.#broke,
        refused: (_, failure) => this.#doubt(failure),
      })
      if (this.#closed) node.close()
      this.#nodes.set(name, node)
    }
    return node
  }

  readonly #broke = (node: string): void => {
    for (const listener of this.#breakListeners) listener(node)
  }

  /** A node that failed, or says that it cannot serve, may have lost its slots to another. */
  #doubt({ kind }: RedisFailure): void {
    if (kind === 'connection' || kind === 'timeout' || kind === 'unavailable') {
      this.#topology.doubt()
    }
  }

  #learnt(): void {
    const primaries = this.#topology.map?.primaries ?? new Set()
    for (const ear of this.#ears) this.#place(ear)
    for (const [name, node] of this.#nodes) {
      if (primaries.has(name) || !node.idle) continue
      this.#nodes.delete(name)
      node.close()
      // Should it come back, another server may stand there.
      this.#broke(name)
    }
    for (const listener of this.#moveListeners) listener()
  }

  /** Lets one who listens listen at the node that serves the channel's slot now. */
  #place(ear: Ear): void {
    const owner = this.#topology.map?.owner(ear.slot)
    if (owner === undefined) return this.#topology.doubt()
    if (owner === ear.node) return
    ear.close()
    if (ear.up) ear.listener.broken()
    ear.up = false
    ear.node = owner
    const subscription = this.#node(owner).subscriptions.add(ear.channel, {
      message: (text, server) => ear.listener.message(text, server),
      ready: () => {
        ear.up = true
        ear.listener.ready()
      },
      broken: () => {
        ear.up = false
        ear.listener.broken()
        this.#topology.doubt()
      },
    })
    ear.close = () => void subscription.close()
  }

  #watch(): void {
    this.#patrol ??= this.#options.clock.setTimer(() => {
      this.#patrol = undefined
      if (this.#ears.size === 0 && !this.#whole?.listening) return
      this.#topology.doubt()
      this.#watch()
    }, PATROL_MS)
  }
}

/**
 * With a brace that opens and encloses nothing in front of every key, the server hashes up to the
 * first closing brace behind it, which the keys of one lock do not have in common.
 */
function refuseBraces(prefix: string): void {
  const open = prefix.indexOf('{')
  if (open === -1 || prefix.indexOf('}', open) > open + 1) return
  throw new TypeError(
    `keyPrefix ${JSON.stringify(prefix)} of the Cluster client has an opening brace without a ` +
      'hash tag, so the keys of one lock would not share a slot. Close it, as in "{app}:", or ' +
      'leave it out.',
  )
}
