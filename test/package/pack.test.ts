import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  cleanEnvironment,
  doors,
  installAlone,
  manifest,
  pack,
  peers,
  root,
  run,
} from '../support/packed.ts'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-package-'))
const alone = join(folder, 'alone')

let tarball = ''
let packed: readonly string[] = []

const node = (code: string): string => run(process.execPath, ['-e', code], alone)
const tool = (name: string, ...args: string[]): string =>
  run(join(root, 'node_modules/.bin', name), args, root)

beforeAll(() => {
  const report = pack(folder)
  tarball = report.tarball
  packed = report.files
  installAlone(tarball, alone)
})

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

describe('the packed package', () => {
  it('holds the compiled code and its pages, nothing else', () => {
    const pages = /^(README(\.zh-CN)?\.md|LICENSE|CHANGELOG\.md|package\.json)$/
    const strange = packed.filter(
      (path) => !/^dist\/.+\.(js|d\.ts|1)$/.test(path) && !pages.test(path),
    )
    expect(strange).toEqual([])
    expect(packed).toEqual(
      expect.arrayContaining([
        'README.md',
        'LICENSE',
        'CHANGELOG.md',
        'dist/index.js',
        'dist/holdfast.1',
      ]),
    )
    expect(packed.filter((path) => /\.test\./.test(path))).toEqual([])
  })

  it('declares the types of every door, and of nothing that no door leads to', () => {
    const code = Object.values(manifest.exports).flatMap((door) =>
      typeof door === 'string' ? [] : (door as { default: string }).default.replace('./', ''),
    )
    const untyped = code.filter((path) => !packed.includes(path.replace(/\.js$/, '.d.ts')))
    expect(untyped).toEqual([])
    expect(packed.filter((path) => /^dist\/cli\/.+\.d\.ts$/.test(path))).toEqual([])
  })

  it('names in its stacks the functions of the sources', () => {
    const stack = node(
      `import('holdfast').then((m) => m.connect(7)).catch((e) => console.log(e.stack))`,
    )
    expect(stack).toMatch(/^TypeError: url must be a string.+\n\s+at (Module\.)?connect /)
    const engine = `import('holdfast/memory').then((m) => console.log(m.memory().constructor.name))`
    expect(node(engine)).toBe('MemoryEngine\n')
  })

  it('satisfies publint', () => {
    expect(tool('publint', 'run', tarball, '--strict')).toContain('All good')
  })

  it('resolves for every kind of ES module consumer', () => {
    const report = tool('attw', tarball, '--profile', 'esm-only', '--no-emoji')
    expect(report).toContain('"holdfast/testing"')
  })
})

describe('installed alone', () => {
  it('brings one Redis client and no optional one', () => {
    expect(existsSync(join(alone, 'node_modules/ioredis'))).toBe(true)
    expect(existsSync(join(alone, 'node_modules/redis'))).toBe(false)
    expect(existsSync(join(alone, 'node_modules/@opentelemetry'))).toBe(false)
  })

  it.each(doors.filter((door) => !(door in peers)))('opens %s', (door) => opens(door))

  it.each(Object.entries(peers))('says that %s needs %s', (door, peer) => {
    expect(() => node(`import('${door}')`)).toThrow(peer)
  })

  it('opens its package.json and keeps the rest shut', () => {
    expect(node(`console.log(require('holdfast/package.json').version)`).trim()).toBe(
      manifest.version,
    )
    expect(() => node(`require('holdfast/dist/index.js')`)).toThrow('ERR_PACKAGE_PATH_NOT_EXPORTED')
  })

  it('has a command that tells its version', () => {
    expect(run(join(alone, 'node_modules/.bin/holdfast'), ['--version'], alone)).toContain(
      manifest.version,
    )
  })
})

describe('installed with its optional peers', () => {
  beforeAll(() => {
    for (const peer of Object.values(peers)) {
      const path = join(alone, 'node_modules', peer)
      mkdirSync(dirname(path), { recursive: true })
      symlinkSync(join(root, 'node_modules', peer), path, 'dir')
    }
  })

  it.each(Object.keys(peers))('opens %s', (door) => opens(door))
})

/** The door gives the same names to those who import it and to those who require it. */
function opens(door: string): void {
  const imported = node(`import('${door}').then((m) => console.log(Object.keys(m).join()))`)
  expect(imported.trim()).not.toBe('')
  // Node adds a mark where a door has a default export.
  const names = `Object.keys(require('${door}')).filter((name) => name !== '__esModule').join()`
  expect(node(`console.log(${names})`)).toBe(imported)
}

/** Every TypeScript block of the README, in both languages, is a module of its own. */
function readmeExamples(): string[] {
  return ['README.md', 'README.zh-CN.md'].flatMap((name) => {
    const readme = readFileSync(join(root, name), 'utf8').replaceAll('\r\n', '\n')
    return [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code ?? '')
  })
}

function link(target: string, name: string): void {
  const path = join(folder, 'consumer/node_modules', name)
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(target, path, 'dir')
}

const resolutions = { nodenext: 'nodenext', bundler: 'esnext' } as const

/** A project that uses the package as the README shows, with the clients a user may have. */
function writeConsumer(): void {
  const consumer = join(folder, 'consumer')
  mkdirSync(consumer)
  writeFileSync(join(consumer, 'package.json'), '{ "type": "module" }\n')
  for (const name of ['holdfast', 'ioredis']) link(join(alone, 'node_modules', name), name)
  for (const name of ['redis', '@types/node', '@opentelemetry/api'])
    link(join(root, 'node_modules', name), name)
  readmeExamples().forEach((code, index) => {
    writeFileSync(join(consumer, `example-${index + 1}.ts`), `${code}export {}\n`)
  })
  const imports = doors.map((door, index) => `import * as door${index} from '${door}'`)
  const uses = doors.map((_, index) => `door${index}`)
  writeFileSync(
    join(consumer, 'doors.ts'),
    `${imports.join('\n')}\nexport const doors: object[] = [${uses.join(', ')}]\n`,
  )
  for (const [moduleResolution, module] of Object.entries(resolutions)) {
    const compilerOptions = {
      module,
      moduleResolution,
      target: 'es2022',
      lib: ['es2023', 'esnext.disposable'],
      types: ['node'],
      strict: true,
      // Once is enough to check the declarations themselves; it is most of the time.
      skipLibCheck: moduleResolution !== 'nodenext',
      noEmit: true,
      pretty: false,
    }
    writeFileSync(
      join(consumer, `${moduleResolution}.json`),
      JSON.stringify({ compilerOptions, include: ['*.ts'] }),
    )
  }
}

/** Code that was written for `navigator.locks`, with the types of the platform. */
const domCode = `
import { memory } from 'holdfast/memory'
import { createHoldfast } from 'holdfast'
import { webLocks } from 'holdfast/web-locks'

const ours = webLocks(createHoldfast({ engine: memory() }))
export const locks: LockManager = ours
const options: LockOptions = { mode: 'shared', signal: new AbortController().signal }
const callback = async (lock: Lock | null): Promise<number> => lock?.name.length ?? 0
export const result = locks.request('a', options, callback)
export const same: Promise<number> = ours.request('a', options, callback)
export const short: Promise<string> = ours.request('a', (lock) => lock?.mode ?? 'none')
export const state: Promise<LockManagerSnapshot> = ours.query()
export const pass: typeof navigator.locks.query = () => ours.query()
`

function writeDomConsumer(): void {
  const consumer = join(folder, 'consumer')
  mkdirSync(join(consumer, 'dom'))
  writeFileSync(join(consumer, 'dom/web-locks.ts'), domCode)
  const settings = JSON.parse(readFileSync(join(consumer, 'bundler.json'), 'utf8')) as {
    compilerOptions: { lib: string[] }
  }
  settings.compilerOptions.lib.push('dom')
  writeFileSync(join(consumer, 'dom.json'), JSON.stringify({ ...settings, include: ['dom/*.ts'] }))
}

/** What the compiler complains about in the examples or in this package, not in others' types. */
function complaints(compiler: string, project: string): string[] {
  const { stdout, stderr, error } = spawnSync(
    process.execPath,
    [join(root, 'node_modules', compiler, 'bin/tsc'), '-p', project],
    { cwd: join(folder, 'consumer'), encoding: 'utf8', env: cleanEnvironment() },
  )
  if (error) throw error
  if (stderr.trim() !== '') return [stderr]
  return stdout.split('\n').filter((line) => {
    const file = /^(?<file>.+?)\(\d+,\d+\): error/.exec(line)?.groups?.['file']
    if (file === undefined) return line.startsWith('error')
    return !/node_modules\/(?!holdfast\/)/.test(file)
  })
}

describe('the README', () => {
  beforeAll(() => {
    writeConsumer()
    writeDomConsumer()
  })

  it('has examples', () => {
    const examples = readdirSync(join(folder, 'consumer')).filter((file) =>
      file.startsWith('example'),
    )
    expect(examples.length).toBeGreaterThan(0)
  })

  const compilers = ['typescript54', 'typescript59', 'typescript60', 'typescript']
  describe.each(compilers)('compiles with %s', (compiler) => {
    it.each(Object.keys(resolutions))('under moduleResolution %s', (resolution) => {
      expect(complaints(compiler, `${resolution}.json`)).toEqual([])
    })

    it('where it takes the place of navigator.locks', () => {
      expect(complaints(compiler, 'dom.json')).toEqual([])
    })
  })
})
