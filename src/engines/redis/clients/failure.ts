import { type FailureKind, RedisFailure } from '../port.ts'

/** The library refused a command before a byte of it was written. */
export class NotSent extends Error {
  override readonly name = 'NotSent'
}

const KIND_OF_CODE: ReadonlyMap<string, FailureKind> = new Map([
  ['NOSCRIPT', 'noscript'],
  ['OOM', 'memory'],
  ['NOPERM', 'permission'],
  ['NOAUTH', 'permission'],
  ['WRONGPASS', 'permission'],
  ['DENIED', 'permission'],
  ['READONLY', 'unavailable'],
  ['LOADING', 'unavailable'],
  ['CLUSTERDOWN', 'unavailable'],
  ['TRYAGAIN', 'unavailable'],
  ['MASTERDOWN', 'unavailable'],
  ['BUSY', 'unavailable'],
  ['MOVED', 'unavailable'],
  ['ASK', 'unavailable'],
  ['NOREPLICAS', 'unavailable'],
  ['MISCONF', 'unavailable'],
  ['UNBLOCKED', 'unavailable'],
])

/** Said with the general code `ERR`, which says nothing. */
const KIND_OF_TEXT: readonly (readonly [RegExp, FailureKind])[] = [
  [/^ERR (invalid password|operation not permitted)/i, 'permission'],
  [
    /The user executing the script can't (run this command|access at least one|publish)/i,
    'permission',
  ],
  [/^ERR (user_script:\d+: ERR )?ACL failure in script/i, 'permission'],
  [/^ERR max number of clients reached/i, 'unavailable'],
]

/** Before Redis 7, what failed inside a script stands behind the place where it failed. */
const CODE_INSIDE_SCRIPT = /user_script:\s*\d+:\s*-?([A-Z]{2,})\b/

/** Names of the classes that stand for an answer of the server; bundlers may change them. */
const SERVER_ERRORS = new Set(['ReplyError', 'SimpleError', 'BlobError', 'ErrorReply'])

const NOT_SENT_ERRORS = new Set(['NotSent', 'ClientClosedError', 'ClientOfflineError'])

const NOT_SENT_TEXT = /^(Stream isn't writeable|The client is (closed|offline))/

/**
 * Puts what a client library rejected with into the words of the port. `sent` says whether the
 * command may have reached the library's socket.
 */
export function failureOf(error: unknown, sent: boolean): RedisFailure {
  if (error instanceof RedisFailure) return error
  const text = textOf(error)
  if (isServerError(error, text)) return serverFailure(text)
  if (error instanceof TypeError || error instanceof RangeError) {
    return new RedisFailure('other', false, text, error)
  }
  const mayHaveRun = sent && !isNotSent(error, text)
  return new RedisFailure('connection', mayHaveRun, text, error)
}

/** The failure of a command that was not answered in time. */
export function timeoutFailure(name: string, timeoutMs: number): RedisFailure {
  return new RedisFailure('timeout', true, `no answer to ${name} within ${timeoutMs} ms`)
}

/** The same failure for a command that never left this process. */
export function notSent(failure: RedisFailure): RedisFailure {
  return new RedisFailure(failure.kind, false, failure.message, failure.cause)
}

/** The same failure for a command that was under way when the connection was given up. */
export function underWay(failure: RedisFailure): RedisFailure {
  return new RedisFailure('connection', true, failure.message, failure.cause)
}

/** Takes credentials out of whatever URL stands in a text. */
export function withoutCredentials(text: string): string {
  return text.replace(/(:\/\/)[^\s]*@/g, '$1***@')
}

/**
 * The library's error is left out as a cause: it carries the arguments of the command, and those of
 * AUTH and HELLO are passwords.
 */
function serverFailure(text: string): RedisFailure {
  const kind = kindOf(text)
  const fromScript = /user_script|\bscript\b/i.test(text)
  // A refusal comes before anything ran; only a script can fail half-way, by what it calls.
  const mayHaveRun = fromScript && (kind === 'other' || kind === 'permission')
  const hint = text.startsWith('MOVED ')
    ? ' (the server is a node of a Cluster: hand in a Cluster client)'
    : ''
  return new RedisFailure(kind, mayHaveRun, text + hint)
}

function kindOf(text: string): FailureKind {
  const inner = CODE_INSIDE_SCRIPT.exec(text)?.[1]
  const outer = /^[A-Z]+/.exec(text)?.[0]
  for (const code of [outer, inner]) {
    const kind = code === undefined ? undefined : KIND_OF_CODE.get(code)
    if (kind !== undefined) return kind
  }
  return KIND_OF_TEXT.find(([pattern]) => pattern.test(text))?.[1] ?? 'other'
}

function isServerError(error: unknown, text: string): boolean {
  if (!(error instanceof Error)) return false
  if (SERVER_ERRORS.has(error.name) || SERVER_ERRORS.has(error.constructor.name)) return true
  // Errors of the operating system carry a code; the server's begin with a word in capitals.
  return !('code' in error) && /^(ERR|EXECABORT|(?!E)[A-Z]{2,}) /.test(text)
}

function isNotSent(error: unknown, text: string): boolean {
  return (
    error instanceof Error &&
    (NOT_SENT_ERRORS.has(error.name) ||
      NOT_SENT_ERRORS.has(error.constructor.name) ||
      NOT_SENT_TEXT.test(text))
  )
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return withoutCredentials(String(error))
  // Several addresses were tried: the message is empty and the code says it.
  const { code } = error as { code?: string }
  return withoutCredentials(error.message || (code ?? error.constructor.name))
}
