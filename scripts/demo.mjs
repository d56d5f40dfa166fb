/**
 * `npm run demo -- [options]` on a bare clone: builds what is missing or stale, obtains a server
 * for --redis when none is at hand, and plays `holdfast demo`.
 */
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { createConnection } from 'node:net'
import { constants } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const main = join(root, 'dist/cli/main.js')
const BUILD_WAIT_MS = 120_000

/** Builds dist/ unless it is newer than its sources; two that come at once build once. */
export async function ensureBuilt() {
  const lock = join(root, 'node_modules/.holdfast-build')
  const deadline = Date.now() + BUILD_WAIT_MS
  while (isStale()) {
    try {
      mkdirSync(lock)
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error
      // Another run builds; one that was killed while it did is not waited for.
      if (Date.now() - modifiedMs(lock) > BUILD_WAIT_MS || Date.now() > deadline) rmdir(lock)
      await new Promise((done) => setTimeout(done, 100))
      continue
    }
    try {
      if (isStale()) build()
    } finally {
      rmdir(lock)
    }
  }
}

function build() {
  for (const script of ['embed-lua.mjs', 'build.mjs']) {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(root, 'scripts', script)],
      { cwd: root, encoding: 'utf8' },
    )
    if (status === 0) continue
    // The compiler writes what it can; the next run must not take that for a build.
    rmSync(main, { force: true })
    throw new Error(`The build failed:\n${stdout}${stderr}`.trimEnd())
  }
}

function isStale() {
  const builtMs = modifiedMs(main)
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(ts|lua)$/.test(file) && !file.endsWith('.test.ts'))
    .map((file) => join('src', file))
  return [...sources, 'package.json', 'tsconfig.json', 'tsconfig.build.json'].some(
    (file) => modifiedMs(join(root, file)) > builtMs,
  )
}

/** @param {string} path */
function modifiedMs(path) {
  try {
    return statSync(path).mtimeMs
  } catch {
    return 0
  }
}

/** @param {string} folder */
function rmdir(folder) {
  rmSync(folder, { recursive: true, force: true })
}

/** @param {readonly string[]} args */
function needsServer(args) {
  if (!args.includes('--redis') || process.env['HOLDFAST_REDIS_SERVER']) return false
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(Boolean)
  return !folders.some((folder) =>
    ['redis-server', 'valkey-server'].some((name) => modifiedMs(join(folder, name)) > 0),
  )
}

/** @param {string} host */
function answers(host) {
  return new Promise((done) => {
    const socket = createConnection({ host, port: 6379 })
    /** @param {boolean} isRedis */
    const finish = (isRedis) => {
      socket.destroy()
      done(isRedis)
    }
    socket.setTimeout(1000, () => finish(false))
    socket.once('connect', () => socket.write('PING\r\n'))
    socket.once('data', (answer) => finish(answer.toString().startsWith('+PONG')))
    socket.once('error', () => finish(false))
    socket.once('close', () => finish(false))
  })
}

/** @param {readonly string[]} args */
async function obtainServer(args) {
  if (!needsServer(args)) return {}
  if ((await answers('127.0.0.1')) || (await answers('::1'))) return {}
  try {
    const { findAnyServer } = await import('./servers.mjs')
    const { name, version, bin } = await findAnyServer()
    if (!args.includes('--json')) console.log(`No Redis at hand: obtained ${name} (${version}).`)
    return { HOLDFAST_REDIS_SERVER: bin }
  } catch {
    // The demo says what to install.
    return {}
  }
}

/** @param {readonly string[]} args */
async function play(args) {
  await ensureBuilt()
  const env = { ...process.env, ...(await obtainServer(args)) }
  const child = spawn(process.execPath, [main, 'demo', ...args], { stdio: 'inherit', env })
  /** @type {readonly NodeJS.Signals[]} */
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, () => child.kill(signal))
  const [code, signal] = await new Promise((done, fail) => {
    child.once('error', fail)
    child.once('exit', (...ending) => done(ending))
  })
  process.exitCode = code ?? 128 + constants.signals[/** @type {NodeJS.Signals} */ (signal)]
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await play(process.argv.slice(2)).catch((error) => {
    console.error(error.message)
    process.exitCode = 1
  })
}
