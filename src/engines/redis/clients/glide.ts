import type { Timer } from '../../../core/clock.ts'
import type { PortOptions, RedisPort } from '../port.ts'
import { limit } from './calls.ts'
import { ClientPort } from './client-port.ts'
import type { Address } from './cluster-map.ts'
import { ClusterPort } from './cluster-port.ts'
import type { Connection, Dial, Watcher } from './connection.ts'
import { NotSent } from './failure.ts'

/** What is needed of a `GlideClient` or `GlideClusterClient` of Valkey GLIDE 2.3 or newer. */
export interface GlideLikeClient {
  customCommand(...args: never[]): unknown
  close(...args: never[]): unknown
}

interface Config {
  readonly addresses: readonly { readonly host: string; readonly port?: number }[]
  readonly advancedConfiguration?: object
}

interface Glide {
  customCommand(args: readonly string[], options?: object): Promise<unknown>
  exec(batch: Batch, raiseOnError: boolean): Promise<unknown[] | null>
  subscribe(channels: Set<string>, timeoutMs: number): Promise<void>
  ssubscribe(channels: Set<string>, timeoutMs: number): Promise<void>
  close(): void
}

interface Batch {
  customCommand(args: readonly string[]): Batch
}

interface Factory {
  createClient(config: Config): Promise<Glide>
}

interface Library {
  readonly GlideClient: Factory
  readonly Batch: new (isAtomic: boolean) => Batch
}

/** The library reconnects without a word; after how long that is noticed at the latest. */
const BEAT_MS = 1000
const MOST_SILENCE_MS = 5000
const LONGEST_MS = 2_147_483_647

/**
 * A port on connections of its own, made from the configuration that the user's client was made
 * from. The client itself is neither used nor changed.
 */
export function glidePort(client: GlideLikeClient, options: PortOptions): RedisPort {
  const config = configOf(client)
  const { constructor } = client
  const own = constructor as unknown as Factory
  if (!('ssubscribe' in client)) {
    // Its own class is at hand also where a bundler has renamed the library.
    const find = async () => ({ Client: own, ...(await loadLibrary().then(batchOf, () => ({}))) })
    const dial: Dial = (watcher) => new GlideConnection(watcher, options, config, find, 'subscribe')
    return new ClientPort(
      {
        client: 'valkey-glide',
        topology: 'single',
        keyPrefix: '',
        dialCommands: dial,
        dialSubscriptions: dial,
      },
      options,
    )
  }
  // A client for one node: the Cluster client hides which of them is down.
  const single = async () => {
    const { GlideClient, Batch } = await loadLibrary()
    return { Client: GlideClient, Batch }
  }
  return new ClusterPort(
    {
      client: 'valkey-glide',
      keyPrefix: '',
      seeds: () => config.addresses.map(({ host, port = 6379 }) => ({ host, port })),
      translate: (address) => address,
      dial: (node: Address) => (watcher) =>
        new GlideConnection(watcher, options, { ...config, addresses: [node] }, single),
      // A client for one node sends no SSUBSCRIBE.
      dialSubscriptions: (watcher) =>
        new GlideConnection(watcher, options, config, async () => ({ Client: own }), 'ssubscribe'),
    },
    options,
  )
}

function batchOf({ Batch }: Library): Pick<Library, 'Batch'> {
  return { Batch }
}

function configOf(client: GlideLikeClient): Config {
  const { config } = client as { config?: Partial<Config> }
  if (!Array.isArray(config?.addresses)) {
    throw new TypeError(
      'redis() was given a client of Valkey GLIDE whose configuration cannot be read, so no ' +
        'connection like it can be made. Use @valkey/valkey-glide 2.3 or newer.',
    )
  }
  if (!('subscribe' in client)) {
    throw new TypeError(
      'redis() was given a client of Valkey GLIDE that cannot subscribe once it is made. Use ' +
        '@valkey/valkey-glide 2.3 or newer.',
    )
  }
  return config as Config
}

async function loadLibrary(): Promise<Library> {
  // Whoever has a client has the library, so a bundler must leave the name as it is.
  const name = '@valkey/valkey-glide'
  return (await import(name)) as Library
}

/** A command that somebody waits for. */
interface Sent {
  readonly words: readonly string[]
  readonly resolve: (reply: unknown) => void
  readonly reject: (error: unknown) => void
}

/** What the connection is made with; `Batch` only where commands may have to go together. */
interface Means {
  readonly Client: Factory
  readonly Batch?: Library['Batch']
}

class GlideConnection implements Connection {
  readonly #watcher: Watcher
  readonly #options: PortOptions
  readonly #config: Config
  readonly #find: () => Promise<Means>
  readonly #verb: 'subscribe' | 'ssubscribe' | undefined
  readonly #channels = new Set<string>()
  /** What the server calls the connection, by the channel whose node was asked. */
  readonly #ids = new Map<string, unknown>()
  #turn: Sent[] = []
  #means: Means | undefined
  #client: Glide | undefined
  #beat: Timer | undefined
  #silence: Timer | undefined
  #destroyed = false

  constructor(
    watcher: Watcher,
    options: PortOptions,
    config: Config,
    find: () => Promise<Means>,
    verb?: 'subscribe' | 'ssubscribe',
  ) {
    this.#watcher = watcher
    this.#options = options
    this.#config = config
    this.#find = find
    this.#verb = verb
  }

  async open(): Promise<void> {
    this.#means = await this.#find()
    let client: Glide
    try {
      client = await this.#means.Client.createClient(this.#safeConfig())
    } catch (error) {
      throw refusalOf(error)
    }
    if (this.#destroyed) {
      client.close()
      throw new NotSent('the connection was given up')
    }
    this.#client = client
    if (this.#verb !== 'ssubscribe') await this.#compare('')
    this.#beatLater()
  }

  async send(name: string, args: readonly (string | number)[], asking: boolean): Promise<unknown> {
    const client = this.#client
    if (!client) throw new NotSent('the connection is not open')
    const words = [name, ...args.map(String)]
    try {
      if (asking) return await this.#ask(client, words)
      return plain(await this.#sendTogether(client, words))
    } catch (error) {
      throw this.#failureOf(error)
    }
  }

  /** Commands of one turn of the event loop go out one after the other, or as one pipeline. */
  #sendTogether(client: Glide, words: readonly string[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#turn.push({ words, resolve, reject }) > 1) return
      queueMicrotask(() => {
        const turn = this.#turn
        this.#turn = []
        // The library may reconnect between two commands, and WAIT speaks of its own connection.
        if (turn.some((each) => each.words[0] === 'wait')) void this.#pipeline(client, turn)
        else
          for (const each of turn) client.customCommand(each.words).then(each.resolve, each.reject)
      })
    })
  }

  async #pipeline(client: Glide, turn: readonly Sent[]): Promise<void> {
    try {
      const batch = this.#newBatch()
      for (const { words } of turn) batch.customCommand(words)
      const replies = (await client.exec(batch, false)) ?? []
      for (const [at, { resolve, reject }] of turn.entries()) {
        const reply = replies[at]
        if (reply instanceof Error) reject(reply)
        else resolve(reply)
      }
    } catch (error) {
      for (const { reject } of turn) reject(error)
    }
  }

  #newBatch(): Batch {
    const { Batch } = this.#means ?? {}
    if (!Batch) throw new NotSent('@valkey/valkey-glide cannot be imported by this name')
    return new Batch(false)
  }

  async subscribe(channel: string): Promise<unknown> {
    const client = this.#client
    if (!client) throw new NotSent('the connection is not open')
    const { connectTimeoutMs } = this.#options
    try {
      if (this.#verb === 'ssubscribe') await client.ssubscribe(new Set([channel]), connectTimeoutMs)
      else await client.subscribe(new Set([channel]), connectTimeoutMs)
      this.#channels.add(channel)
      if (this.#verb === 'ssubscribe') await this.#compare(channel)
    } catch (error) {
      throw this.#failureOf(error)
    }
    return undefined
  }

  destroy(): void {
    this.#destroyed = true
    this.#beat?.cancel()
    this.#silence?.cancel()
    this.#client?.close()
  }

  /** ASKING counts only for what is right behind it, which a pipeline makes certain. */
  async #ask(client: Glide, words: readonly string[]): Promise<unknown> {
    const batch = this.#newBatch().customCommand(['asking']).customCommand(words)
    const replies = await client.exec(batch, true)
    return plain(replies?.[1])
  }

  /** The time limits of Holdfast are the only ones, and nothing is read but from the primary. */
  #safeConfig(): Config {
    const { connectTimeoutMs } = this.#options
    const subscriptions = {
      channelsAndPatterns: {},
      callback: ({ channel, message }: { channel: unknown; message: unknown }) =>
        this.#watcher.message(String(channel), String(message)),
      context: undefined,
    }
    const changes = {
      requestTimeout: LONGEST_MS,
      inflightRequestsLimit: LONGEST_MS,
      readFrom: 'primary',
      readOnly: false,
      lazyConnect: false,
      // The newer protocol, which the library needs in order to listen.
      protocol: undefined,
      defaultDecoder: undefined,
      clientSideCache: undefined,
      compression: undefined,
      pubsubSubscriptions: this.#verb === undefined ? undefined : subscriptions,
      advancedConfiguration: {
        ...this.#config.advancedConfiguration,
        connectionTimeout: connectTimeoutMs,
      },
    }
    return { ...this.#config, ...changes }
  }

  #beatLater(): void {
    if (this.#destroyed) return
    this.#beat = this.#options.clock.setTimer(() => {
      const asked = this.#verb === 'ssubscribe' ? [...this.#channels] : ['']
      // While it reconnects, it answers nothing.
      this.#silence = limit(
        this.#options.clock,
        () => this.#watcher.lost(new Error(`no sign of life for ${MOST_SILENCE_MS} ms`)),
        MOST_SILENCE_MS,
      )
      Promise.all(asked.map((channel) => this.#compare(channel))).then(
        () => {
          this.#silence?.cancel()
          this.#beatLater()
        },
        (error: unknown) => this.#watcher.lost(error),
      )
    }, BEAT_MS)
  }

  /** The library may have reconnected: then the server knows the connection by another id. */
  async #compare(channel: string): Promise<void> {
    const route = { type: 'primarySlotKey', key: channel }
    const options = channel === '' ? undefined : { route }
    const words = ['client', 'id']
    let id: unknown
    try {
      id = await this.#client?.customCommand(words, options)
    } catch (error) {
      // Whoever may not ask for it does without.
      if (replyErrorOf(error)) return
      throw error
    }
    const known = this.#ids.get(channel)
    this.#ids.set(channel, id)
    if (known !== undefined && known !== id) this.#watcher.lost(new Error('the connection was cut'))
  }

  #failureOf(error: unknown): unknown {
    const said = replyErrorOf(error)
    if (said) return said
    if (!(error instanceof NotSent)) this.#watcher.lost(error)
    return error
  }
}

/** An answer of the server that says no. */
class ReplyError extends Error {
  override readonly name = 'ReplyError'
}

/** Names that the library gives to the first word of an answer. */
const CODES: ReadonlyMap<string, string> = new Map([
  ['ResponseError', 'ERR'],
  ['NoScriptError', 'NOSCRIPT'],
  ['BusyLoadingError', 'LOADING'],
  ['ExecAbortError', 'EXECABORT'],
  ['PermissionDenied', 'NOPERM'],
  ['ReadOnly', 'READONLY'],
  ['MasterDown', 'MASTERDOWN'],
  ['ClusterDown', 'CLUSTERDOWN'],
  ['TryAgain', 'TRYAGAIN'],
  ['CrossSlot', 'CROSSSLOT'],
  ['Moved', 'MOVED'],
  ['Ask', 'ASK'],
])

/** An answer whose first word the library renamed, or left as it was. */
const RENAMED = /^An error was signalled by the server: - ([A-Za-z]+): ?([^]*)$/
const LEFT = /^([A-Z]{2,}): ?([^]*)$/

/** What the server said, in its own words; `undefined` when it did not say anything. */
function serverText(message: string): string | undefined {
  const [, word, text] = RENAMED.exec(message) ?? LEFT.exec(message) ?? []
  if (word === undefined) return undefined
  return `${CODES.get(word) ?? word.toUpperCase()} ${text}`
}

function replyErrorOf(error: unknown): ReplyError | undefined {
  if (!(error instanceof Error)) return undefined
  // Only errors of these names stand for an answer.
  if (error.name !== 'RequestError' && error.name !== 'ExecAbortError') return undefined
  const text = serverText(error.message)
  return text === undefined ? undefined : new ReplyError(text)
}

/** Why there was no connection: what the server said stands in the middle of a longer text. */
function refusalOf(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  if (error.message.includes('No primary node found')) {
    return new ReplyError('READONLY no primary listens there')
  }
  const inner = /`[^`]*`: ([^]*?)\)?\s*$/.exec(error.message)?.[1]
  const text = inner === undefined ? undefined : serverText(inner)
  return text === undefined ? error : new ReplyError(text)
}

/** Fractions as text and records as flat lists, as the older protocol has them. */
function plain(value: unknown): unknown {
  if (typeof value === 'number') return Number.isInteger(value) ? value : String(value)
  if (!Array.isArray(value)) return value
  return value.flatMap((each: unknown) => {
    if (isPair(each)) return [plain(each.key), plain(each.value)]
    return [plain(each)]
  })
}

function isPair(value: unknown): value is { key: unknown; value: unknown } {
  return typeof value === 'object' && value !== null && 'key' in value && 'value' in value
}
