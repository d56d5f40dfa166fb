/**
 * Obtains the programs of other Node versions: from the cache, else from npm, where they are
 * packages of their own.
 *
 *   node scripts/nodes.mjs 24      print the path of a Node 24
 */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { cacheFolder } from './servers.mjs'

const run = promisify(execFile)
const WINDOWS = process.platform === 'win32'

/**
 * Gives the path of a Node with this major version: the one that runs this, when it fits.
 * @param {number} major
 * @returns {Promise<string>}
 */
export async function obtainNode(major) {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath
  const folder = join(cacheFolder(), `node-${major}`)
  const program = join(folder, WINDOWS ? 'node.exe' : 'node')
  if (!existsSync(program)) await download(major, folder)
  return program
}

/**
 * @param {number} major
 * @param {string} folder
 */
async function download(major, folder) {
  const system = WINDOWS ? 'win' : process.platform
  const prefix = process.platform === 'darwin' && process.arch === 'arm64' ? 'node-bin' : 'node'
  const name = `${prefix}-${system}-${process.arch}`
  const fresh = `${folder}.${randomUUID()}`
  try {
    await mkdir(fresh, { recursive: true })
    await writeFile(join(fresh, 'package.json'), '{ "private": true }\n')
    const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock']
    await run('npm', ['install', ...options, `${name}@${major}`], { cwd: fresh, shell: WINDOWS })
    const program = WINDOWS ? 'node.exe' : 'node'
    const installed = join(fresh, 'node_modules', name, 'bin', program)
    // The program alone; npm's part of the package is of no use here.
    await copyFile(installed, join(fresh, program))
    await rm(join(fresh, 'node_modules'), { recursive: true })
    await rename(fresh, folder).catch((error) => {
      // Somebody else was faster.
      if (!existsSync(join(folder, program))) throw error
    })
  } catch (error) {
    throw new Error(`no Node ${major} for ${system} on ${process.arch} from npm`, { cause: error })
  } finally {
    await rm(fresh, { recursive: true, force: true })
  }
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  console.log(await obtainNode(Number(process.argv[2])))
}
