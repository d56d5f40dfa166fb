import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import {
  findAnyServer,
  obtain,
  type ServerBinary,
  type ServerName,
} from '../../scripts/servers.mjs'
import { connect, type Reply } from './raw-redis.ts'
import { reaper } from './reaper.ts'
import { until } from './until.ts'

export type { ServerName } from '../../scripts/servers.mjs'

export interface StartOptions {
  /** Which server to start; `redis-7.0`, else whatever can be found. */
  server?: ServerName
  /** Further arguments, as in `['--maxmemory', '2mb']`; they win over the defaults. */
  args?: readonly string[]
  port?: number
  /** Where the server keeps its data; a temporary folder that goes with the server. */
  dir?: string
  /** Files to lay into that folder before the first start, by name. */
  files?: Readonly<Record<string, string>>
  /** Which of them is the server's configuration; a Sentinel needs one that it can rewrite. */
  config?: string
  /** Further environment variables. */
  environment?: Readonly<Record<string, string>>
}

export interface RunningServer {
  readonly url: string
  readonly host: string
  readonly port: number
  readonly pid: number
  readonly dir: string
  readonly name: string
  readonly version: string
  /** False between `kill` and `start`, and after `stop`. */
  readonly running: boolean
  /** Ends the server for good. May be called twice, and while paused. */
  stop(): Promise<void>
  /** Ends the process, `SIGKILL` unless told, and keeps port and data for a later `start`. */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** Starts a killed server again on the same port, with what it had on disk. */
  start(): Promise<void>
  /** Resolves when it serves again; with `whileLoading` already when it answers. */
  restart(options: { keepData: boolean; whileLoading?: boolean }): Promise<void>
  /** Freezes the process: it keeps its connections and answers nothing. */
  pause(): void
  resume(): void
  call(...args: (string | number)[]): Promise<Reply>
  /** Like `call`, as text: lists one item per line, nothing as an empty text. */
  cli(...args: (string | number)[]): Promise<string>
  [Symbol.asyncDispose](): Promise<void>
}

/** Starts a real server of its own, empty and without persistence, and waits until it answers. */
export async function startServer(options: StartOptions = {}): Promise<RunningServer> {
  const binary = await binaryFor(options.server)
  const temporary = options.dir === undefined
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'holdfast-server-')))
  if (temporary) reaper.watchFolder(dir)
  for (const [name, text] of Object.entries(options.files ?? {})) {
    await writeFile(join(dir, name), text)
  }

  for (let attempt = 1; ; attempt += 1) {
    const port = options.port ?? (await freePort())
    const { args = [], config, environment = {} } = options
    const server = new ServerProcess({ binary, port, dir, args, temporary, config, environment })
    try {
      await server.start()
      return server
    } catch (error) {
      // Between the look and the start, another process may have taken the port.
      const anotherPort = error instanceof PortTakenError && options.port === undefined
      if (anotherPort && attempt < 20) continue
      await server.stop()
      throw error
    }
  }
}

/** Starts a replica of a running server, of the same version, and waits until it is in step. */
export async function startReplica(
  primary: RunningServer,
  options: Omit<StartOptions, 'server'> = {},
): Promise<RunningServer> {
  const args = ['--replicaof', primary.host, String(primary.port), ...(options.args ?? [])]
  const replica = await startServer({ ...options, ...serverOption(primary.name), args })
  await until(async () => (await replica.cli('info', 'replication')).includes('link_status:up'), {
    what: `the replica on port ${replica.port} to be linked to port ${primary.port}`,
  })
  return replica
}

/**
 * Picks a port nobody listens on. It lies below the range from which the system takes ports of
 * outgoing connections, so that it is still free when a killed server comes back, and so does the
 * port 10000 above it, which a cluster node uses.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = 11_000 + Math.floor(Math.random() * 11_000)
    if (await isFree(port)) return port
  }
  throw new Error('no free port between 11000 and 22000')
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer()
  try {
    probe.listen(port, '127.0.0.1')
    await once(probe, 'listening')
    return true
  } catch {
    return false
  } finally {
    probe.close()
  }
}

/** What `startServer` starts when it is asked for this server, or for any. */
export async function binaryFor(server: ServerName | undefined): Promise<ServerBinary> {
  if (server !== undefined) return await obtain(server)
  return await obtain('redis-7.0').catch(() => findAnyServer())
}

function serverOption(name: string): { server?: ServerName } {
  return /^(redis|valkey)-\d/.test(name) ? { server: name as ServerName } : {}
}

export class PortTakenError extends Error {
  override name = 'PortTakenError'
}

interface Settings {
  binary: ServerBinary
  port: number
  dir: string
  args: readonly string[]
  /** The folder is ours to delete. */
  temporary: boolean
  config: string | undefined
  environment: Readonly<Record<string, string>>
}

class ServerProcess implements RunningServer {
  readonly host = '127.0.0.1'
  readonly port: number
  readonly dir: string
  readonly name: string
  readonly version: string
  readonly #settings: Settings
  #child: ChildProcess | undefined

  constructor(settings: Settings) {
    this.#settings = settings
    this.port = settings.port
    this.dir = settings.dir
    this.name = settings.binary.name
    this.version = settings.binary.version
  }

  get url(): string {
    return `redis://${this.host}:${this.port}`
  }

  get running(): boolean {
    return this.#child !== undefined && !ended(this.#child)
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error(`${this.name} is not running`)
    return this.#child.pid
  }

  async start({ whileLoading = false } = {}): Promise<void> {
    if (this.#child) throw new Error(`${this.name} on port ${this.port} is running already`)
    const log = openSync(this.#logFile, 'w')
    const child = spawn(this.#settings.binary.bin, this.#arguments(), {
      cwd: this.dir,
      stdio: ['ignore', log, log],
      env: { ...process.env, ...this.#settings.environment },
    })
    closeSync(log)
    if (child.pid !== undefined) reaper.watchProcess(child.pid)
    child.once('exit', () => {
      if (child.pid !== undefined) reaper.forgetProcess(child.pid)
    })
    // Neither a running server nor a forgotten one keeps the test process alive.
    child.unref()
    this.#child = child
    try {
      await this.#answering(child, whileLoading)
    } catch (error) {
      await this.kill()
      throw error
    }
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (!child) return
    if (!ended(child) && child.pid !== undefined) {
      child.ref()
      const exit = once(child, 'exit')
      child.kill(signal)
      // A frozen process takes no other signal. It is not woken to be killed, so that it cannot
      // serve what has arrived in the meantime.
      if (signal !== 'SIGKILL') child.kill('SIGCONT')
      await exit
    }
    this.#child = undefined
  }

  async stop(): Promise<void> {
    await this.kill()
    if (this.#settings.temporary) await rm(this.dir, { recursive: true, force: true })
  }

  async restart(options: { keepData: boolean; whileLoading?: boolean }): Promise<void> {
    const { keepData, whileLoading = false } = options
    if (keepData) await this.call('save')
    await this.kill()
    if (!keepData) {
      await rm(join(this.dir, 'dump.rdb'), { force: true })
      await rm(join(this.dir, 'appendonlydir'), { recursive: true, force: true })
    }
    await this.start({ whileLoading })
  }

  pause(): void {
    this.#child?.kill('SIGSTOP')
  }

  resume(): void {
    this.#child?.kill('SIGCONT')
  }

  async call(...args: (string | number)[]): Promise<Reply> {
    const connection = await connect(this.port)
    try {
      return await connection.call(...args)
    } finally {
      connection.close()
    }
  }

  async cli(...args: (string | number)[]): Promise<string> {
    return asText(await this.call(...args))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  get #logFile(): string {
    return join(this.dir, 'server.log')
  }

  #arguments(): string[] {
    const { config } = this.#settings
    const first = config === undefined ? [] : [join(this.dir, config)]
    const fixed = [...first, '--port', String(this.port), '--bind', this.host, '--dir', this.dir]
    // Replicas are in step at once instead of after the default five seconds.
    return [...fixed, '--save', '', '--repl-diskless-sync-delay', '0', ...this.#settings.args]
  }

  async #answering(child: ChildProcess, whileLoading: boolean): Promise<void> {
    const over = new AbortController()
    const gone = new Promise<void>((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', () => resolve())
    })
    const answered = this.#askUntilAnswered(child, whileLoading, over.signal)
    try {
      await Promise.race([answered, gone, wait(20_000, undefined, { signal: over.signal })])
    } finally {
      over.abort()
    }
    if (!(await answered)) throw await this.#startFailure()
  }

  /**
   * Asks for the process id as well, since another server may have taken the port before us, and
   * whether it still reads its data: until then it refuses everything but the question.
   */
  async #askUntilAnswered(
    child: ChildProcess,
    whileLoading: boolean,
    over: AbortSignal,
  ): Promise<boolean> {
    while (!over.aborted) {
      const info = await askServerInfo(this.port, over).catch(() => '')
      const ours = info.includes(`process_id:${child.pid}\r\n`)
      if (ours && (whileLoading || !info.includes('\r\nloading:1'))) return true
      await wait(5)
    }
    return false
  }

  async #startFailure(): Promise<Error> {
    const log = await readFile(this.#logFile, 'utf8')
    const last = log.trim().split('\n').slice(-5).join('\n')
    const message = `${this.name} ${this.version} did not start on port ${this.port}:\n${last}`
    return /address already in use/i.test(log) ? new PortTakenError(message) : new Error(message)
  }
}

/** Gives up at once when told to, since whoever listens there may never answer. */
async function askServerInfo(port: number, over: AbortSignal): Promise<string> {
  const connection = await connect(port)
  const giveUp = (): void => connection.close()
  over.addEventListener('abort', giveUp)
  try {
    return asText(await connection.call('info'))
  } finally {
    over.removeEventListener('abort', giveUp)
    connection.close()
  }
}

function ended(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

function asText(reply: Reply): string {
  if (reply === null) return ''
  return Array.isArray(reply) ? reply.map(asText).join('\n') : String(reply)
}
