import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, cp, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { obtain } from '../../scripts/servers.mjs'
import { reaper } from './reaper.ts'
import { freePort } from './servers.ts'
import { until } from './until.ts'

const run = promisify(execFile)

/** A running PostgreSQL, empty, for one test file. */
export interface RunningPostgres extends AsyncDisposable {
  readonly url: string
}

/** Whether there is one to start. Says so where there is none, and throws in CI. */
export async function postgresIsHere(): Promise<boolean> {
  try {
    await obtain('postgresql')
    return true
  } catch (error) {
    if (process.env['CI']) throw error
    console.warn(`\nNOT TESTED ON postgresql: ${(error as Error).message}\n`)
    return false
  }
}

/** Starts a real server of its own and waits until it answers. */
export async function startPostgres(): Promise<RunningPostgres> {
  const { bin } = await obtain('postgresql')
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-postgres-'))
  reaper.watchFolder(folder)
  const user = await serverUser()
  // What is on PATH may be a link to one program alone.
  const programs = dirname(await realpath(user ? await readable(folder, bin) : bin))
  const data = join(folder, 'data')
  if (user) await chown(folder, user.uid, user.gid)
  await run(
    join(programs, 'initdb'),
    ['-D', data, '-U', 'holdfast', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
    { cwd: folder, ...user },
  )
  const port = await freePort()
  const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off']
  const args = ['-D', data, '-p', String(port), ...settings.flatMap((one) => ['-c', one])]
  const child = spawn(join(programs, 'postgres'), args, {
    cwd: folder,
    stdio: 'ignore',
    ...user,
  })
  if (child.pid !== undefined) reaper.watchProcess(child.pid)
  const url = `postgres://holdfast@127.0.0.1:${port}/postgres`
  await until(() => answers(url), { what: 'PostgreSQL to answer', timeoutMs: 30_000, everyMs: 50 })
  return {
    url,
    async [Symbol.asyncDispose]() {
      const exit = once(child, 'exit')
      child.kill('SIGQUIT')
      await exit
      if (child.pid !== undefined) reaper.forgetProcess(child.pid)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client(url)
  client.on('error', () => {})
  await client.connect()
  await client.end()
  return true
}

/** PostgreSQL refuses to run as root: whom it runs as then. */
async function serverUser(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const name = await run('id', ['-u', 'postgres']).then(
    () => 'postgres',
    () => 'nobody',
  )
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (flag) => Number((await run('id', [flag, name])).stdout)),
  )
  return { uid: uid ?? 0, gid: gid ?? 0 }
}

/** The programs where another user can read them, since the cache may lie in a home of root's. */
async function readable(folder: string, bin: string): Promise<string> {
  if (bin.startsWith('/usr/')) return bin
  const copy = join(folder, 'programs')
  await cp(dirname(dirname(bin)), copy, { recursive: true, verbatimSymlinks: true })
  return join(copy, 'bin', basename(bin))
}
