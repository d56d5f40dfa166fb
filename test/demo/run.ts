import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const path = (file: string): string => fileURLToPath(new URL(`../../${file}`, import.meta.url))

export const root: string = path('.')
export const main: string = path('dist/cli/main.js')
export const fromClone: string = path('scripts/demo.mjs')
export const playAt: string = fileURLToPath(new URL('play.mjs', import.meta.url))
export const workerFile: string = path('dist/cli/demo/worker.js')
export const keeperFile: string = path('dist/cli/demo/keeper.js')

/** Builds what is missing or stale. */
export async function build(): Promise<void> {
  await promisify(execFile)(process.execPath, [fromClone, '--help'])
}

export interface Result {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface Event {
  readonly type: string
  readonly atMs: number
  readonly process?: string
  readonly pid?: number
  readonly [field: string]: unknown
}

/** A program under way. Every process that comes from it carries its mark. */
export class Run {
  readonly child: ChildProcess
  readonly #mark = randomUUID()
  readonly #ended: Promise<unknown>
  out = ''
  err = ''

  constructor(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const inherited = { ...process.env }
    for (const name of ['HOLDFAST_URL', 'HOLDFAST_REDIS_SERVER', 'NO_COLOR']) delete inherited[name]
    this.child = spawn(program, args, {
      cwd: root,
      env: { ...inherited, HOLDFAST_TEST_MARK: this.#mark, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.child.stdout?.on('data', (text: Buffer) => {
      this.out += text.toString()
    })
    this.child.stderr?.on('data', (text: Buffer) => {
      this.err += text.toString()
    })
    this.#ended = once(this.child, 'close')
  }

  /** The lines of `--json` so far. */
  get events(): Event[] {
    return this.out
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Event)
  }

  async end(): Promise<Result> {
    await this.#ended
    return { code: this.child.exitCode, out: this.out, err: this.err }
  }

  /** Ids of the processes that this run started, directly or not, and that still live. */
  processes(): number[] {
    const mark = `HOLDFAST_TEST_MARK=${this.#mark}`
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => isMarked(pid, mark))
      .map(Number)
  }
}

function isMarked(pid: string, mark: string): boolean {
  try {
    return readFileSync(join('/proc', pid, 'environ'), 'utf8').includes(mark)
  } catch {
    // It ended while we looked.
    return false
  }
}

/** Runs the built `holdfast`. */
export function holdfast(args: readonly string[], env?: NodeJS.ProcessEnv): Run {
  return new Run(process.execPath, [main, ...args], env)
}

/** Runs the built demo where a running server is looked for at `port` only. */
export function demoAt(port: number, args: readonly string[], env?: NodeJS.ProcessEnv): Run {
  return new Run(process.execPath, [playAt, String(port), ...args], env)
}
