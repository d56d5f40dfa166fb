import { closedError } from '../../core/errors.ts'
import { engineError } from './failure.ts'
import { namingPermission } from './permissions.ts'
import { RedisFailure, type RedisPort, type Reply } from './port.ts'
import type { Call } from './recipes.ts'
import type { Confirmed, ReplicaSettings, ReplicaWrites } from './replicas.ts'
import type { Script } from './script.ts'

/** The answer of a script, and which server ran it. */
export interface Answer {
  readonly reply: readonly Reply[]
  readonly server: string
}

/** The answer of a script that may grant leases, and how many replicas have it. */
export interface Granting extends Answer {
  /** `Infinity` where no replica is asked. */
  readonly replicas: number
}

type Command = Parameters<RedisPort['command']>

/** Sends what the engine asks for, and puts failures into the words of the core. */
export class Requests {
  readonly #port: RedisPort
  readonly #replicas: ReplicaWrites | undefined
  readonly #commandTimeoutMs: number
  #closed = false

  constructor(port: RedisPort, commandTimeoutMs: number, replicas?: ReplicaWrites) {
    this.#port = port
    this.#replicas = replicas
    this.#commandTimeoutMs = commandTimeoutMs
  }

  /** What replicas are asked for; `undefined` when they are not. */
  get replicas(): ReplicaSettings | undefined {
    return this.#replicas?.settings
  }

  /** Runs a script; `lock` names what it is about, for messages. */
  async run(operation: string, call: Call, lock?: string): Promise<Answer> {
    const through = (...command: Command) => this.#port.command(...command)
    const { answer, server } = await this.#evaluate(operation, call, lock, through)
    return { reply: answer as readonly Reply[], server }
  }

  /**
   * Runs a script that may grant or prolong leases, and asks the replicas where that is wanted.
   * `patienceMs` is how long it may take, where that is less than a command may.
   */
  async grant(
    operation: string,
    call: Call,
    lock?: string,
    patienceMs?: number,
  ): Promise<Granting> {
    const through = async (...command: Command): Promise<Confirmed> => {
      if (this.#replicas !== undefined) return await this.#replicas.send(...command, grantsAny)
      return { reply: await this.#port.command(...command), replicas: Number.POSITIVE_INFINITY }
    }
    const { answer, server } = await this.#evaluate(operation, call, lock, through, patienceMs)
    return { reply: answer.reply as readonly Reply[], replicas: answer.replicas, server }
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

  async #evaluate<T>(
    operation: string,
    { script, keys, args }: Call,
    lock: string | undefined,
    command: (...command: Command) => Promise<T>,
    patienceMs = Number.POSITIVE_INFINITY,
  ): Promise<{ answer: T; server: string }> {
    const [key = ''] = keys
    const rest = [keys.length, ...keys, ...args]
    return await this.send(operation, lock, async (_, commandTimeoutMs) => {
      let server = ''
      const answered = (name: string) => {
        server = name
      }
      const options = { timeoutMs: Math.min(commandTimeoutMs, patienceMs), key, answered }
      try {
        return { answer: await sendScript(script, rest, options, command), server }
      } catch (error) {
        throw namingPermission(error, script, keys)
      }
    })
  }
}

async function sendScript<T>(
  { sha1, source }: Script,
  rest: readonly (string | number)[],
  options: Command[2],
  command: (...command: Command) => Promise<T>,
): Promise<T> {
  try {
    return await command('evalsha', [sha1, ...rest], options)
  } catch (error) {
    // The server never saw the script, or forgot it: restarted, failed over, SCRIPT FLUSH.
    if (!(error instanceof RedisFailure) || error.kind !== 'noscript') throw error
    return await command('eval', [source, ...rest], options)
  }
}

/** Whether an answer of acquire.lua or renew.lua tells of a lease. */
function grantsAny(reply: Reply): boolean {
  if (!Array.isArray(reply)) return false
  return reply[0] === 'held' || reply.some((each) => Array.isArray(each) && each[0] === 'held')
}
