import { write } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { jsonLine, visible } from '../text.ts'

const STDERR = 2
const writeTo = promisify(write)

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
 * writes would fail. It writes beside the event loop: where nobody reads the pipe, renewals go on.
 */
export class Voice {
  readonly #manner: Manner
  #told: Promise<void> = Promise.resolve()

  constructor(manner: Manner) {
    this.#manner = manner
  }

  /** Resolves when all that was said so far is written. */
  get told(): Promise<void> {
    return this.#told
  }

  /** Whether it tells objects. */
  get json(): boolean {
    return this.#manner.json
  }

  /** Tells a line for people, or the object of it. */
  say(type: string, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const { json, clean } = this.#manner
    const told = clean(message)
    const line = json ? jsonLine({ type, ...fields, message: told }) : `holdfast: ${visible(told)}`
    this.#told = this.#told.then(async () => await writeAll(`${line}\n`))
  }

  /** Tells what only `--verbose` wants to know. */
  whisper(type: string, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    if (this.#manner.verbose) this.say(type, message, fields)
  }
}

async function writeAll(text: string): Promise<void> {
  let left: Uint8Array = Buffer.from(text)
  while (left.length > 0) {
    try {
      const { bytesWritten } = await writeTo(STDERR, left)
      left = left.subarray(bytesWritten)
    } catch (error) {
      // Somebody else may have made the pipe non-blocking: a full one is tried again.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return
      await wait(20)
    }
  }
}
