import { execFile, execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningServer, startServer } from '../support/servers.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** Inside the project, so that `holdfast` is the built package. */
const folder = join(root, '.examples')
const run = promisify(execFile)

interface Example {
  readonly title: string
  readonly file: string
  readonly code: string
}

/** Every page of the project but the reports of the public API, which are no examples. */
const pages = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((path) => path.endsWith('.md') && !path.startsWith('docs/api/'))

interface Block {
  readonly page: string
  readonly language: string
  readonly code: string
}

const blocks: Block[] = pages.flatMap((page) =>
  [...readFileSync(join(root, page), 'utf8').matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map(
    ([, language = '', code = '']) => ({ page, language, code }),
  ),
)

const examples: Example[] = pages.flatMap((page) =>
  blocks
    .filter((block) => block.page === page && block.language === 'ts')
    .map(({ code }, index) => ({
      title: `${page}, example ${index + 1}`,
      file: `${page.replaceAll(/[^a-z0-9]/gi, '-')}-${index + 1}`,
      code,
    })),
)

/** Blocks that are not run here, by page and language, and what sees to them instead. */
const otherwise: Readonly<Record<string, string>> = {
  'ARCHITECTURE.md ': 'a picture of the folders',
  'README.md sh': 'what CI, test/demo, test/package and test/cli do',
  'README.zh-CN.md sh': 'the same commands as in README.md',
  'README.zh-CN.md python': 'run by recipes.test.ts',
  'CONTRIBUTING.md sh': 'the scripts of package.json; the test below knows their names',
  'bench/README.md sh': 'the scripts of package.json; the test below knows their names',
  'docs/acl.md acl': 'loaded into servers by test/redis and test/topologies',
  'docs/cli.md sh': 'needs programs of the reader; test/cli tries every option',
  'docs/fencing.md ': 'what a run of an example prints',
  'docs/fencing.md js': 'parts of examples/fencing, compared and run by test/examples',
  'docs/migrating.md js': 'code of the other libraries, before the change',
  'docs/migrating.md sh': 'run by recipes.test.ts',
  'docs/migrating.md python': 'run by recipes.test.ts',
  'docs/migrating.md go': 'needs Go, which no test obtains',
  'docs/quorum.md js': 'only shows an address; test/quorum connects to such',
  'test/chaos/RECORD.md sh': 'how to repeat a run that takes hours',
}

describe('examples in the documents', () => {
  let server: RunningServer

  beforeAll(async () => {
    server = await startServer()
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder)
    for (const { file, code } of examples) {
      const text = code.replaceAll('redis://localhost:6379', server.url)
      writeFileSync(join(folder, `${file}.mts`), text)
    }
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const options = '--module nodenext --target es2022 --lib es2023,esnext.disposable --types node'
    const files = examples.map(({ file }) => `${file}.mts`)
    const strict = ['--strict', '--skipLibCheck', '--ignoreConfig']
    execFileSync(process.execPath, [tsc, ...strict, ...options.split(' '), ...files], {
      cwd: folder,
      stdio: 'pipe',
      encoding: 'utf8',
    })
  })

  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true })
    await server.stop()
  })

  it.each(examples)('$title runs, and ends by itself', async ({ file }) => {
    const env = { ...process.env, XDG_STATE_HOME: folder, HOLDFAST_URL: '' }
    const { stderr } = await run(process.execPath, [join(folder, `${file}.mjs`)], {
      timeout: 20_000,
      env,
    })
    // The server here is one on its own: `connect` may say what that endangers.
    const lines = stderr
      .split('\n')
      .filter((line) => !/HoldfastWarning|--trace-warnings/.test(line))
    expect(lines.join('\n').trim()).toBe('')
  })

  it('are there', () => {
    expect(examples.length).toBeGreaterThan(2)
  })

  it('are run, or it is known why not', () => {
    const others = blocks.filter(({ language }) => language !== 'ts')
    const kinds = new Set(others.map(({ page, language }) => `${page} ${language}`))
    expect([...kinds].sort(), 'run it, or add to `otherwise` what sees to it').toEqual(
      Object.keys(otherwise).sort(),
    )
  })

  it('name npm scripts that exist', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>
    }
    const named = blocks
      .filter(({ language }) => language === 'sh')
      .flatMap(({ page, code }) =>
        [...code.matchAll(/npm run ([a-z:]+)/g)].map(([, name = '']) => ({ page, name })),
      )
    expect(named.length).toBeGreaterThan(0)
    expect(named.filter(({ name }) => !(name in scripts))).toEqual([])
  })

  it('link to pages and pictures that exist', () => {
    const broken = pages.flatMap((page) => {
      const text = readFileSync(join(root, page), 'utf8').replaceAll(/^```[\s\S]*?^```$/gm, '')
      return [...text.matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)]
        .map(([, target = '']) => target)
        .filter((target) => !existsSync(join(root, dirname(page), target)))
        .map((target) => `${page}: ${target}`)
    })
    expect(broken).toEqual([])
  })
})

describe('docs/errors.md', () => {
  it('has one heading for each code, and no other', () => {
    const errors = readFileSync(join(root, 'src/core/errors.ts'), 'utf8')
    const codes = new Set([...errors.matchAll(/'(HOLDFAST_[A-Z_]+)'/g)].map(([, code]) => code))
    const page = readFileSync(join(root, 'docs/errors.md'), 'utf8')
    const headings = [...page.matchAll(/^## (\S+)$/gm)].map(([, code]) => code)
    expect(new Set(headings)).toEqual(codes)
    expect(headings).toHaveLength(codes.size)
  })
})

describe('docs/diagnose.md', () => {
  it('has one heading for each code of a finding, and no other', () => {
    const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter(
      (file) => /(diagnosis[a-z-]*|node-lists)\.ts$/.test(file),
    )
    const codes = sources.flatMap((file) => {
      const source = readFileSync(join(root, 'src', file), 'utf8')
      const given = /(?:code: |new TrialFailure\(\s*)'([a-z-]+)'/g
      return [...source.matchAll(given)].map(([, code]) => code)
    })
    const page = readFileSync(join(root, 'docs/diagnose.md'), 'utf8')
    const headings = [...page.matchAll(/^## (\S+)$/gm)].map(([, code]) => code)
    expect(new Set(headings)).toEqual(new Set(codes))
    expect(headings).toHaveLength(new Set(headings).size)
  })
})
