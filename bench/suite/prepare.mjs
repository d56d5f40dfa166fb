import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const bench = fileURLToPath(new URL('..', import.meta.url))

/** Makes what a bare clone lacks: the built library, and the packages it is compared with. */
export function prepare({ tell, peers, build }) {
  if (build && isStale()) {
    tell('building the library')
    run('npm', ['run', 'build', '--silent'], root)
  }
  if (peers && !isInstalled()) {
    tell('installing the packages to compare with into bench/node_modules')
    run('npm', ['ci', '--silent', '--no-audit', '--no-fund'], bench)
  }
}

function isStale() {
  const built = join(root, 'dist/index.js')
  if (!existsSync(built)) return true
  const at = statSync(built).mtimeMs
  return readdirSync(join(root, 'src'), { recursive: true }).some((file) => {
    const source = !file.endsWith('.test.ts') && /\.(ts|lua)$/.test(file)
    return source && statSync(join(root, 'src', file)).mtimeMs > at
  })
}

/** npm writes this file last, as a copy of what it installed. */
function isInstalled() {
  const installed = join(bench, 'node_modules/.package-lock.json')
  if (!existsSync(installed)) return false
  const versions = (file) => {
    const { packages } = JSON.parse(readFileSync(file, 'utf8'))
    const own = Object.entries(packages).filter(([path]) => path !== '')
    return JSON.stringify(own.map(([path, { version }]) => `${path} ${version}`).sort())
  }
  return versions(installed) === versions(join(bench, 'package-lock.json'))
}

function run(command, args, cwd) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' })
  if (status === 0) return
  const said = [error?.message, stdout, stderr].filter(Boolean).join('\n')
  throw new Error(`${command} ${args.join(' ')} failed in ${cwd}:\n${said}`)
}
