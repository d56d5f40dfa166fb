/**
 * A process of its own that starts a server for the demo and ends it when the demo is gone, in
 * whatever way, SIGKILL included.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { livesIn, probe } from './probe.ts'

/** What the keeper tells. */
export type KeeperTold =
  | { readonly type: 'running'; readonly port: number; readonly description: string }
  | { readonly type: 'failed'; readonly problem: string }

const HOST = '127.0.0.1'
const ATTEMPTS = 5
const START_MS = 10_000
const END_MS = 2000

const folder = mkdtempSync(join(tmpdir(), 'holdfast-demo-'))
let server: ChildProcess | undefined
let isEnding = false

async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const finder = createServer()
    finder.once('error', reject)
    finder.listen(0, HOST, () => {
      const address = finder.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      finder.close(() => resolve(port))
    })
  })
}

/** Starts the server on a free port; gives what went wrong when it does not answer. */
async function start(binary: string): Promise<KeeperTold> {
  const port = await freePort()
  if (isEnding) return { type: 'failed', problem: 'nobody wants it any more' }
  const settings = ['--port', port, '--bind', HOST, '--dir', folder, '--save', '']
  const child = spawn(binary, [...settings.map(String), '--appendonly', 'no'], {
    cwd: folder,
    // In a session of its own, so that Ctrl-C in the terminal does not end it before the demo does.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  server = child
  let problem = ''
  let isGone = false
  const note = (text: Buffer | string): void => {
    problem = `${problem}${text.toString()}`.slice(-2000)
  }
  child.stdout.on('data', note)
  child.stderr.on('data', note)
  child.once('error', (error) => {
    isGone = true
    note(error.message)
  })
  child.once('exit', () => {
    isGone = true
  })
  const deadline = Date.now() + START_MS
  while (!isGone && !isEnding && Date.now() < deadline) {
    const found = await probe(HOST, port)
    // Another server may have taken the port meanwhile.
    if (found.kind === 'redis' && (await livesIn(HOST, port, basename(folder)))) {
      return { type: 'running', port, description: found.description }
    }
    await sleep(20)
  }
  await endServer()
  return { type: 'failed', problem: lastLine(problem) || 'it does not answer' }
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)?.trim() ?? ''
}

/** The whole group, since a launcher may have put the server behind a process of its own. */
function signalServer(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal)
  } catch {
    child.kill(signal)
  }
}

async function endServer(): Promise<void> {
  const child = server
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  if (child.pid === undefined) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  signalServer(child, 'SIGTERM')
  const late = setTimeout(() => signalServer(child, 'SIGKILL'), END_MS)
  await gone
  clearTimeout(late)
}

async function end(): Promise<void> {
  if (isEnding) return
  isEnding = true
  await endServer()
  rmSync(folder, { recursive: true, force: true })
  process.exit(0)
}

async function keep(binary: string): Promise<void> {
  let told = await start(binary)
  for (let attempt = 1; told.type === 'failed' && attempt < ATTEMPTS && !isEnding; attempt++) {
    // Only a port that was taken meanwhile gets better by itself.
    if (!/in use|bind/i.test(told.problem)) break
    told = await start(binary)
  }
  if (process.connected) process.send?.(told)
}

process.on('message', (binary: string) => {
  void keep(binary)
})
process.on('disconnect', () => {
  void end()
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
