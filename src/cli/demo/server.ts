import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { CliError, EXIT } from '../exit.ts'
import { shownUrl } from '../secret.ts'
import type { KeeperTold } from './keeper.ts'
import { makeOwnFile } from './own-file.ts'
import { probe } from './probe.ts'
import { reach } from './reach.ts'

/** A server or a file that locks can stand on. */
export interface DemoServer {
  readonly url: string
  /** The name of its engine. */
  readonly engine: string
  /** For people: what it is, and where. */
  readonly description: string
  /** Where the demo's own file is; removed with it. */
  readonly folder?: string
  /** Stops or removes it if it was made here. */
  stop(): Promise<void>
}

export interface ServerSearch {
  readonly url: string | undefined
  /** Whether to find or start a server when there is no URL. */
  readonly redis: boolean
  readonly env: NodeJS.ProcessEnv
  /** The program that keeps a started server. */
  readonly keeperFile: string
  /** Where a running server is looked for when no URL is given. */
  readonly port: number
  readonly stop: AbortSignal
}

const PROGRAMS = ['redis-server', 'valkey-server']

const LOCAL = ['127.0.0.1', '::1']

/** Finds or makes what is asked for; throws the error that says what to do when that fails. */
export async function openServer(search: ServerSearch): Promise<DemoServer> {
  if (search.url !== undefined) return await given(search.url)
  if (!search.redis) return await makeOwnFile()
  const { running, isLocked } = await findRunning(search.port)
  if (running !== undefined) return running
  const binary = findProgram(search.env)
  if (binary === undefined) throw nothingFound(search.port, isLocked)
  return await startServer(binary, search)
}

async function given(url: string): Promise<DemoServer> {
  const engine = await reach(url)
  const what = engine === 'sqlite' ? 'the file of' : 'the server at'
  return { url, engine, description: `${what} ${shownUrl(url)}`, stop: async () => {} }
}

async function findRunning(
  port: number,
): Promise<{ running: DemoServer | undefined; isLocked: boolean }> {
  let isLocked = false
  for (const host of LOCAL) {
    const found = await probe(host, port)
    isLocked ||= found.kind === 'locked'
    if (found.kind !== 'redis') continue
    const url = `redis://${host.includes(':') ? `[${host}]` : host}:${port}`
    const engine = await reach(url)
    const description = `the ${found.description} at localhost:${port}`
    return { running: { url, engine, description, stop: async () => {} }, isLocked }
  }
  return { running: undefined, isLocked }
}

/** `HOLDFAST_REDIS_SERVER`, else the first server program on PATH. */
export function findProgram(env: NodeJS.ProcessEnv): string | undefined {
  const chosen = env['HOLDFAST_REDIS_SERVER']
  if (chosen) {
    if (isProgram(chosen)) return resolve(chosen)
    throw new CliError(
      EXIT.unavailable,
      `HOLDFAST_REDIS_SERVER names ${JSON.stringify(chosen)}, which is not a program.`,
    )
  }
  const ending = process.platform === 'win32' ? '.exe' : ''
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')
  return PROGRAMS.flatMap((program) =>
    folders.map((folder) => join(folder, program + ending)),
  ).find(isProgram)
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

function nothingFound(port: number, isLocked: boolean): CliError {
  const why = isLocked
    ? `the Redis at localhost:${port} wants a password`
    : `no Redis answers at localhost:${port}`
  return new CliError(
    EXIT.unavailable,
    `no server found: ${why}, and neither redis-server nor valkey-server is on PATH. ` +
      'Install one (apt install redis-server, brew install redis, ' +
      'docker run -p 6379:6379 -d redis), pass --url redis://[user:password@]host:port, ' +
      'or leave --redis out.',
  )
}

async function startServer(binary: string, search: ServerSearch): Promise<DemoServer> {
  const keeper = fork(search.keeperFile, [], {
    execArgv: [],
    // In a session of its own: a signal to the demo's whole group leaves it alive to clean up.
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  const stop = (): Promise<void> => endKeeper(keeper)
  try {
    const told = await firstWord(keeper, binary, search.stop)
    if (told.type === 'failed') {
      throw new CliError(EXIT.unavailable, `${binary} did not start: ${told.problem}`)
    }
    const url = `redis://127.0.0.1:${told.port}`
    const engine = await reach(url)
    const description = `a ${told.description} of its own on port ${told.port} (${binary})`
    return { url, engine, description, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function firstWord(
  keeper: ChildProcess,
  binary: string,
  stop: AbortSignal,
): Promise<KeeperTold> {
  keeper.send(binary, () => {})
  const gone = once(keeper, 'exit', { signal: stop }).then(
    (): KeeperTold => ({ type: 'failed', problem: 'its keeper ended' }),
  )
  const told = once(keeper, 'message', { signal: stop }).then(([word]) => word as KeeperTold)
  return await Promise.race([told, gone])
}

/** The keeper ends the server when it is left alone, and then itself. */
async function endKeeper(keeper: ChildProcess): Promise<void> {
  if (keeper.exitCode !== null || keeper.signalCode !== null) return
  const gone = once(keeper, 'exit')
  if (keeper.connected) keeper.disconnect()
  await gone
}
