import type { Reply } from '../port.ts'

/** Brings what a client made of an answer, in either version of the protocol, into one form. */
export function replyOf(value: unknown): Reply {
  switch (typeof value) {
    case 'string':
    case 'number':
      return value
    case 'boolean':
      return value ? 1 : 0
    case 'bigint':
      return Number(value)
    case 'object':
      return replyOfObject(value)
    default:
      return null
  }
}

function replyOfObject(value: object | null): Reply {
  if (value === null) return null
  if (Array.isArray(value)) return replyOfArray(value)
  if (value instanceof Uint8Array) return Buffer.from(value).toString()
  if (value instanceof Error) return value.message
  if (value instanceof Set) return replyOfArray([...value])
  const pairs = value instanceof Map ? [...value] : Object.entries(value)
  return replyOfArray(pairs.flat(1))
}

function replyOfArray(values: readonly unknown[]): Reply {
  // The usual answer of a script is words and numbers: then the client's own array will do.
  const plain = values.every((value) => typeof value === 'string' || typeof value === 'number')
  return plain ? (values as readonly Reply[]) : values.map(replyOf)
}
