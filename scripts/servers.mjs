#!/usr/bin/env node
/**
 * Obtains real Redis and Valkey servers without containers and without installing anything:
 * Debian packages are fetched from the mirror this machine already trusts, checked, and unpacked
 * into a cache folder. A server found in the cache is used with no network at all.
 *
 *   node scripts/servers.mjs                  obtain everything, one line each
 *   node scripts/servers.mjs path redis-7.0   print the path of one launcher
 *   node scripts/servers.mjs any              print the path of whichever server is nearest
 */
import { execFile } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { debianArchive, privateApt } from './servers-debian.mjs'
import { launcher, tidy } from './servers-launch.mjs'

const run = promisify(execFile)

/**
 * What each name stands for. `suites` are tried in order; the first that has an accepted version
 * wins, because the later suites move and a version may vanish from one of them.
 * @type {Record<import('./servers.mjs').ObtainableName, import('./servers-debian.mjs').Wanted>}
 */
const CATALOGUE = {
  'redis-7.0': { program: 'redis-server', suites: ['bookworm'], accepts: (major) => major === 7 },
  'redis-8.0': { program: 'redis-server', suites: ['trixie'], accepts: (major) => major === 8 },
  'valkey-8': { program: 'valkey-server', suites: ['trixie'], accepts: (major) => major === 8 },
  'valkey-9': {
    program: 'valkey-server',
    suites: ['sid', 'forky'],
    accepts: (major) => major >= 9,
  },
  'python3-redis': { program: 'python3', suites: ['trixie'], accepts: (major) => major >= 4 },
  // Large, and any version will do: one that is installed is taken first.
  postgresql: {
    program: 'postgres',
    suites: ['bookworm'],
    accepts: (major) => major >= 13,
    installedFirst: true,
  },
}

/** @type {readonly import('./servers.mjs').ServerName[]} */
export const serverNames = ['redis-7.0', 'redis-8.0', 'valkey-8', 'valkey-9']

/** @type {Map<string, Promise<import('./servers.mjs').ServerBinary>>} */
const obtained = new Map()

/** @returns {string} */
export function cacheFolder() {
  const chosen = process.env['HOLDFAST_SERVERS_DIR']
  if (chosen) return resolve(chosen)
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'holdfast-servers')
}

/**
 * Gives a runnable server: from the cache, else from Debian packages, else from this machine.
 * @param {import('./servers.mjs').ObtainableName} name
 * @returns {Promise<import('./servers.mjs').ServerBinary>}
 */
export function obtain(name) {
  const wanted = CATALOGUE[name]
  if (!wanted) {
    const known = Object.keys(CATALOGUE).join(', ')
    return Promise.reject(new TypeError(`unknown server ${name}: known are ${known}`))
  }
  let result = obtained.get(name)
  if (!result) {
    result = find(name, wanted)
    obtained.set(name, result)
    result.catch(() => obtained.delete(name))
  }
  return result
}

/**
 * Lists the servers that can be started now, without any network.
 * @returns {Promise<import('./servers.mjs').ServerBinary[]>}
 */
export async function available() {
  const found = await Promise.all(
    serverNames.map(
      async (name) => (await cached(name)) ?? (await installed(name, CATALOGUE[name])),
    ),
  )
  return found.filter((one) => one !== undefined)
}

/**
 * Gives any server at all, the nearest first: `HOLDFAST_REDIS_SERVER`, `PATH`, the cache, and only
 * then Debian packages.
 * @returns {Promise<import('./servers.mjs').ServerBinary>}
 */
export async function findAnyServer() {
  for (const bin of installedPrograms(['redis-server', 'valkey-server'])) {
    const version = await versionOf(bin)
    if (version) return { name: serverTitle(bin), version, bin }
  }
  for (const name of serverNames) {
    const known = await cached(name)
    if (known) return known
  }
  return await obtain('redis-7.0')
}

/**
 * @param {import('./servers.mjs').ObtainableName} name
 * @param {import('./servers-debian.mjs').Wanted} wanted
 */
async function find(name, wanted) {
  const known = (wanted.installedFirst && (await installed(name, wanted))) || (await cached(name))
  if (known) return known
  const failures = []
  for (const suite of wanted.suites) {
    try {
      return await unpack(name, wanted, suite)
    } catch (error) {
      failures.push(`${suite}: ${firstLine(error)}`)
    }
  }
  const local = await installed(name, wanted)
  if (local) return local
  throw new Error(`${name} is not to be had here (${failures.join('; ')}): ${advice(name)}`)
}

/** @param {import('./servers.mjs').ObtainableName} name */
function advice(name) {
  if (name === 'python3-redis') return 'install python3 and its redis library'
  if (name === 'postgresql') return 'install postgresql 13 or newer'
  const [product, version] = name.split('-')
  return (
    `install ${product}-server ${version} so that it is on PATH, ` +
    `or set HOLDFAST_REDIS_SERVER=/path/to/${product}-server`
  )
}

/**
 * @param {import('./servers.mjs').ObtainableName} name
 * @returns {Promise<import('./servers.mjs').ServerBinary | undefined>}
 */
async function cached(name) {
  const folder = join(cacheFolder(), name)
  try {
    const { version } = JSON.parse(await readFile(join(folder, 'server.json'), 'utf8'))
    return { name, version, bin: join(folder, 'bin', CATALOGUE[name].program) }
  } catch {
    return undefined
  }
}

/**
 * @param {import('./servers.mjs').ObtainableName} name
 * @param {import('./servers-debian.mjs').Wanted} wanted
 * @returns {Promise<import('./servers.mjs').ServerBinary | undefined>}
 */
async function installed(name, wanted) {
  for (const bin of installedPrograms([wanted.program])) {
    const version = await versionOf(bin)
    if (version && wanted.accepts(Number.parseInt(version, 10))) return { name, version, bin }
  }
  return undefined
}

/** @param {string[]} programs */
function installedPrograms(programs) {
  const isRedis = programs.some((program) => program.endsWith('-server'))
  const chosen = isRedis ? process.env['HOLDFAST_REDIS_SERVER'] : undefined
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(Boolean)
  if (programs.includes('postgres')) folders.push(...postgresFolders())
  const onPath = programs.flatMap((program) => folders.map((folder) => join(folder, program)))
  return [...(chosen ? [resolve(chosen)] : []), ...onPath].filter((bin) => existsSync(bin))
}

/** Debian keeps each version of PostgreSQL apart, and none of them on PATH. */
function postgresFolders() {
  const versions = '/usr/lib/postgresql'
  if (!existsSync(versions)) return []
  return readdirSync(versions)
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(versions, version, 'bin'))
}

/** @param {string} bin */
async function versionOf(bin) {
  const python = bin.endsWith('python3')
  const args = python ? ['-c', 'import redis; print("v=" + redis.__version__)'] : ['--version']
  try {
    const { stdout } = await run(bin, args, { timeout: 10_000 })
    return /(?:\bv=|PostgreSQL\) )(\d+\.\d+(?:\.\d+)?)/.exec(stdout)?.[1]
  } catch {
    return undefined
  }
}

/** @param {string} bin */
function serverTitle(bin) {
  return bin.includes('valkey') ? 'valkey (installed)' : 'redis (installed)'
}

/**
 * Unpacks into a scratch folder and moves the finished folder into place in one step, so that
 * concurrent runs never see half a server; the run that comes second uses what the first made.
 * @param {import('./servers.mjs').ObtainableName} name
 * @param {import('./servers-debian.mjs').Wanted} wanted
 * @param {string} suite
 */
async function unpack(name, wanted, suite) {
  const apt = await aptFor(suite)
  const packages = await apt.closure(rootPackages(name, wanted), name === 'python3-redis')
  const main = packages[0]
  const major = Number.parseInt((main?.version ?? '').replace(/^\d+:/, ''), 10)
  if (!main || !wanted.accepts(major)) throw new Error(`has only ${main?.version ?? 'nothing'}`)

  const build = join(await scratch(), `${name}-${randomUUID()}`)
  const debs = join(build, 'debs')
  await mkdir(debs, { recursive: true })
  await apt.download(packages, debs)
  await verify(packages, debs)
  for (const deb of await readdir(debs))
    await run('dpkg', ['-x', join(debs, deb), join(build, 'root')])
  await rm(debs, { recursive: true })
  await tidy(build)
  const bin = await launcher(build, wanted.program)

  const version = await versionOf(bin)
  if (!version) throw new Error(`${wanted.program} ${main.version} was unpacked but does not start`)
  await writeFile(
    join(build, 'server.json'),
    `${JSON.stringify({ name, version, package: main.version, suite })}\n`,
  )
  try {
    await rename(build, join(cacheFolder(), name))
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error)
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error
  }
  const result = await cached(name)
  if (!result) throw new Error(`${join(cacheFolder(), name)} is damaged: delete it and try again`)
  return result
}

/**
 * @param {string} name
 * @param {import('./servers-debian.mjs').Wanted} wanted
 */
function rootPackages(name, wanted) {
  if (name === 'python3-redis') return ['python3-redis']
  if (name === 'postgresql') return ['postgresql-15']
  return [wanted.program, wanted.program.replace('-server', '-tools')]
}

/**
 * @param {import('./servers-debian.mjs').Package[]} packages
 * @param {string} folder
 */
async function verify(packages, folder) {
  const sums = new Set(
    await Promise.all(
      (await readdir(folder)).map(async (deb) =>
        createHash('sha256')
          .update(await readFile(join(folder, deb)))
          .digest('hex'),
      ),
    ),
  )
  for (const { name, version, sha256 } of packages) {
    if (!sums.delete(sha256)) throw new Error(`${name} ${version} does not match its SHA-256`)
  }
  if (sums.size > 0) throw new Error('a package arrived that was not asked for')
}

/** @type {Map<string, Promise<import('./servers-debian.mjs').Apt>>} */
const apts = new Map()

/** @param {string} suite */
function aptFor(suite) {
  let apt = apts.get(suite)
  if (!apt) {
    apt = scratch().then((folder) =>
      privateApt(join(folder, `apt-${suite}`), suite, debianArchive()),
    )
    apts.set(suite, apt)
  }
  return apt
}

/** @type {Promise<string> | undefined} */
let scratchFolder

/** Makes this process's own working folder, gone when the process ends. */
function scratch() {
  scratchFolder ??= (async () => {
    const folder = join(cacheFolder(), `.scratch-${process.pid}-${randomUUID()}`)
    await mkdir(folder, { recursive: true })
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
    await removeAbandoned()
    return folder
  })()
  return scratchFolder
}

/** Removes working folders that a killed run left behind. */
async function removeAbandoned() {
  const anHourAgo = Date.now() - 3_600_000
  for (const entry of await readdir(cacheFolder())) {
    if (!entry.startsWith('.scratch-')) continue
    const folder = join(cacheFolder(), entry)
    const { mtimeMs } = await stat(folder).catch(() => ({ mtimeMs: Date.now() }))
    if (mtimeMs < anHourAgo) await rm(folder, { recursive: true, force: true })
  }
}

/** @param {unknown} error */
function firstLine(error) {
  const { stderr, message } = /** @type {{ stderr?: string, message?: string }} */ (error)
  const lines = (stderr || message || String(error)).split('\n').map((line) => line.trim())
  return lines.find((line) => line.startsWith('E:')) ?? lines.find(Boolean) ?? 'failed'
}

/** @param {string[]} args */
async function main(args) {
  const [command, name] = args
  if (command === 'path' && name) {
    const { bin } = await obtain(/** @type {import('./servers.mjs').ObtainableName} */ (name))
    console.log(bin)
  } else if (command === 'any') {
    console.log((await findAnyServer()).bin)
  } else if (command === undefined) {
    const names = /** @type {import('./servers.mjs').ObtainableName[]} */ (Object.keys(CATALOGUE))
    const results = await Promise.allSettled(names.map((one) => obtain(one)))
    results.forEach((result, i) => {
      const title = String(names[i]).padEnd(14)
      if (result.status === 'fulfilled') {
        console.log(`${title} ${result.value.version.padEnd(8)} ${result.value.bin}`)
      } else {
        process.exitCode = 1
        console.error(`${title} missing: ${firstLine(result.reason)}`)
      }
    })
  } else {
    console.error('usage: node scripts/servers.mjs [path <name> | any]')
    process.exitCode = 2
  }
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await main(process.argv.slice(2)).catch((error) => {
    console.error(firstLine(error))
    process.exitCode = 1
  })
}
