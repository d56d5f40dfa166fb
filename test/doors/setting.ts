import { Redis } from 'ioredis'
import { type RunningServer, startServer } from '../support/servers.ts'

/** A server, a client of the user's on it, and names that no other test uses. */
export class Setting {
  readonly server: RunningServer
  readonly client: Redis
  static #count = 0

  private constructor(server: RunningServer) {
    this.server = server
    this.client = new Redis(server.port, '127.0.0.1')
  }

  static async start(): Promise<Setting> {
    return new Setting(await startServer())
  }

  /** A fresh name. */
  name(): string {
    return `name ${++Setting.#count}`
  }

  /** Another client, as another process has. */
  other(): Redis {
    const client = this.client.duplicate()
    this.#others.push(client)
    return client
  }

  readonly #others: Redis[] = []

  async stop(): Promise<void> {
    for (const client of [this.client, ...this.#others]) client.disconnect()
    await this.server.stop()
  }
}

/** Name and message of what a promise rejects with. */
export async function failure(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('expected a rejection')
}

/** Name and message of what a function throws; the class of plain errors counts as its name. */
export function thrown(call: () => unknown): [name: string, message: string] {
  try {
    call()
  } catch (error) {
    const { name, message } = error as Error
    return [name, message]
  }
  throw new Error('expected it to throw')
}
