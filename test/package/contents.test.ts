import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  cleanEnvironment,
  installAlone,
  manifest,
  type Packed,
  pack,
  root,
  run,
} from '../support/packed.ts'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-contents-'))
const alone = join(folder, 'alone')
const KIB = 1024

let packed: Packed

beforeAll(() => {
  packed = pack(folder)
  installAlone(packed.tarball, alone)
})

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** What may be at most: raise a limit only together with what is worth it. */
const limits = {
  tarball: 225 * KIB,
  unpacked: 775 * KIB,
  /** Each door with all that it may load except the clients, minified and compressed. */
  doors: {
    '.': 80 * KIB,
    './redis': 38 * KIB,
    './sqlite': 20 * KIB,
    './quorum': 12 * KIB,
    './memory': 6 * KIB,
    './opentelemetry': 5 * KIB,
    './web-locks': 18 * KIB,
    './redlock': 60 * KIB,
    './redis-semaphore': 60 * KIB,
    './testing': 13 * KIB,
  } as Readonly<Record<string, number>>,
}

describe('the size', () => {
  it('of the tarball and of the installed package keeps its limits', () => {
    expect(packed.size, 'bytes of the tarball').toBeLessThanOrEqual(limits.tarball)
    expect(packed.unpackedSize, 'bytes installed').toBeLessThanOrEqual(limits.unpacked)
  })

  it('of every door has a limit', () => {
    const doors = Object.keys(manifest.exports).filter((door) => door !== './package.json')
    expect(Object.keys(limits.doors).sort()).toEqual(doors.sort())
  })

  it.each(Object.entries(limits.doors))('of %s in a bundle keeps its limit', async (door, most) => {
    const { default: input } = manifest.exports[door] as { default: string }
    expect(await bundled(join(root, input)), 'bytes compressed').toBeLessThanOrEqual(most)
  })
})

async function bundled(input: string): Promise<number> {
  const clients = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies)]
  const build = await rolldown({
    input,
    external: [...clients, ...builtinModules, /^node:/],
    logLevel: 'silent',
  })
  const { output } = await build.generate({ format: 'esm', minify: true, codeSplitting: false })
  const code = output.map((part) => (part.type === 'chunk' ? part.code : '')).join('')
  return gzipSync(code, { level: 9 }).length
}

const checksum = (file: string): string =>
  createHash('sha256').update(readFileSync(file)).digest('hex')

/** What goes into a build, and into the package beside it. */
const ingredients = [
  'src',
  'scripts',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'README.md',
  'README.zh-CN.md',
  'LICENSE',
  'CHANGELOG.md',
]

it('is the same to the last byte when built again elsewhere', () => {
  const elsewhere = join(folder, 'elsewhere')
  mkdirSync(elsewhere)
  for (const name of ingredients) {
    cpSync(join(root, name), join(elsewhere, name), { recursive: true })
  }
  symlinkSync(join(root, 'node_modules'), join(elsewhere, 'node_modules'), 'dir')
  // Other people's files have other times and other rights.
  const build = 'umask 077; TZ=Asia/Tokyo LC_ALL=C node scripts/build.mjs'
  run('sh', ['-c', build], elsewhere)
  const again = pack(elsewhere, elsewhere)
  expect(again.files).toEqual(packed.files)
  expect(checksum(again.tarball), 'if dist/ is old, run `npm run build`').toBe(
    checksum(packed.tarball),
  )
})

interface Locked {
  readonly license?: string
  readonly hasInstallScript?: boolean
  readonly dependencies?: Readonly<Record<string, string>>
}

const lockedIn = (file: string): Readonly<Record<string, Locked>> =>
  (JSON.parse(readFileSync(file, 'utf8')) as { packages: Record<string, Locked> }).packages

it('runs nothing when it is installed, nor does what it brings', () => {
  const installed = Object.entries(lockedIn(join(alone, 'node_modules/.package-lock.json')))
  expect(installed.length).toBeGreaterThan(1)
  expect(installed.filter(([, { hasInstallScript }]) => hasInstallScript)).toEqual([])
})

const allowed = ['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD']

it('brings and offers only what is under a permissive licence', () => {
  const locked = lockedIn(join(root, 'package-lock.json'))
  const wanted = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }).map(
    (name) => `node_modules/${name}`,
  )
  const seen = new Set<string>()
  for (const path of wanted) {
    if (seen.has(path)) continue
    seen.add(path)
    const { license, dependencies = {} } = locked[path] ?? {}
    expect(allowed, `${path} has the licence ${license}`).toContain(license)
    for (const name of Object.keys(dependencies)) wanted.push(nearest(locked, path, name))
  }
  expect(seen.size).toBeGreaterThan(Object.keys(manifest.dependencies).length)
})

/** Where a package finds its dependency: in its own folder, else further up. */
function nearest(locked: Readonly<Record<string, Locked>>, path: string, name: string): string {
  const parts = path.split('/node_modules/')
  for (; parts.length > 0; parts.pop()) {
    const inner = `${parts.join('/node_modules/')}/node_modules/${name}`
    if (locked[inner]) return inner
  }
  return `node_modules/${name}`
}

interface Audit {
  readonly metadata?: { readonly vulnerabilities: { readonly total: number } }
  readonly vulnerabilities?: object
  readonly message?: string
  readonly error?: { readonly summary?: string }
}

it('brings nothing with a known weakness', ({ skip }) => {
  const { stdout, stderr } = spawnSync('npm', ['audit', '--omit=dev', '--json'], {
    cwd: root,
    encoding: 'utf8',
    env: cleanEnvironment(),
    timeout: 60_000,
  })
  const audit = JSON.parse(stdout) as Audit
  if (audit.metadata === undefined) {
    const why = audit.error?.summary || audit.message || stderr.trim()
    console.warn(`NOT CHECKED: the registry answers no audit (${why}): run \`npm audit\` elsewhere`)
    skip('the registry answers no audit')
  }
  expect(audit.vulnerabilities).toEqual({})
  expect(audit.metadata?.vulnerabilities.total).toBe(0)
})
