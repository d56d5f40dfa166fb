import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { postgresIsHere, type RunningPostgres, startPostgres } from '../support/postgres.ts'
import { Program } from '../support/program.ts'
import { type RunningServer, startServer } from '../support/servers.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const folder = join(root, 'examples/fencing')
const hasPostgres = await postgresIsHere()

/** Runs an example twice, the first process stopped beyond its lease: what both said. */
async function pauseFirst(example: string, ...settings: string[]): Promise<string[]> {
  await using program = new Program(join(folder, 'pause.mjs'), [example, ...settings])
  expect(await program.end(), program.lines.join('\n')).toBe(0)
  return program.lines
}

/** The stale write was refused, and the later one stands. */
function expectRefusal(lines: readonly string[], code: string): void {
  const fenceOf = (line: string) =>
    Number(lines.map((said) => new RegExp(`^${line} fence (\\d+)`).exec(said)?.[1]).find(Boolean))
  const [stale, later] = [fenceOf('first: holding,'), fenceOf('second: holding,')]
  expect(later, lines.join('\n')).toBeGreaterThan(stale)
  const told = lines.filter((line) => !/holding|HoldfastWarning|--trace-warnings/.test(line))
  expect(told).toEqual([
    'first is stopped',
    `second: written, fence ${later}`,
    expect.stringMatching(/^second: the \w+ says: by second$/),
    'first is woken',
    `first: refused, fence ${stale} is stale`,
    `first: told: ${code}`,
    expect.stringMatching(/^first: the \w+ says: by second$/),
  ])
}

function bare(code: string): string {
  return code.replaceAll(/\s/g, '')
}

/** The server of an example, and where it listens. */
async function listening(script: string): Promise<{ program: Program; url: string }> {
  const program = new Program(join(folder, script), ['0'])
  const [, url = ''] = await program.said(/^listening on (\S+)/)
  return { program, url }
}

describe('examples/fencing refuse the write of a holder that was stopped beyond its lease', () => {
  // They run at once, each on a database of its own.
  let server: RunningServer
  let postgres: RunningPostgres | undefined
  let scratch: string

  beforeAll(async () => {
    ;[server, postgres] = await Promise.all([
      startServer(),
      hasPostgres ? startPostgres() : undefined,
    ])
    scratch = await mkdtemp(join(tmpdir(), 'holdfast-fencing-'))
  })

  afterAll(async () => {
    await Promise.all([server.stop(), postgres?.[Symbol.asyncDispose]()])
    await rm(scratch, { recursive: true, force: true })
  })

  it.concurrent('in a key of Redis', async () => {
    const lines = await pauseFirst('redis-value.mjs', server.url)
    expectRefusal(lines, 'HOLDFAST_STALE_FENCE')
  })

  it.concurrent('in a row of SQLite', async () => {
    const [locks, reports] = [join(scratch, 'locks.db'), join(scratch, 'reports.db')]
    const lines = await pauseFirst('sqlite-row.mjs', `sqlite:${locks}`, reports)
    expectRefusal(lines, 'HOLDFAST_LEASE_LOST')
  })

  it.concurrent('at an HTTP API', async () => {
    const { program, url } = await listening('http-api-server.mjs')
    await using _ = program
    expectRefusal(await pauseFirst('http-api.mjs', `${server.url}/1`, url), 'HOLDFAST_LEASE_LOST')
    expect((await fetch(url, { method: 'PUT', body: 'x' })).status).toBe(400)
  })

  it.concurrent('in an object of a store with the conditions of S3', async () => {
    const { program, url } = await listening('s3-store.mjs')
    await using _ = program
    expectRefusal(await pauseFirst('s3-object.mjs', `${server.url}/2`, url), 'HOLDFAST_LEASE_LOST')
  })

  it.skipIf(!hasPostgres).concurrent('in a row of PostgreSQL', async () => {
    const lines = await pauseFirst('postgres-row.mjs', `${server.url}/3`, `${postgres?.url}`)
    expectRefusal(lines, 'HOLDFAST_LEASE_LOST')
  })
})

describe('examples/fencing/s3-store.mjs', () => {
  it('answers conditional writes as Amazon documents them', async () => {
    const { program, url } = await listening('s3-store.mjs')
    await using _ = program
    const object = `${url}/o`
    const put = async (body: string, headers: Record<string, string>) => {
      const answer = await fetch(object, { method: 'PUT', body, headers })
      return [answer.status, /<Code>(\w+)/.exec(await answer.text())?.[1]]
    }
    expect(await put('a', { 'if-match': '"x"' })).toEqual([404, 'NoSuchKey'])
    expect(await put('a', { 'if-none-match': '*', 'x-amz-meta-fence': '1' })).toEqual([
      200,
      undefined,
    ])
    expect(await put('b', { 'if-none-match': '*' })).toEqual([412, 'PreconditionFailed'])
    const { headers } = await fetch(object, { method: 'HEAD' })
    expect(headers.get('x-amz-meta-fence')).toBe('1')
    const etag = headers.get('etag') ?? ''
    expect(await put('b', { 'if-match': etag })).toEqual([200, undefined])
    expect(await put('c', { 'if-match': etag })).toEqual([412, 'PreconditionFailed'])
    expect(await (await fetch(object)).text()).toBe('b')
  })
})

describe('docs/fencing.md', () => {
  it('shows what the examples do', async () => {
    const page = await readFile(join(root, 'docs/fencing.md'), 'utf8')
    const blocks = [...page.matchAll(/```js\n\/\/ (\S+)\n([\s\S]*?)```/g)]
    expect(blocks.length).toBeGreaterThan(2)
    for (const [, file = '', code = ''] of blocks) {
      // The formatter breaks the same lines otherwise where they stand by themselves.
      const example = bare(await readFile(join(root, file), 'utf8'))
      expect(example.includes(bare(code)), `${file} holds ${code}`).toBe(true)
    }
  })
})
