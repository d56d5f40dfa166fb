/**
 * Compiles src/ into a clean dist/: the code in few files, without comments and blanks but with all
 * names, the declarations that users can reach, an executable command line and its man page.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')
const fresh = join(root, 'dist.new')
const { exports, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const doors = Object.values(exports).filter((door) => door.types !== undefined)

/** Files that are started or found by their names. */
const programs = [
  'cli/main',
  'cli/bench/runner',
  'cli/demo/index',
  'cli/demo/keeper',
  'cli/demo/worker',
  'cli/run/stopper',
]

/** @param {string} folder */
function compile(folder) {
  const tsc = createRequire(import.meta.url)
    .resolve('typescript/package.json')
    .replace('package.json', 'bin/tsc')
  const args = [tsc, '-p', 'tsconfig.build.json', '--outDir', folder]
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) throw new Error('The sources do not compile.')
}

/** @param {string} compiled */
async function bundle(compiled) {
  const names = [...doors.map((door) => /^\.\/dist\/(.+)\.js$/.exec(door.default)[1]), ...programs]
  const path = (/** @type {string} */ id) => relative(compiled, id)
  const build = await rolldown({
    input: Object.fromEntries(names.map((name) => [name, join(compiled, `${name}.js`)])),
    external: /^[^./]/,
    experimental: { attachDebugInfo: 'none' },
    platform: 'node',
  })
  const { output } = await build.write({
    dir: fresh,
    format: 'esm',
    comments: false,
    // Stacks name what a reader finds in the sources.
    minify: {
      compress: { keepNames: { function: true, class: true } },
      mangle: false,
      codegen: { removeWhitespace: false },
    },
    chunkFileNames({ moduleIds }) {
      const last = moduleIds.findLast((id) => id.startsWith(compiled))
      return last === undefined ? '[name].js' : join(dirname(path(last)), '[name].js')
    },
  })
  await build.close()
  for (const { fileName, moduleIds, code } of output) {
    // The lines stay: Node shows the one that threw. The sources begin none with a tab themselves.
    writeFileSync(join(fresh, fileName), code.replace(/^\t+/gm, ''))
    for (const id of moduleIds) {
      if (!id.startsWith(compiled)) continue
      const isBound = /new URL\('\.[^)]+import\.meta\.url/.test(readFileSync(id, 'utf8'))
      if (isBound && dirname(fileName) !== dirname(path(id))) {
        throw new Error(`${path(id)} finds files beside itself, but it went into ${fileName}`)
      }
    }
  }
}

/**
 * Copies the declarations of the doors and what those import.
 * @param {string} compiled
 */
function declare(compiled) {
  const files = new Set(doors.map((door) => door.types.replace('./dist/', '')))
  for (const file of files) {
    const text = readFileSync(join(compiled, file), 'utf8')
    for (const [, from] of text.matchAll(/(?:from |import\()'(\.[^']+)\.[jt]s'/g)) {
      files.add(join(dirname(file), `${from}.d.ts`))
    }
    mkdirSync(join(fresh, dirname(file)), { recursive: true })
    writeFileSync(join(fresh, file), text)
  }
}

// The rights of the files go into the package: the same whoever builds it.
process.umask(0o022)

// Built beside it and moved, so that a program that runs from dist/ meets the old or the new one.
const compiled = join(root, 'dist.new/holdfast')
rmSync(fresh, { recursive: true, force: true })
try {
  compile(compiled)
  await bundle(compiled)
  declare(compiled)
  const { manPage } = await import(join(compiled, 'cli/man.js'))
  writeFileSync(join(fresh, 'holdfast.1'), manPage(version))
  chmodSync(join(fresh, 'cli/main.js'), 0o755)
  rmSync(compiled, { recursive: true })
  rmSync(dist, { recursive: true, force: true })
  renameSync(fresh, dist)
} catch (error) {
  rmSync(fresh, { recursive: true, force: true })
  throw error
}
