import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { reaper } from './reaper.ts'
import { until } from './until.ts'

/** A process of Node, and what it printed. */
export class Program implements AsyncDisposable {
  readonly lines: string[] = []
  readonly child: ChildProcess
  readonly #script: string
  readonly #ended: Promise<unknown>

  constructor(script: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.#script = script
    this.child = spawn(process.execPath, [script, ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const { pid } = this.child
    if (pid !== undefined) reaper.watchProcess(pid)
    for (const stream of [this.child.stdout, this.child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => this.lines.push(line))
    }
    // Only then have all its lines arrived.
    this.#ended = once(this.child, 'close').then(() => {
      if (pid !== undefined) reaper.forgetProcess(pid)
    })
  }

  /** The first line that fits, as soon as there is one. */
  async said(pattern: RegExp, timeoutMs = 20_000): Promise<RegExpExecArray> {
    let ended = false
    void this.#ended.then(() => {
      ended = true
    })
    const what = `${this.#script} to say ${pattern}`
    await until(() => ended || this.all(pattern).length > 0, { what, timeoutMs })
    const [found] = this.all(pattern)
    if (found) return found
    throw new Error(`${what}: it ended after\n${this.lines.join('\n')}`)
  }

  /** All lines that fit, until now. */
  all(pattern: RegExp): RegExpExecArray[] {
    return this.lines.map((line) => pattern.exec(line)).filter((found) => found !== null)
  }

  /** Sends a signal, unless it ended before, and resolves to its exit code. */
  async end(signal?: NodeJS.Signals): Promise<number | null> {
    if (signal !== undefined) this.child.kill(signal)
    await this.#ended
    return this.child.exitCode
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL')
  }
}
