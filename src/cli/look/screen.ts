import type { WriteStream } from 'node:tty'

const ENTER = '\u001b[?1049h\u001b[?25l\u001b[H'
const LEAVE = '\u001b[?25h\u001b[?1049l'
const HOME = '\u001b[H'
const CLEAR_LINE = '\u001b[K'
const CLEAR_BELOW = '\u001b[J'

const CTRL_C = '\u0003'
const CTRL_Z = '\u001a'

/** The second page of a terminal, redrawn in place; what was there before comes back at the end. */
export class Screen {
  readonly #stdout: WriteStream
  readonly #leave = (): void => void this.#stdout.write(LEAVE)
  #quit: (() => void) | undefined
  readonly #keys = (keys: Buffer): void => {
    // In raw mode Ctrl-C is a key like others.
    if (keys.includes('q') || keys.includes(CTRL_C)) this.#quit?.()
    else if (keys.includes(CTRL_Z)) this.#suspend()
  }
  readonly #resume = (): void => {
    process.stdin.setRawMode(true)
    this.#stdout.write(ENTER)
  }

  constructor(stdout: WriteStream) {
    this.#stdout = stdout
    // However this process ends, its terminal gets its page and cursor back.
    process.on('exit', this.#leave)
    stdout.write(ENTER)
  }

  /** Calls `quit` when q is typed, where there is a keyboard. */
  onQuit(quit: () => void): void {
    this.#quit = quit
    if (!process.stdin.isTTY) return
    process.stdin.setRawMode(true)
    process.stdin.on('data', this.#keys)
  }

  /** Stops the job, as the terminal would, with the page of before in view. */
  #suspend(): void {
    this.#leave()
    process.stdin.setRawMode(false)
    process.once('SIGCONT', this.#resume)
    process.kill(0, 'SIGTSTP')
  }

  /** Draws what fits; the rest is counted. */
  draw(lines: readonly string[]): void {
    const rows = Math.max(3, this.#stdout.rows || 24)
    const hidden = lines.length - rows
    const shown = hidden > 0 ? lines.slice(0, rows - 1) : lines
    const more = hidden > 0 ? [`… ${hidden + 1} more lines`] : []
    const text = [...shown, ...more].map((line) => `${line}${CLEAR_LINE}`).join('\r\n')
    this.#stdout.write(`${HOME}${text}${CLEAR_BELOW}`)
  }

  close(): void {
    process.off('exit', this.#leave)
    this.#leave()
    if (!process.stdin.isTTY) return
    process.stdin.off('data', this.#keys)
    process.off('SIGCONT', this.#resume)
    process.stdin.setRawMode(false)
    process.stdin.pause()
  }
}
