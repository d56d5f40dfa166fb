import { type Span, SpanStatusCode } from '@opentelemetry/api'
import { HoldfastError } from '../core/errors.ts'

/**
 * Marks a span as failed. The message and the stack of an error name the lock: they are recorded
 * only where the name may be told.
 */
export function recordFailure(span: Span, error: unknown, whole: boolean): void {
  if (!(error instanceof HoldfastError)) return
  const { code, name } = error
  span.recordException(whole ? error : { code, name, message: code })
  span.setStatus({ code: SpanStatusCode.ERROR, message: whole ? error.message : code })
}
