import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

interface Line {
  readonly at: string
  readonly text: string
}

function filesUnder(folder: string, ending: RegExp): string[] {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((file) => join(folder, file).replaceAll('\\', '/'))
    .filter((file) => ending.test(file) && !file.includes('node_modules/'))
    .filter((file) => file !== 'test/tidy.test.ts')
    .sort()
}

function linesOf(files: readonly string[]): Line[] {
  return files.flatMap((file) =>
    read(file)
      .split('\n')
      .map((text, index) => ({ at: `${file}:${index + 1}`, text })),
  )
}

const code = /\.(ts|mts|mjs|lua)$/
const generated = /\.generated\.ts$/
const sources = filesUnder('src', code).filter((file) => !generated.test(file))
const tests = filesUnder('test', code)
const everything = [
  ...sources,
  ...tests,
  ...['scripts', 'examples', 'bench'].flatMap((folder) => filesUnder(folder, code)),
]
const pages = [
  ...readdirSync(root).filter((file) => file.endsWith('.md')),
  ...filesUnder('docs', /\.md$/),
]

/** A word that may not be written, and what to write instead. */
type Ban = readonly [word: RegExp, instead: string]

function breaches(lines: readonly Line[], bans: readonly Ban[]): string[] {
  return lines.flatMap(({ at, text }) =>
    bans
      .filter(([word]) => word.test(text))
      .map(([word, instead]) => `${at}: ${word.exec(text)?.[0]}: ${instead}`),
  )
}

const reminders: readonly Ban[] = [
  [/\b(TODO|FIXME|XXX|HACK)\b/, 'do it now or open an issue'],
  [/\bdebugger\b/, 'delete it'],
]

const synonyms: readonly Ban[] = [
  [
    /\b(drivers?|backends?|providers?|adapters?)\b/i,
    'say "engine" or, for ioredis and others, "client"',
  ],
  [
    // TracerProvider and MeterProvider are OpenTelemetry's own names.
    /[a-z](?<![Tt]racer|[Mm]eter)(Driver|Backend|Provider|Adapter)\b/,
    'say "engine" or, for ioredis and others, "client"',
  ],
  [/\b(mutexes|semaphores?) handle\b|\block handle\b/i, 'say "lease"'],
]

const unclearTime: readonly Ban[] = [
  [/\b(timeout|ttl|delay|interval)(Seconds|Secs?|Millis(econds)?)\b/i, 'durations end in "Ms"'],
]

const weakTests: readonly Ban[] = [
  [
    /\b(it|test|describe)\.(skip|only|todo|fails)\b/,
    'delete the test or make it run (skip by what an engine guarantees, with skipIf)',
  ],
  [/\b(it|test|describe)\.concurrent\.(skip|only|todo)\b/, 'delete the test or make it run'],
]

describe('the text of the project', () => {
  it('holds no reminders', () => {
    expect(breaches(linesOf(everything), reminders)).toEqual([])
  })

  it('says engine, client, lease and fence in the sources', () => {
    expect(breaches(linesOf(sources), synonyms)).toEqual([])
  })

  it('gives durations in milliseconds', () => {
    expect(breaches(linesOf(sources), unclearTime)).toEqual([])
  })

  it('skips no test and singles none out', () => {
    // Only this one may: it skips a server that is missing, which fails in CI before it gets there.
    const others = tests.filter((file) => file !== 'test/support/servers-under-test.ts')
    const files = [...sources.filter((file) => file.endsWith('.test.ts')), ...others]
    expect(breaches(linesOf(files), weakTests)).toEqual([])
  })

  it('breaks its code lines at 100 columns', () => {
    // Biome breaks what it can; a long string or address in a line of its own stays.
    const unbreakable = /^\s*(\/\/|\*|--|import |export )?.*(https?:\/\/|['"`]).*$/
    const long = linesOf([...everything, 'test/tidy.test.ts']).filter(
      ({ text }) => text.length > 100 && !unbreakable.test(text),
    )
    expect(long.map(({ at, text }) => `${at}: ${text.length} columns, break it`)).toEqual([])
  })

  it('keeps its files short', () => {
    const limits = (file: string): number => (/^test\/|\.test\.ts$/.test(file) ? 700 : 400)
    const long = everything
      .map((file) => ({
        file,
        lines: read(file)
          .split('\n')
          .filter((line) => line.trim()).length,
      }))
      .filter(({ file, lines }) => lines > limits(file))
    expect(long.map(({ file, lines }) => `${file}: ${lines} lines, split it by subject`)).toEqual(
      [],
    )
  })

  it('ends every file with one newline and no line with a blank', () => {
    const loose = [...everything, ...pages].filter((file) => !/[^\n]\n$/.test(read(file)))
    expect(loose.map((file) => `${file}: end it with one newline`)).toEqual([])
    const trailing = linesOf(everything).filter(({ text }) => /[ \t\r]$/.test(text))
    expect(trailing.map(({ at }) => `${at}: trailing blank`)).toEqual([])
  })

  it('names files in kebab-case', () => {
    const wrong = everything.filter(
      (file) => !/^([a-z0-9]+(-[a-z0-9]+)*\/)*[a-z0-9]+([-.][a-z0-9]+)*\.[a-z]+$/.test(file),
    )
    expect(wrong.map((file) => `${file}: name it in kebab-case`)).toEqual([])
  })

  it('writes no comment banners', () => {
    const banner = /^\s*(\/\/|--|\*)\s*[=*#~_-]{4,}/
    const found = linesOf(everything).filter(({ text }) => banner.test(text))
    expect(found.map(({ at }) => `${at}: a banner: split the file instead`)).toEqual([])
  })
})

describe('the layers', () => {
  it('loads nothing into the core at run time', () => {
    const core = sources.filter(
      (file) => file.startsWith('src/core/') && !file.endsWith('.test.ts'),
    )
    const found = linesOf(core).filter(({ text }) => /\b(import|require)\(/.test(text))
    expect(
      found.map(({ at }) => `${at}: core loads nothing; take it in through an option`),
    ).toEqual([])
  })

  it('lets an engine load no other engine at run time', () => {
    const found = sources
      .filter((file) => file.startsWith('src/engines/') && !file.endsWith('.test.ts'))
      .flatMap((file) => linesOf([file]))
      .filter(({ text }) => /\bimport\('(\.\.\/)+(engines|cli|testing|memory|redis)\//.test(text))
    expect(found.map(({ at }) => `${at}: what two engines need belongs to src/core`)).toEqual([])
  })

  it('writes imports of its own files with their real ending', () => {
    const found = linesOf([...sources, ...tests].filter((file) => file.endsWith('.ts'))).filter(
      ({ text }) => /\bfrom '\.[^']*'/.test(text) && !/\.(ts|mjs|json)'/.test(text),
    )
    expect(found.map(({ at }) => `${at}: write ./x.ts`)).toEqual([])
  })

  it('names what a door exports, at most 15 values each', () => {
    for (const { source } of doors()) {
      const text = read(source)
      const wildcard = linesOf([source]).filter((line) => line.text.startsWith('export *'))
      expect(wildcard.map(({ at }) => `${at}: name what is exported`)).toEqual([])
      const listed = [...text.matchAll(/^export \{([^}]*)\}/gm)]
        .flatMap(([, names]) => (names ?? '').split(','))
        .map((name) => name.trim())
        .filter((name) => name !== '' && !name.startsWith('type '))
      const declared = text.match(/^export (async )?(const|function|class) /gm) ?? []
      expect(
        listed.length + declared.length,
        `${source} exports too much: narrow it`,
      ).toBeLessThanOrEqual(15)
    }
  })
})

interface Manifest {
  readonly version: string
  readonly exports: Record<string, string | { types: string; default: string }>
  readonly dependencies: Record<string, string>
  readonly devDependencies: Record<string, string>
  readonly scripts: Record<string, string>
}

const manifest = JSON.parse(read('package.json')) as Manifest

/** Each subpath of the package with the source file behind it. */
function doors(): { subpath: string; source: string; types: string; target: string }[] {
  return Object.entries(manifest.exports).flatMap(([subpath, door]) =>
    typeof door === 'string'
      ? []
      : {
          subpath,
          source: door.default.replace('./dist/', 'src/').replace(/\.js$/, '.ts'),
          types: door.types,
          target: door.default,
        },
  )
}

describe('the package', () => {
  it('has a source behind every subpath it exports', () => {
    for (const { subpath, source, types, target } of doors()) {
      expect(existsSync(join(root, source)), `${subpath} needs ${source}`).toBe(true)
      expect(types, `the types of ${subpath} lie beside its code`).toBe(
        target.replace(/\.js$/, '.d.ts'),
      )
    }
  })

  it('exports every engine', () => {
    const folders = readdirSync(join(root, 'src/engines'))
    const open = doors().map(({ source }) => source)
    const shut = folders.filter((engine) => !open.includes(`src/engines/${engine}/index.ts`))
    expect(shut.map((engine) => `export ./${engine} in package.json`)).toEqual([])
  })

  it('resolves the same subpaths for the tests and for the type check', () => {
    const paths = (JSON.parse(read('tsconfig.json')) as { compilerOptions: { paths: object } })
      .compilerOptions.paths
    const expected = doors().map(({ subpath, source }) => [
      subpath.replace(/^\./, 'holdfast'),
      [`./${source}`],
    ])
    expect(paths, 'align "paths" in tsconfig.json').toEqual(Object.fromEntries(expected))
    const config = read('vitest.config.ts')
    for (const { source } of doors()) {
      expect(config, 'align the aliases in vitest.config.ts').toContain(
        `source('${source.replace('src/', '')}')`,
      )
    }
  })

  it('depends on one Redis client and runs nothing at install', () => {
    expect(Object.keys(manifest.dependencies)).toEqual(['ioredis'])
    for (const hook of ['preinstall', 'install', 'postinstall', 'prepare']) {
      expect(manifest.scripts[hook], `delete the script "${hook}"`).toBeUndefined()
    }
  })

  it('pins its tools to exact versions', () => {
    const loose = Object.entries(manifest.devDependencies).filter(
      ([, version]) => !/^(npm:(@[\w-]+\/)?[\w-]+@)?\d+\.\d+\.\d+(-[\w.]+)?$/.test(version),
    )
    expect(loose.map(([name, version]) => `${name}@${version}: pin it`)).toEqual([])
  })

  it('has its version at the top of the changelog', () => {
    const top = /^## \[?(?<version>\d+\.\d+\.\d+[\w.-]*)/m.exec(read('CHANGELOG.md'))
    expect(top?.groups?.['version'], 'add the version to CHANGELOG.md').toBe(manifest.version)
    const lock = JSON.parse(read('package-lock.json')) as { version: string }
    expect(lock.version, 'run `npm install`').toBe(manifest.version)
  })

  it('holds the Redis scripts as they are in lua/', () => {
    const check = spawnSync(process.execPath, ['scripts/embed-lua.mjs', '--check'], {
      cwd: root,
      encoding: 'utf8',
    })
    expect(check.stderr).toBe('')
    expect(check.status).toBe(0)
  })
})
