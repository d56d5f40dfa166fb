/**
 * One report of the public API for each door, from the declarations in dist/:
 *
 *   node scripts/api-reports.mjs             writes them to docs/api, for a review to show
 *   node scripts/api-reports.mjs --check     says which differ, and writes nothing
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor'

const root = fileURLToPath(new URL('..', import.meta.url))
const kept = join(root, 'docs/api')
const compilerOptions = {
  module: 'nodenext',
  target: 'es2022',
  lib: ['es2023', 'esnext.disposable'],
  types: ['node'],
  strict: true,
  skipLibCheck: true,
}

/**
 * The doors of the package: name of the report, and its declarations.
 * @returns {Map<string, string>}
 */
function doors() {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const typed = Object.entries(exports).filter(([, door]) => door.types !== undefined)
  return new Map(
    typed.map(([subpath, door]) => [
      subpath.replace(/^\.\/?/, '') || 'index',
      join(root, door.types),
    ]),
  )
}

/**
 * Writes the report of one door and gives what the extractor found fault with.
 * @param {string} name
 * @param {string} declarations
 * @param {string} folder
 */
function report(name, declarations, folder) {
  /** @type {string[]} */
  const faults = []
  const config = ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: join(root, 'package.json'),
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: declarations,
      newlineKind: 'lf',
      compiler: { overrideTsconfig: { compilerOptions, files: [declarations] } },
      apiReport: {
        enabled: true,
        reportFileName: name,
        reportFolder: folder,
        reportTempFolder: join(folder, 'temp'),
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        extractorMessageReporting: {
          default: { logLevel: 'none' },
          // A type that a signature shows and no door gives cannot be named by a user.
          'ae-forgotten-export': { logLevel: 'warning', addToApiReportFile: true },
        },
        tsdocMessageReporting: { default: { logLevel: 'none' } },
      },
    },
  })
  Extractor.invoke(config, {
    localBuild: true,
    messageCallback(message) {
      message.handled = true
      if (message.logLevel === 'error') faults.push(message.formatMessageWithLocation(root))
    },
  })
  return faults
}

/** @param {string} folder */
function reportsIn(folder) {
  const names = existsSync(folder) ? readdirSync(folder) : []
  const reports = names.filter((name) => name.endsWith('.api.md'))
  return new Map(reports.map((name) => [name, readFileSync(join(folder, name), 'utf8')]))
}

/** @param {string} folder */
function write(folder) {
  mkdirSync(folder, { recursive: true })
  const faults = [...doors()].flatMap(([name, declarations]) => report(name, declarations, folder))
  if (faults.length > 0) throw new Error(faults.join('\n'))
  const wanted = new Set([...doors().keys()].map((name) => `${name}.api.md`))
  for (const name of reportsIn(folder).keys()) if (!wanted.has(name)) rmSync(join(folder, name))
  rmSync(join(folder, 'temp'), { recursive: true, force: true })
}

function check() {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-api-'))
  try {
    write(folder)
    const built = reportsIn(folder)
    const reviewed = reportsIn(kept)
    const names = new Set([...built.keys(), ...reviewed.keys()])
    return [...names].filter((name) => built.get(name) !== reviewed.get(name))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (!existsSync(join(root, 'dist/index.d.ts'))) {
  console.error('dist/ is missing: run `npm run build`')
  process.exitCode = 1
} else if (process.argv.includes('--check')) {
  const changed = check()
  for (const name of changed) {
    console.error(`docs/api/${name} is not what dist/ declares: run \`npm run api\` and review it`)
  }
  process.exitCode = changed.length > 0 ? 1 : 0
} else {
  write(kept)
}
