import { describe, expect, it } from 'vitest'
import { RedisFailure } from '../port.ts'
import { failureOf, NotSent, notSent, timeoutFailure, underWay } from './failure.ts'

class ReplyError extends Error {
  override readonly name = 'ReplyError'
  readonly command = { name: 'auth', args: ['tops3cret'] }
}
class SimpleError extends Error {}
class SocketClosedUnexpectedlyError extends Error {
  constructor() {
    super('Socket closed unexpectedly')
  }
}
class ClientOfflineError extends Error {
  constructor() {
    super('The client is offline')
  }
}

describe('what a server said', () => {
  it.each([
    ['NOSCRIPT No matching script. Please use EVAL.', 'noscript', false],
    ["READONLY You can't write against a read only replica.", 'unavailable', false],
    ['LOADING Redis is loading the dataset in memory', 'unavailable', false],
    ['CLUSTERDOWN The cluster is down', 'unavailable', false],
    ['TRYAGAIN Multiple keys request during rehashing of slot', 'unavailable', false],
    ['MASTERDOWN Link with MASTER is down', 'unavailable', false],
    ['BUSY Redis is busy running a script. You can only call SCRIPT KILL', 'unavailable', false],
    ['MOVED 3999 127.0.0.1:6381', 'unavailable', false],
    ['ASK 3999 127.0.0.1:6381', 'unavailable', false],
    ['NOREPLICAS Not enough good replicas to write.', 'unavailable', false],
    ['MISCONF Redis is configured to save RDB snapshots', 'unavailable', false],
    ['ERR max number of clients reached', 'unavailable', false],
    ["OOM command not allowed when used memory > 'maxmemory'.", 'memory', false],
    ['OOM command not allowed. script: c0ffee, on @user_script:1.', 'memory', false],
    ["NOPERM User w has no permissions to run the 'get' command", 'permission', false],
    ['NOAUTH Authentication required.', 'permission', false],
    ['WRONGPASS invalid username-password pair or user is disabled.', 'permission', false],
    ['DENIED Redis is running in protected mode', 'permission', false],
    ['ERR invalid password', 'permission', false],
    ['BUSYGROUP Consumer Group name already exists', 'other', false],
    ['WRONGTYPE Operation against a key holding the wrong kind of value', 'other', false],
    ['WRONGTYPE Operation against a key script: c0ffee, on @user_script:1.', 'other', true],
    ["CROSSSLOT Keys in request don't hash to the same slot", 'other', false],
    ["ERR unknown command 'x', with args beginning with: ", 'other', false],
    [
      "ERR The user executing the script can't run this command or subcommand script: f, on @user_script:1.",
      'permission',
      true,
    ],
    [
      'ERR Error running script (call to f_c0ffee): @user_script:1: -READONLY You',
      'unavailable',
      false,
    ],
    [
      'ERR Error running script (call to f_c0ffee): @user_script:1: @user_script: 1: -OOM command',
      'memory',
      false,
    ],
  ] as const)('%s', (message, kind, mayHaveRun) => {
    for (const error of [new ReplyError(message), new SimpleError(message), new Error(message)]) {
      const failure = failureOf(error, true)
      expect(failure).toMatchObject({ kind, mayHaveRun })
      expect(failure.message.startsWith(message)).toBe(true)
      expect(failure.cause).toBeUndefined()
    }
  })

  it('a client for one server on a node of a Cluster is told so', () => {
    const { message } = failureOf(new ReplyError('MOVED 1 h:1'), true)
    expect(message).toMatch(/hand in a Cluster client/)
  })
})

describe('what a client library said', () => {
  it.each([
    [new SocketClosedUnexpectedlyError(), true],
    [new Error('Connection is closed.'), true],
    [Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }), true],
    [new Error('ECONNRESET'), true],
    [new ClientOfflineError(), false],
    [new Error("Stream isn't writeable and enableOfflineQueue options is false"), false],
    [new NotSent('the connection is connecting'), false],
    ['a text', true],
  ])('%s', (error, mayHaveRun) => {
    expect(failureOf(error, true)).toMatchObject({ kind: 'connection', mayHaveRun, cause: error })
    expect(failureOf(error, false)).toMatchObject({ kind: 'connection', mayHaveRun: false })
  })

  it('a wrong argument is no matter of the connection', () => {
    const failure = failureOf(
      new TypeError('"arguments[1]" must be of type "string | Buffer"'),
      true,
    )
    expect(failure).toMatchObject({ kind: 'other', mayHaveRun: false })
  })

  it('an error without a message is named by its code', () => {
    const error = Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' })
    expect(failureOf(error, true).message).toBe('ECONNREFUSED')
    expect(failureOf(new SimpleError(), true).message).toBe('SimpleError')
  })

  it('shows no credentials of a URL', () => {
    const error = new Error('cannot reach redis://worker:tops@3cret@db:6379/0 or so')
    expect(failureOf(error, true).message).toBe('cannot reach redis://***@db:6379/0 or so')
  })
})

describe('one failure in other circumstances', () => {
  const failure = new RedisFailure('permission', true, 'NOAUTH', new Error('cause'))

  it('stays what it is', () => {
    expect(failureOf(failure, false)).toBe(failure)
  })

  it('did not run when the command was not sent', () => {
    const { cause, message } = failure
    expect(notSent(failure)).toMatchObject({
      kind: 'permission',
      mayHaveRun: false,
      cause,
      message,
    })
  })

  it('may have run when the command was under way', () => {
    expect(underWay(failure)).toMatchObject({ kind: 'connection', mayHaveRun: true })
    expect(timeoutFailure('get', 5)).toMatchObject({ kind: 'timeout', mayHaveRun: true })
  })
})
