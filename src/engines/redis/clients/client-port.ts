import type { Listener, PortOptions, RedisPort, Reply } from '../port.ts'
import { Commands } from './commands.ts'
import type { Dial } from './connection.ts'
import { Subscriptions } from './subscriptions.ts'

const LONGEST_TIMER_MS = 2_147_483_647

/** Where the keys stand in the arguments: behind a script, its digest or its name, and a number. */
const SCRIPT_COMMANDS = new Set(['eval', 'evalsha', 'eval_ro', 'evalsha_ro', 'fcall', 'fcall_ro'])

/** What a client library has to say about itself to become a port. */
export interface ClientProfile {
  readonly client: string
  readonly topology: RedisPort['topology']
  readonly keyPrefix: string
  readonly dialCommands: Dial
  readonly dialSubscriptions: Dial
}

/** The port over any client library that can make connections. */
export class ClientPort implements RedisPort {
  readonly client: string
  readonly topology: RedisPort['topology']
  readonly keyPrefix: string
  readonly #commands: Commands
  readonly #subscriptions: Subscriptions
  readonly #breakListeners: (() => void)[] = []
  #anchor: NodeJS.Timeout | undefined
  #closed = false

  constructor(profile: ClientProfile, options: PortOptions) {
    this.client = profile.client
    this.topology = profile.topology
    this.keyPrefix = profile.keyPrefix
    this.#commands = new Commands(options, profile.dialCommands, () => {
      for (const listener of this.#breakListeners) listener()
    })
    this.#subscriptions = new Subscriptions(options, profile.dialSubscriptions)
  }

  command(
    name: string,
    args: readonly (string | number)[],
    options: { timeoutMs: number; key?: string },
  ): Promise<Reply> {
    this.#stayAlive()
    if (this.keyPrefix === '') return this.#commands.run(name, args, options)
    const prefixed = withPrefix(this.keyPrefix, name, args, options.key)
    if (options.key === undefined) return this.#commands.run(name, prefixed, options)
    return this.#commands.run(name, prefixed, { ...options, key: this.keyPrefix + options.key })
  }

  subscribe(channel: string, listener: Listener): { close(): Promise<void> } {
    this.#stayAlive()
    return this.#subscriptions.add(channel, listener)
  }

  onBreak(listener: () => void): void {
    this.#breakListeners.push(listener)
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#anchor)
    this.#commands.close()
    this.#subscriptions.close()
    // Destroyed sockets let go of the process at the end of this turn of the event loop.
    for (let turn = 0; turn < 2; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  }

  /**
   * Sockets keep the process alive; this does so between two of them, when the server is away and
   * everything that waits for it waits on timers that do not.
   */
  #stayAlive(): void {
    if (!this.#anchor && !this.#closed) this.#anchor = setInterval(() => {}, LONGEST_TIMER_MS)
  }
}

/**
 * Prefixes the keys of a script, and of any other command the first argument that equals the key it
 * is routed by. The clients' own prefixing is switched off: one of them leaves out commands it does
 * not know, the other all commands sent by name.
 */
function withPrefix(
  prefix: string,
  name: string,
  args: readonly (string | number)[],
  key: string | undefined,
): readonly (string | number)[] {
  const all = [...args]
  if (SCRIPT_COMMANDS.has(name)) {
    const end = 2 + Number(args[1])
    for (let at = 2; at < end; at += 1) all[at] = prefix + String(args[at])
  } else if (key !== undefined) {
    const at = all.indexOf(key)
    if (at >= 0) all[at] = prefix + key
  }
  return all
}
