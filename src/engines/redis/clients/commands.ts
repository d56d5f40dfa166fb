import { type PortOptions, RedisFailure, type Reply } from '../port.ts'
import { Call, type CallOptions, Calls } from './calls.ts'
import type { Connection, Dial } from './connection.ts'
import { failureOf, notSent, timeoutFailure, underWay } from './failure.ts'
import { Reconnector } from './reconnector.ts'
import { replyOf } from './reply.ts'

/**
 * After a switch of roles an address may lead to the new primary, but only a new connection does.
 */
const READONLY_PATIENCE_MS = 1000

/**
 * The connection that commands go over. A command waits only for a connection that is being made
 * and has not yet failed; it is written at most once, and never after it was reported.
 */
export class Commands {
  readonly #connector: Reconnector
  readonly #calls: Calls
  readonly #onBreak: () => void
  /** Calls that wait for the connection, in the order they were made; some may be over. */
  #parked: Call[] = []
  #replies = 0
  #unanswered = 0
  #closed = false

  constructor(options: PortOptions, dial: Dial, onBreak: () => void) {
    this.#onBreak = onBreak
    this.#calls = new Calls(options.clock, (call) => this.#expired(call))
    this.#connector = new Reconnector(options, dial, {
      up: (connection) => this.#up(connection),
      lost: (failure) => this.#lost(failure),
      refused: (failure) => this.#fail(this.#takeParked(), failure),
      message: () => {},
    })
  }

  run(name: string, args: readonly (string | number)[], options: CallOptions): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const { live, failure } = this.#connector
      if (!live && (this.#closed || failure)) {
        reject(failure ? notSent(failure) : closedFailure())
        return
      }
      const call = new Call(name, args, options, resolve, reject)
      this.#calls.add(call)
      if (live) {
        this.#send(live, call)
      } else {
        this.#parked.push(call)
        this.#connector.start()
      }
    })
  }

  close(): void {
    this.#closed = true
    this.#connector.stop()
    this.#fail(this.#calls.takeAll(), closedFailure())
    this.#parked = []
    this.#calls.close()
  }

  #up(connection: Connection): void {
    this.#replies = 0
    this.#unanswered = 0
    const parked = this.#parked
    this.#parked = []
    for (const call of parked) if (call.lane) this.#send(connection, call)
  }

  #send(connection: Connection, call: Call): void {
    call.repliesBefore = this.#replies
    this.#unanswered += 1
    let answer: Promise<unknown>
    try {
      answer = connection.send(call.name, call.args, call.asking)
    } catch (error) {
      answer = Promise.reject(error)
    }
    answer.then(
      (reply) => {
        this.#answered(connection)
        if (this.#calls.take(call)) call.resolve(replyOf(reply))
      },
      (error: unknown) => this.#refused(connection, call, failureOf(error, true)),
    )
  }

  #answered(connection: Connection): void {
    if (connection !== this.#connector.live) return
    this.#replies += 1
    this.#unanswered -= 1
  }

  #refused(connection: Connection, call: Call, failure: RedisFailure): void {
    if (failure.kind !== 'connection') this.#answered(connection)
    if (this.#calls.take(call)) call.reject(failure)
    const isReplica = failure.kind === 'unavailable' && failure.message.startsWith('READONLY')
    if (isReplica && this.#unanswered === 0 && this.#connector.upMs > READONLY_PATIENCE_MS) {
      this.#connector.drop(connection, failure)
    }
  }

  #expired(call: Call): void {
    if (call.repliesBefore < 0) {
      const problem = `no connection within ${call.timeoutMs} ms`
      call.reject(new RedisFailure('connection', false, problem))
      return
    }
    const failure = timeoutFailure(call.name, call.timeoutMs)
    call.reject(failure)
    // Answers come in order. As long as some come the server is slow; when none does, the
    // connection may be dead without anybody having said so.
    const { live } = this.#connector
    if (live && this.#replies === call.repliesBefore) this.#connector.drop(live, failure)
  }

  #lost(failure: RedisFailure): void {
    this.#fail(this.#calls.takeAll(), failure)
    this.#onBreak()
  }

  #takeParked(): Call[] {
    const parked = this.#parked.filter((call) => this.#calls.take(call))
    this.#parked = []
    return parked
  }

  #fail(calls: readonly Call[], failure: RedisFailure): void {
    for (const call of calls) {
      call.reject(call.repliesBefore < 0 ? notSent(failure) : underWay(failure))
    }
  }
}

function closedFailure(): RedisFailure {
  return new RedisFailure('connection', false, 'the connection was closed by close()')
}
