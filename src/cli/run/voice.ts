import { writeSync } from 'node:fs'

const STDERR = 2

export interface Manner {
  /** As JSON, one object per line. */
  readonly json: boolean
  readonly verbose: boolean
  /** Takes secrets out of a message. */
  readonly clean: (text: string) => string
}

/**
 * What `holdfast run` tells beside its command. It writes to the descriptor itself: `process.stderr`
 * would switch the pipe that it shares with the command to non-blocking, and the command's own
 * writes would fail.
 */
export class Voice {
  readonly #manner: Manner

  constructor(manner: Manner) {
    this.#manner = manner
  }

  /** Tells a line for people, or the object of it. */
  say(type: string, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const { json, clean } = this.#manner
    const told = clean(message)
    const line = json ? JSON.stringify({ type, ...fields, message: told }) : `holdfast: ${told}`
    writeAll(`${line}\n`)
  }

  /** Tells what only `--verbose` wants to know. */
  whisper(type: string, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    if (this.#manner.verbose) this.say(type, message, fields)
  }
}

function writeAll(text: string): void {
  let left: Uint8Array = Buffer.from(text)
  // Somebody else may have made the pipe non-blocking; a full one is tried again for a moment.
  for (let tries = 0; left.length > 0 && tries < 100; tries++) {
    try {
      left = left.subarray(writeSync(STDERR, left))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
}
