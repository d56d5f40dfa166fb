import type { PortOptions, RedisFailure, Reply } from '../port.ts'
import type { CallOptions } from './calls.ts'
import { Commands } from './commands.ts'
import type { Dial, Purpose } from './connection.ts'
import { Subscriptions } from './subscriptions.ts'

/** What a node tells the port that it belongs to. */
export interface NodeCourse {
  broke(name: string): void
  /** The node does not serve a channel, or not any more. */
  refused(name: string, failure: RedisFailure): void
}

/** The connections to one node of a Cluster, made when they are first needed. */
export class ClusterNode {
  readonly subscriptions: Subscriptions
  readonly #commands: Commands
  #underWay = 0

  constructor(
    name: string,
    dial: (purpose: Purpose) => Dial,
    options: PortOptions,
    course: NodeCourse,
  ) {
    this.#commands = new Commands(options, dial('commands'), () => course.broke(name))
    this.subscriptions = new Subscriptions(options, dial('shard'), name, {
      refused: (failure) => course.refused(name, failure),
      lost: () => course.broke(name),
    })
  }

  /** Nobody waits for an answer. */
  get idle(): boolean {
    return this.#underWay === 0
  }

  async run(
    name: string,
    args: readonly (string | number)[],
    options: CallOptions,
  ): Promise<Reply> {
    this.#underWay += 1
    try {
      return await this.#commands.run(name, args, options)
    } finally {
      this.#underWay -= 1
    }
  }

  close(): void {
    this.#commands.close()
    this.subscriptions.close()
  }
}
