import { EngineError, type Outcome } from '../../core/errors.ts'
import { type FailureKind, RedisFailure, type Reply } from './port.ts'

const engine = 'redis'

const ADVICE: Record<FailureKind, string> = {
  noscript: 'the server lost its script cache again and again',
  timeout: 'the server did not answer in time',
  connection: 'the connection failed; check that the server runs and can be reached',
  unavailable: 'the server cannot take writes now',
  memory: 'the server is out of memory; raise maxmemory or free some',
  permission: 'the user lacks a permission; check the ACL rules',
  other: 'the server refused the command',
}

/** Kinds that pass by themselves. */
const TRANSIENT: readonly FailureKind[] = ['noscript', 'timeout', 'connection', 'unavailable']

/** Node's words for a certificate that it does not accept. */
const CERTIFICATE = /certificate|ERR_TLS_CERT|UNABLE_TO_(GET|VERIFY)/i

function adviceFor(failure: RedisFailure): string {
  const { code = '' } = (failure.cause ?? {}) as { code?: string }
  if (failure.kind === 'connection' && CERTIFICATE.test(`${code} ${failure.message}`)) {
    return "the server's certificate was not accepted; check the CA (ca) and the name it is for"
  }
  return ADVICE[failure.kind]
}

/** What the core is told of a port's failure. */
export function engineError(operation: string, cause: unknown, lock?: string): EngineError {
  if (!(cause instanceof RedisFailure)) {
    const problem = cause instanceof Error ? cause.message : String(cause)
    return new EngineError({
      engine,
      operation,
      outcome: 'unknown',
      transient: false,
      problem,
      lock,
      cause,
    })
  }
  return new EngineError({
    engine,
    operation,
    outcome: cause.mayHaveRun ? 'unknown' : 'none',
    transient: TRANSIENT.includes(cause.kind),
    problem: `${adviceFor(cause)} (${cause.message})`,
    lock,
    cause,
  })
}

/** A failure that the server did not tell of, and that may be gone the next time. */
export function passing(
  operation: string,
  lock: string,
  outcome: Outcome,
  problem: string,
): EngineError {
  return new EngineError({ engine, operation, outcome, transient: true, problem, lock })
}

export function unreadable(operation: string, lock: string, reply: Reply): EngineError {
  const problem = `the answer ${JSON.stringify(reply)} is none of this version`
  const outcome = 'unknown'
  return new EngineError({ engine, operation, outcome, transient: false, problem, lock })
}
