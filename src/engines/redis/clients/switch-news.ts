import type { PortOptions } from '../port.ts'
import { limit } from './calls.ts'
import { type Address, nameOf } from './cluster-map.ts'
import type { Connection, Dial, Watcher } from './connection.ts'
import { NotSent } from './failure.ts'
import { Subscriptions } from './subscriptions.ts'

const CHANNEL = '+switch-master'

/** Sentinels tell one another of a failover every 2 s; one that is busy takes longer. */
const BEHIND_MS = 10_000

/** What is needed of a client library to hear its Sentinels. */
export interface SentinelProfile<Place> {
  /** What the Sentinels call the primary. */
  readonly name: string
  readonly sentinels: readonly Place[]
  /** A connection to one of the Sentinels. */
  dial(sentinel: Place): Dial
}

/**
 * Hears of every Sentinel when the primary changes. A connection to another server is then lost at
 * once, and not only when that server dies or follows: it may come back as a second primary. Each
 * Sentinel learns of a failover at a time of its own, so each is listened to, and a server that one
 * of them has left is not gone back to because another does not know yet.
 */
export class SwitchNews<Place> {
  readonly #options: PortOptions
  readonly #profile: SentinelProfile<Place>
  readonly #guarded = new Set<(primary: string) => void>()
  /** When Sentinels left a server. */
  readonly #left = new Map<string, number>()
  readonly #asking = new Set<Connection>()
  #order: readonly Place[]
  #listening: Subscriptions[] = []
  #closed = false

  constructor(options: PortOptions, profile: SentinelProfile<Place>) {
    this.#options = options
    this.#profile = profile
    this.#order = profile.sentinels
  }

  /** Whom to ask, first the one that was the first to know of the last change. */
  get order(): readonly Place[] {
    return this.#order
  }

  /** `named` is the server that the Sentinels named for this connection, once they did. */
  guard(connection: Connection, watcher: Watcher, named: () => string): Connection {
    this.#listen()
    const look = (primary: string): void => {
      if (named() === '' || named() === primary) return
      watcher.lost(new Error(`the Sentinels have made ${primary} the primary`))
    }
    this.#guarded.add(look)
    return {
      open: async () => {
        await connection.open()
        if (this.#isLeft(named())) throw new NotSent(`the Sentinels have left ${named()}`)
      },
      send: (name, args, asking) => connection.send(name, args, asking),
      subscribe: (channel) => connection.subscribe(channel),
      destroy: () => {
        this.#guarded.delete(look)
        connection.destroy()
      },
    }
  }

  close(): void {
    this.#closed = true
    for (const each of this.#listening) each.close()
    for (const each of this.#asking) each.destroy()
  }

  #listen(): void {
    if (this.#closed || this.#listening.length > 0) return
    this.#listening = this.#profile.sentinels.map((sentinel) => {
      const subscriptions = new Subscriptions(this.#options, this.#profile.dial(sentinel))
      subscriptions.add(CHANNEL, {
        message: (text) => this.#heard(text, sentinel),
        ready: () => void this.#ask(sentinel),
        broken: () => {},
      })
      return subscriptions
    })
  }

  /** `<name> <old host> <old port> <new host> <new port>` */
  #heard(text: string, sentinel: Place): void {
    const [name, oldHost = '', oldPort = '', host = '', port = ''] = text.split(' ')
    if (name !== this.#profile.name) return
    const primary = addressName(host, port)
    this.#order = [sentinel, ...this.#order.filter((each) => each !== sentinel)]
    this.#left.set(addressName(oldHost, oldPort), this.#options.clock.now())
    this.#left.delete(primary)
    for (const look of this.#guarded) look(primary)
  }

  /**
   * What a Sentinel said before it was listened to was missed. Whether it or another is behind
   * cannot be told; so whoever is connected elsewhere asks anew.
   */
  async #ask(sentinel: Place): Promise<void> {
    const { name } = this.#profile
    const connection = this.#profile.dial(sentinel)({ lost() {}, message() {} })
    const { clock, connectTimeoutMs } = this.#options
    const timer = limit(clock, () => connection.destroy(), connectTimeoutMs)
    this.#asking.add(connection)
    try {
      await connection.open()
      const reply = await connection.send('sentinel', ['get-master-addr-by-name', name], false)
      if (!Array.isArray(reply) || this.#closed) return
      const primary = addressName(String(reply[0]), String(reply[1]))
      if (!this.#isLeft(primary)) for (const look of this.#guarded) look(primary)
    } catch {
      // It is asked again when it is listened to again.
    } finally {
      timer.cancel()
      this.#asking.delete(connection)
      connection.destroy()
    }
  }

  /** For a while only: it may be the primary again, and that news lost. */
  #isLeft(address: string): boolean {
    const leftAt = this.#left.get(address)
    return leftAt !== undefined && this.#options.clock.now() - leftAt < BEHIND_MS
  }
}

function addressName(host: string, port: string): string {
  return nameOf({ host, port: Number(port) } satisfies Address)
}
