import { checkObject, checkWhole } from '../../core/options.ts'
import { RedisFailure, type RedisPort, type Reply, type Routing } from './port.ts'

/** How many replicas must have a grant before it is reported. */
export interface ReplicaOptions {
  /** Replicas that must confirm: 1 to 100. */
  readonly min: number
  /**
   * How long they may take: 1 to `commandTimeoutMs` - 1, 200 by default. It is also how long a
   * call may stand behind another one whose replicas do not answer.
   */
  readonly timeoutMs?: number
}

/** The same with every gap filled. */
export type ReplicaSettings = Required<ReplicaOptions>

const MOST_REPLICAS = 100
const DEFAULT_TIMEOUT_MS = 200

export function replicaSettings(
  options: ReplicaOptions,
  commandTimeoutMs: number,
): ReplicaSettings {
  checkObject('replicas', options)
  const { min, timeoutMs = Math.min(DEFAULT_TIMEOUT_MS, commandTimeoutMs - 1) } = options
  checkWhole('replicas.min', min, 1, MOST_REPLICAS)
  // A call that waits for its turn must still be sent before its own time is over.
  checkWhole('replicas.timeoutMs', timeoutMs, 1, commandTimeoutMs - 1)
  return { min, timeoutMs }
}

/** An answer, and how many replicas have what it tells of. */
export interface Confirmed {
  readonly reply: Reply
  /** `Infinity` where nobody asked. */
  readonly replicas: number
}

interface Call {
  readonly name: string
  readonly args: readonly (string | number)[]
  readonly options: Routing
  /** Whether this answer is one that replicas must have. */
  readonly matters: (reply: Reply) => boolean
  readonly resolve: (answer: Confirmed) => void
  readonly reject: (error: unknown) => void
}

/**
 * Sends writes together with the WAIT that asks the replicas for them. WAIT speaks of the writes of
 * its own connection and holds up whatever follows on it, so these calls have connections of their
 * own, and no call is sent into a WAIT: what comes meanwhile goes together, under one WAIT for all.
 */
export class ReplicaWrites {
  readonly settings: ReplicaSettings
  readonly #port: RedisPort
  readonly #lanes = new Map<string, Lane>()

  constructor(port: RedisPort, settings: ReplicaSettings) {
    this.#port = port
    this.settings = settings
  }

  /** Rejects with what the port rejects with, also when only the WAIT failed. */
  async send(
    name: string,
    args: readonly (string | number)[],
    options: Routing,
    matters: (reply: Reply) => boolean,
  ): Promise<Confirmed> {
    const server = await this.#serverFor(options)
    const lane = this.#lanes.get(server) ?? new Lane(this.#port, this.settings, server)
    this.#lanes.set(server, lane)
    // A write that a node of a Cluster passed on would be none of the connection that waits.
    return await lane.send({ name, args, matters, options: { ...options, server, pinned: true } })
  }

  /** See `RedisPort.onBreak`: its answers come over connections of its own. */
  onBreak(listener: (server: string) => void): void {
    this.#port.onBreak(listener)
  }

  async close(): Promise<void> {
    await this.#port.close()
  }

  async #serverFor({ key = '', timeoutMs }: Routing): Promise<string> {
    const known = this.#port.serverOf(key)
    if (known !== '' || this.#port.topology !== 'cluster') return known
    await this.#port.servers({ timeoutMs })
    const found = this.#port.serverOf(key)
    // Without its server the WAIT would go to any, and speak of nothing.
    if (found !== '') return found
    const problem = 'no node of the Cluster serves the slot of the key'
    throw new RedisFailure('unavailable', false, problem)
  }
}

/** The calls to one server. */
class Lane {
  readonly #port: RedisPort
  readonly #settings: ReplicaSettings
  readonly #server: string
  #queue: Call[] = []
  #busy = false

  constructor(port: RedisPort, settings: ReplicaSettings, server: string) {
    this.#port = port
    this.#settings = settings
    this.#server = server
  }

  send(call: Omit<Call, 'resolve' | 'reject'>): Promise<Confirmed> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ ...call, resolve, reject })
      if (this.#busy) return
      this.#busy = true
      // Calls of one turn of the event loop travel together.
      queueMicrotask(() => void this.#drain())
    })
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      const calls = this.#queue
      this.#queue = []
      await this.#together(calls)
    }
    this.#busy = false
  }

  async #together(calls: readonly Call[]): Promise<void> {
    const { min, timeoutMs } = this.#settings
    const longestMs = Math.max(...calls.map(({ options }) => options.timeoutMs))
    const answers = calls.map(({ name, args, options }) => this.#port.command(name, args, options))
    const waiting = { timeoutMs: timeoutMs + longestMs, server: this.#server, pinned: true }
    const count = this.#port.command('wait', [min, timeoutMs], waiting).then(Number)
    // Every call hears of a failure; without a call whose answer matters nobody would.
    count.catch(() => {})
    await Promise.all(calls.map((call, at) => settle(call, answers[at], count)))
    // The connection is free again only now.
    await count.catch(() => {})
  }
}

async function settle(
  { matters, resolve, reject }: Call,
  answer: Promise<Reply> | undefined,
  count: Promise<number>,
): Promise<void> {
  try {
    const reply = (await answer) ?? null
    const replicas = matters(reply) ? await count.catch(afterwards) : Number.POSITIVE_INFINITY
    resolve({ reply, replicas })
  } catch (error) {
    reject(error)
  }
}

/** The write itself was answered, whatever became of the WAIT behind it. */
function afterwards(error: unknown): never {
  if (!(error instanceof RedisFailure)) throw error
  throw new RedisFailure(error.kind, true, error.message, error.cause)
}
