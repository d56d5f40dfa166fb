import { closedError } from '../../core/errors.ts'
import { engineError } from './failure.ts'
import { namingPermission } from './permissions.ts'
import { RedisFailure, type RedisPort, type Reply } from './port.ts'
import type { Call } from './recipes.ts'
import type { ReplicaSettings, ReplicaWrites } from './replicas.ts'

/** The answer of a script, and which server ran it. */
export interface Answer {
  /** A number alone is the only entry. */
  readonly reply: readonly Reply[]
  readonly server: string
}

/** The answer of a script that may grant leases, and how many replicas have it. */
export interface Granting extends Answer {
  /** `undefined` where no replica is asked. */
  readonly replicas?: number
}

type Command = Parameters<RedisPort['command']>

/** Sends what the engine asks for, and puts failures into the words of the core. */
export class Requests {
  readonly #port: RedisPort
  readonly #replicas: ReplicaWrites | undefined
  readonly #commandTimeoutMs: number
  readonly #command: (...command: Command) => Promise<Reply>
  #closed = false

  constructor(port: RedisPort, commandTimeoutMs: number, replicas?: ReplicaWrites) {
    this.#port = port
    this.#replicas = replicas
    this.#commandTimeoutMs = commandTimeoutMs
    this.#command = (name, args, options) => port.command(name, args, options)
  }

  /** What replicas are asked for; `undefined` when they are not. */
  get replicas(): ReplicaSettings | undefined {
    return this.#replicas?.settings
  }

  /**
   * Runs a script; `lock` names what it is about, for messages. `patienceMs` is how long it may
   * take, where that is less than a command may.
   */
  run(operation: string, call: Call, lock?: string, patienceMs?: number): Promise<Answer> {
    return this.#evaluate(operation, call, lock, this.#command, patienceMs)
  }

  /** Runs a script that may grant or prolong leases, and asks the replicas where that is wanted. */
  grant(operation: string, call: Call, lock?: string, patienceMs?: number): Promise<Granting> {
    const writes = this.#replicas
    return writes === undefined
      ? this.run(operation, call, lock, patienceMs)
      : this.#confirmed(writes, operation, call, lock, patienceMs)
  }

  async #confirmed(
    writes: ReplicaWrites,
    operation: string,
    call: Call,
    lock: string | undefined,
    patienceMs: number | undefined,
  ): Promise<Granting> {
    let replicas = 0
    const through = async (...command: Command): Promise<Reply> => {
      const confirmed = await writes.send(...command, grantsAny)
      replicas = confirmed.replicas
      return confirmed.reply
    }
    const answer = await this.#evaluate(operation, call, lock, through, patienceMs)
    return { ...answer, replicas }
  }

  /** Runs a command and turns its failure into what the core understands. */
  async send<T>(
    operation: string,
    lock: string | undefined,
    command: (port: RedisPort, timeoutMs: number) => Promise<T>,
  ): Promise<T> {
    if (this.#closed) throw closedError()
    try {
      return await command(this.#port, this.#commandTimeoutMs)
    } catch (error) {
      throw engineError(operation, error, lock)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([this.#replicas?.close(), this.#port.close()])
  }

  /** Every take and release comes by here: what only a failure needs is made when it comes. */
  async #evaluate(
    operation: string,
    { script, keys, args }: Call,
    lock: string | undefined,
    command: (...command: Command) => Promise<Reply>,
    patienceMs = Number.POSITIVE_INFINITY,
  ): Promise<Answer> {
    if (this.#closed) throw closedError()
    let server = ''
    const options: Command[2] = {
      timeoutMs: Math.min(this.#commandTimeoutMs, patienceMs),
      key: keys[0] ?? '',
      answered: (name) => {
        server = name
      },
    }
    // Spread into a literal, the lists would be walked word by word.
    const words = (first: string): (string | number)[] => {
      const start: (string | number)[] = [first, keys.length]
      return start.concat(keys, args)
    }
    try {
      return { reply: listOf(await command('evalsha', words(script.sha1), options)), server }
    } catch (error) {
      try {
        if (!isUnknownScript(error)) throw error
        return { reply: listOf(await command('eval', words(script.source), options)), server }
      } catch (failure) {
        throw engineError(operation, namingPermission(failure, script, keys), lock)
      }
    }
  }
}

/** The server never saw the script, or forgot it: restarted, failed over, SCRIPT FLUSH. */
function isUnknownScript(error: unknown): boolean {
  return error instanceof RedisFailure && error.kind === 'noscript'
}

function listOf(reply: Reply): readonly Reply[] {
  return Array.isArray(reply) ? (reply as readonly Reply[]) : [reply]
}

/** Whether an answer of acquire.lua or renew.lua tells of a lease. */
function grantsAny(reply: Reply): boolean {
  if (!Array.isArray(reply)) return typeof reply === 'number'
  return reply[0] === 'held' || reply.some((each) => Array.isArray(each) && each[0] === 'held')
}
