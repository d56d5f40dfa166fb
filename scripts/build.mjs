// Compiles src/ into a clean dist/, makes the command line executable and writes its man page.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = new URL('../dist/', import.meta.url)
const fresh = new URL('../dist.new/', import.meta.url)
const tsc = createRequire(import.meta.url)
  .resolve('typescript/package.json')
  .replace('package.json', 'bin/tsc')

// The rights of the files go into the package: the same whoever builds it.
process.umask(0o022)

// Compiled beside it and moved, so that a program that runs from dist/ meets the old or the new
// one.
rmSync(fresh, { recursive: true, force: true })
const { status } = spawnSync(
  process.execPath,
  [tsc, '-p', 'tsconfig.build.json', '--outDir', fileURLToPath(fresh)],
  { cwd: root, stdio: 'inherit' },
)
if (status !== 0) {
  rmSync(fresh, { recursive: true, force: true })
  process.exit(status ?? 1)
}
const main = new URL('cli/main.js', fresh)
if (existsSync(main)) chmodSync(main, 0o755)
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
const { manPage } = await import(new URL('cli/man.js', fresh).href)
writeFileSync(new URL('holdfast.1', fresh), manPage(version))
rmSync(dist, { recursive: true, force: true })
renameSync(fresh, dist)
