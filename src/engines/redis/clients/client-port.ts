import type { Listener, PortOptions, RedisPort, Reply, Routing } from '../port.ts'
import { Anchor } from './anchor.ts'
import { Commands } from './commands.ts'
import type { Dial } from './connection.ts'
import { withPrefix } from './prefix.ts'
import { Subscriptions } from './subscriptions.ts'

/** What a client library has to say about itself to become a port. */
export interface ClientProfile {
  readonly client: string
  readonly topology: 'single' | 'sentinel'
  readonly keyPrefix: string
  readonly dialCommands: Dial
  readonly dialSubscriptions: Dial
  /** Ends what the connections have in common. */
  close?(): void
}

/** The port to one server, the same one or the one that Sentinels name. */
export class ClientPort implements RedisPort {
  readonly client: string
  readonly topology: RedisPort['topology']
  readonly keyPrefix: string
  readonly #profile: ClientProfile
  readonly #commands: Commands
  readonly #subscriptions: Subscriptions
  readonly #breakListeners: ((server: string) => void)[] = []
  readonly #anchor = new Anchor()

  constructor(profile: ClientProfile, options: PortOptions) {
    this.#profile = profile
    this.client = profile.client
    this.topology = profile.topology
    this.keyPrefix = profile.keyPrefix
    const lost = () => {
      for (const listener of this.#breakListeners) listener('')
    }
    this.#commands = new Commands(options, profile.dialCommands, lost)
    this.#subscriptions = new Subscriptions(options, profile.dialSubscriptions, '', { lost })
  }

  serverOf(): string {
    return ''
  }

  async servers(): Promise<readonly string[]> {
    return ['']
  }

  channelFor(name: string): string {
    return name
  }

  command(name: string, args: readonly (string | number)[], options: Routing): Promise<Reply> {
    this.#anchor.hold()
    options.answered?.('')
    const prefixed = withPrefix(this.keyPrefix, name, args, options.key)
    return this.#commands.run(name, prefixed, options)
  }

  subscribe(channel: string, listener: Listener): { close(): Promise<void> } {
    this.#anchor.hold()
    return this.#subscriptions.add(channel, listener)
  }

  onBreak(listener: (server: string) => void): void {
    this.#breakListeners.push(listener)
  }

  /** There is one server, and one channel. */
  onMove(): void {}

  async close(): Promise<void> {
    this.#commands.close()
    this.#subscriptions.close()
    this.#profile.close?.()
    await this.#anchor.letGo()
  }
}
