import type { Timer } from '../../../core/clock.ts'
import { type PortOptions, RedisFailure, type Reply } from '../port.ts'
import { type Address, addressOf, type ClusterMap, nameOf, readSlots } from './cluster-map.ts'

/** Nodes are not asked for the slots more often than this, however many commands fail. */
const LEAST_PAUSE_MS = 200
/** After this long the next node is asked as well. */
const STAGGER_MS = 250

/** What is needed to learn which node serves which slot. */
export interface TopologyParts {
  readonly options: PortOptions
  /** Where the user's client begins. */
  readonly seeds: () => readonly Address[]
  /** From the address that a node tells to the one that it is reached at. */
  readonly translate: (address: Address) => Address
  readonly ask: (node: string, timeoutMs: number) => Promise<Reply>
  /** There is a map, the first one or a newer one. */
  readonly learnt: () => void
}

/** Knows which node serves which slot, and asks again when there is reason to doubt it. */
export class Topology {
  map: ClusterMap | undefined
  readonly #parts: TopologyParts
  #asking: Promise<void> | undefined
  #askedAt = Number.NEGATIVE_INFINITY
  #timer: Timer | undefined
  #closed = false

  constructor(parts: TopologyParts) {
    this.#parts = parts
  }

  /** Resolves when there is a map; rejects with `RedisFailure` when there is none in time. */
  async known(timeoutMs: number): Promise<ClusterMap> {
    if (this.map) return this.map
    const { clock } = this.#parts.options
    let timer: Timer | undefined
    const late = new Promise<never>((_, reject) => {
      const problem = `no node of the Cluster said within ${timeoutMs} ms who serves what`
      const failure = new RedisFailure('connection', false, problem)
      timer = clock.setTimer(() => reject(failure), timeoutMs)
    })
    try {
      await Promise.race([this.refresh(), late])
    } finally {
      timer?.cancel()
    }
    if (this.map) return this.map
    throw new RedisFailure('connection', false, 'the connection was closed by close()')
  }

  /** Asks the nodes now, or joins who asks already. */
  refresh(): Promise<void> {
    this.#asking ??= this.#refresh().finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  /** There is reason to doubt the map. Returns at once. */
  doubt(): void {
    if (this.#closed || this.#timer || this.#asking) return
    const { clock } = this.#parts.options
    const waitMs = Math.max(0, this.#askedAt + LEAST_PAUSE_MS - clock.now())
    this.#timer = clock.setTimer(() => {
      this.#timer = undefined
      // Who doubted was told of a failure already; the next one will doubt again.
      this.refresh().catch(() => {})
    }, waitMs)
  }

  /** A node said who serves a slot now. */
  moved(slot: number, owner: string): void {
    this.map?.moved(slot, owner)
    this.doubt()
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  async #refresh(): Promise<void> {
    const { options, seeds, translate, ask, learnt } = this.#parts
    this.#askedAt = options.clock.now()
    const names = new Set([...shuffled([...(this.map?.primaries ?? [])]), ...seeds().map(nameOf)])
    const map = await this.#first([...names], async (name) => {
      const reply = await ask(name, options.connectTimeoutMs)
      const read = readSlots(reply, addressOf(name), translate)
      if (read.primaries.size > 0) return read
      throw new RedisFailure('unavailable', false, `${name} knows no node that serves slots`)
    })
    if (this.#closed) return
    this.map = map
    learnt()
  }

  /** The first good answer; a node that fails or keeps silent passes the question on. */
  #first(
    names: readonly string[],
    ask: (name: string) => Promise<ClusterMap>,
  ): Promise<ClusterMap> {
    const { clock } = this.#parts.options
    return new Promise((resolve, reject) => {
      let next = 0
      let open = 0
      let timer: Timer | undefined
      let failure: unknown = new RedisFailure(
        'connection',
        false,
        'no node of the Cluster is known',
      )
      const another = (): void => {
        timer?.cancel()
        const name = names[next]
        if (name === undefined) {
          if (open === 0) reject(failure)
          return
        }
        next += 1
        open += 1
        timer = clock.setTimer(another, STAGGER_MS)
        ask(name).then(
          (map) => {
            timer?.cancel()
            next = names.length
            resolve(map)
          },
          (error: unknown) => {
            failure = error
            open -= 1
            another()
          },
        )
      }
      another()
    })
  }
}

function shuffled(names: string[]): string[] {
  return names
    .map((name) => ({ name, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ name }) => name)
}
