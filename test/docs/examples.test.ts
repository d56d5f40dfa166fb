import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
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

const pages = ['README.md', ...readdirSync(join(root, 'docs')).map((page) => `docs/${page}`)]
const examples: Example[] = pages
  .filter((page) => page.endsWith('.md'))
  .flatMap((page) =>
    [...readFileSync(join(root, page), 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)].map(
      ([, code = ''], index) => ({
        title: `${page}, example ${index + 1}`,
        file: `${page.replaceAll(/[^a-z0-9]/gi, '-')}-${index + 1}`,
        code,
      }),
    ),
  )

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
      (file) => /diagnosis[a-z-]*\.ts$/.test(file),
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
