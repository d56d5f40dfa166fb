/** The wire format of Redis, read in pieces as they arrive. */

/** A value as the server sent it; maps and sets of RESP3 come as flat lists. */
export type Reply = string | number | boolean | null | ReplyError | Reply[]

export interface Frame {
  value: Reply
  /** The exact bytes of this frame. */
  raw: Buffer
  /** True for what the server sent without being asked (RESP3 only). */
  push: boolean
}

/** An error as the server sent it. */
export class ReplyError extends Error {
  override name = 'ReplyError'
}

interface Parsed {
  value: Reply
  end: number
}

/** Cuts a stream of bytes into whole frames, keeping an unfinished one until the rest arrives. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0)

  push(chunk: Buffer): Frame[] {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk
    const frames: Frame[] = []
    let start = 0
    for (;;) {
      const parsed = parse(bytes, start)
      if (!parsed) break
      const raw = bytes.subarray(start, parsed.end)
      frames.push({ value: parsed.value, raw, push: raw[0] === PUSH })
      start = parsed.end
    }
    this.#rest = bytes.subarray(start)
    return frames
  }

  /** Gives up the unfinished bytes, for a connection that no longer carries frames. */
  takeRest(): Buffer {
    const rest = this.#rest
    this.#rest = Buffer.alloc(0)
    return rest
  }
}

/** Writes a command as an array of bulk strings. */
export function encode(args: readonly (string | number)[]): Buffer {
  const parts = args.map((arg) => {
    const text = String(arg)
    return `$${Buffer.byteLength(text)}\r\n${text}\r\n`
  })
  return Buffer.from(`*${args.length}\r\n${parts.join('')}`)
}

const PUSH = '>'.charCodeAt(0)

/** Gives undefined while the frame that begins at `start` is not complete. */
function parse(bytes: Buffer, start: number): Parsed | undefined {
  const lineEnd = bytes.indexOf('\r\n', start)
  if (lineEnd < 0) return undefined
  const kind = bytes.toString('latin1', start, start + 1)
  const line = bytes.toString('utf8', start + 1, lineEnd)
  const end = lineEnd + 2
  switch (kind) {
    case '$':
    case '=':
    case '!':
      return blob(bytes, kind, Number(line), end)
    case '*':
    case '~':
    case '>':
      return list(bytes, Number(line), end)
    case '%':
      return list(bytes, Number(line) * 2, end)
    case '|':
      return afterAttributes(bytes, Number(line), end)
    default:
      return { value: simple(kind, line), end }
  }
}

function simple(kind: string, line: string): Reply {
  switch (kind) {
    case '+':
    case '(':
      return line
    case '-':
      return new ReplyError(line)
    case ':':
    case ',':
      return Number(line)
    case '#':
      return line === 't'
    case '_':
      return null
    default:
      // An inline command: words without any framing.
      return (kind + line).split(' ')
  }
}

function blob(bytes: Buffer, kind: string, length: number, start: number): Parsed | undefined {
  if (length < 0) return { value: null, end: start }
  const end = start + length
  if (bytes.length < end + 2) return undefined
  const text = bytes.toString('utf8', start, end)
  // Verbatim text begins with its format, as in "txt:".
  const value = kind === '!' ? new ReplyError(text) : kind === '=' ? text.slice(4) : text
  return { value, end: end + 2 }
}

function list(bytes: Buffer, length: number, start: number): Parsed | undefined {
  if (length < 0) return { value: null, end: start }
  const value: Reply[] = []
  let end = start
  for (let i = 0; i < length; i += 1) {
    const item = parse(bytes, end)
    if (!item) return undefined
    value.push(item.value)
    end = item.end
  }
  return { value, end }
}

/** Attributes stand before the reply they describe, and are skipped. */
function afterAttributes(bytes: Buffer, pairs: number, start: number): Parsed | undefined {
  const attributes = list(bytes, pairs * 2, start)
  return attributes && parse(bytes, attributes.end)
}
