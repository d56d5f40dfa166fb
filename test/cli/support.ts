import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { reaper } from '../support/reaper.ts'

const path = (file: string): string => fileURLToPath(new URL(`../../${file}`, import.meta.url))

export const root: string = path('.')
export const main: string = path('dist/cli/main.js')

export interface Result {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

/** A program under way, in a folder of its own. Every process that comes from it has its mark. */
export class Run {
  readonly child: ChildProcess
  readonly #mark = `HOLDFAST_TEST_MARK=${randomUUID()}`
  readonly #ended: Promise<unknown[]>
  readonly #out: Buffer[] = []
  err = ''

  constructor(
    program: string,
    args: readonly string[],
    { cwd, env }: { cwd: string; env: NodeJS.ProcessEnv },
  ) {
    const inherited = { ...process.env }
    for (const name of ['HOLDFAST_URL', 'HOLDFAST_WITHIN', 'NO_COLOR', 'CI', 'NODE_OPTIONS']) {
      delete inherited[name]
    }
    const [name = '', value] = this.#mark.split('=')
    this.child = spawn(program, args, { cwd, env: { ...inherited, [name]: value, ...env } })
    if (this.child.pid !== undefined) reaper.watchProcess(this.child.pid)
    this.child.stdin?.on('error', () => {})
    this.child.stdout?.on('data', (text: Buffer) => this.#out.push(text))
    this.child.stderr?.on('data', (text: Buffer) => {
      this.err += text.toString()
    })
    this.#ended = once(this.child, 'close')
  }

  get pid(): number {
    return Number(this.child.pid)
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#out)
  }

  get out(): string {
    return this.bytes.toString()
  }

  kill(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal)
  }

  type(keys: string): void {
    this.child.stdin?.write(keys)
  }

  async end(): Promise<Result> {
    await this.#ended
    const { exitCode: code, signalCode: signal } = this.child
    reaper.forgetProcess(this.pid)
    return { code, signal, out: this.out, err: this.err }
  }

  /** Ids of the processes that this run started, directly or not, and that still live. */
  processes(): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => read(`/proc/${pid}/environ`).includes(this.#mark))
      .filter((pid) => !/^State:\s+Z/m.test(read(`/proc/${pid}/status`)))
      .map(Number)
  }
}

/** A file's text; empty where there is none, or none any more. */
export function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** A folder of its own for the files and the embedded locks of one test. */
export class Desk {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'holdfast-cli-'))
  readonly #runs: Run[] = []
  /** Where the locks are; the embedded file of this desk without one. */
  url: string | undefined

  constructor() {
    reaper.watchFolder(this.folder)
  }

  /** Runs the built command line. */
  holdfast(args: readonly string[], env: NodeJS.ProcessEnv = {}): Run {
    return this.run(process.execPath, [main, ...args], env)
  }

  run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Run {
    const url = this.url === undefined ? {} : { HOLDFAST_URL: this.url }
    const own = { XDG_STATE_HOME: this.folder, HOME: this.folder, ...url }
    const run = new Run(program, args, { cwd: this.folder, env: { ...own, ...env } })
    this.#runs.push(run)
    return run
  }

  /** A shell line in a terminal of 80 columns; what is typed into it comes from `type`. */
  terminal(line: string, env: NodeJS.ProcessEnv = {}): Run {
    const command = `stty cols 80 rows 24; ${line}`
    const args = ['--quiet', '--return', '--command', command, '/dev/null']
    return this.run('script', args, { TERM: 'xterm-256color', SHELL: '/bin/bash', ...env })
  }

  file(name: string): string {
    return join(this.folder, name)
  }

  read(name: string): string {
    return read(this.file(name))
  }

  has(name: string): boolean {
    return existsSync(this.file(name))
  }

  /** Ends what still runs. */
  clear(): void {
    for (const run of this.#runs) {
      for (const pid of run.processes()) {
        try {
          process.kill(pid, 'SIGKILL')
        } catch {
          // It ended by itself.
        }
      }
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Whether a process lives and is not only waiting to be taken notice of. */
export function lives(pid: number): boolean {
  const state = /^State:\s+(\w)/m.exec(read(`/proc/${pid}/status`))?.[1]
  return state !== undefined && state !== 'Z' && state !== 'X'
}

/** Whether this machine has a program; says so loudly where it has not. */
export function has(program: string): boolean {
  const found = (process.env['PATH'] ?? '')
    .split(':')
    .some((folder) => folder !== '' && existsSync(join(folder, program)))
  if (!found) console.warn(`MISSING: ${program}. What needs it is not tested here.`)
  return found
}
