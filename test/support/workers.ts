import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { reaper } from './reaper.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const script = fileURLToPath(new URL('worker.mjs', import.meta.url))

/** One turn at a lock, in nanoseconds of the clock that all processes share. */
export interface Interval {
  from: number
  to: number
  fence: number
}

export interface WorkerOptions {
  url: string
  /** Options for `connect`. */
  options?: object
  /** How far this process's wall clock is off. */
  wallOffsetMs?: number
}

/** A process that takes locks as it is told. */
export interface Worker {
  readonly child: ChildProcess
  /** Sends a command of worker.mjs; rejects with what the worker was told. */
  call<T = null>(command: string, args?: object): Promise<T>
  /** Resolves once the worker said a line with this key. */
  said(key: string): Promise<void>
  /** Ends it without a chance to clean up. */
  kill(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** The error a worker was told, as it came over the pipe. */
export class WorkerError extends Error {
  readonly code: string | undefined

  constructor(told: { code?: string; message: string }) {
    super(told.message)
    this.code = told.code
  }
}

let compiled: Promise<string> | undefined

/** Compiles the sources once per test process, since Node 20 runs no TypeScript. */
export function compiledLibrary(): Promise<string> {
  compiled ??= compile()
  return compiled
}

async function compile(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-library-'))
  reaper.watchFolder(folder)
  const tsc = createRequire(import.meta.url).resolve('typescript/package.json')
  const args = [tsc.replace('package.json', 'bin/tsc'), '-p', 'tsconfig.build.json']
  args.push('--outDir', folder)
  // Type errors are for the type check to tell; it writes its output all the same.
  await new Promise<void>((resolve) => {
    execFile(process.execPath, args, { cwd: root }, () => resolve())
  })
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  return folder
}

/** Starts a worker and waits until it is connected. */
export async function startWorker(settings: WorkerOptions): Promise<Worker> {
  const { url, options = {}, wallOffsetMs = 0 } = settings
  const library = await compiledLibrary()
  const argument = JSON.stringify({ library, url, options, wallOffsetMs })
  const child = spawn(process.execPath, [script, argument], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const worker = new WorkerProcess(child)
  await worker.said('ready')
  return worker
}

interface Pending {
  resolve: (value: never) => void
  reject: (error: Error) => void
}

class WorkerProcess implements Worker {
  readonly child: ChildProcess
  readonly #pending = new Map<number, Pending>()
  readonly #said = new Set<string>()
  readonly #listeners = new Set<() => void>()
  #calls = 0
  #gone = false

  constructor(child: ChildProcess) {
    this.child = child
    if (child.pid !== undefined) reaper.watchProcess(child.pid)
    child.stdin?.on('error', () => {})
    child.once('exit', () => this.#ended())
    if (child.stdout)
      createInterface({ input: child.stdout }).on('line', (line) => this.#read(line))
  }

  call<T>(command: string, args: object = {}): Promise<T> {
    this.#calls += 1
    const id = this.#calls
    return new Promise<T>((resolve, reject) => {
      if (this.#gone) return reject(new Error('the worker has ended'))
      this.#pending.set(id, { resolve, reject })
      this.child.stdin?.write(`${JSON.stringify({ id, command, ...args })}\n`)
    })
  }

  async said(key: string): Promise<void> {
    while (!this.#said.has(key)) {
      if (this.#gone) throw new Error(`the worker ended before it said ${key}`)
      await new Promise<void>((resolve) => this.#listeners.add(resolve))
    }
  }

  async kill(): Promise<void> {
    if (this.#gone) return
    const exit = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await exit
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }

  #read(line: string): void {
    const { id, value, error, ...said } = JSON.parse(line)
    for (const key of Object.keys(said)) this.#said.add(key)
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    if (error !== undefined) pending?.reject(new WorkerError(error))
    else pending?.resolve(value as never)
    this.#wake()
  }

  #ended(): void {
    this.#gone = true
    if (this.child.pid !== undefined) reaper.forgetProcess(this.child.pid)
    for (const { reject } of this.#pending.values()) reject(new Error('the worker has ended'))
    this.#pending.clear()
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#listeners) wake()
    this.#listeners.clear()
  }
}
