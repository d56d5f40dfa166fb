/** Names of the exceptions that the specification gives to requests. */
type ExceptionName = 'AbortError' | 'InvalidStateError' | 'NotSupportedError'

export function exception(name: ExceptionName, message: string, cause?: unknown): Error {
  return new DOMException(message, cause === undefined ? { name } : { name, cause })
}
