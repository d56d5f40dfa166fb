import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Program } from '../support/program.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const path = (file: string): string => join(root, 'examples', file)

let server: RunningServer

beforeAll(async () => {
  // BullMQ warns of any other policy.
  server = await startServer({ args: ['--maxmemory-policy', 'noeviction'] })
})
afterAll(() => server.stop())

describe('examples/fastify', () => {
  async function start(): Promise<{ program: Program; url: string }> {
    const program = new Program(path('fastify/server.mjs'), [server.url, '0'])
    const [, url = ''] = await program.said(/^listening on (\S+)/)
    return { program, url }
  }

  it('serves one request per user at a time, on two servers, and answers 409 to others', async () => {
    const [one, two] = await Promise.all([start(), start()])
    await using _ = one.program
    await using __ = two.program
    const ask = async (url: string, user: number, ms: number) => {
      const answer = await fetch(`${url}/users/${user}/export?ms=${ms}`, { method: 'POST' })
      return { status: answer.status, body: (await answer.json()) as { fence?: number } }
    }
    const long = ask(one.url, 7, 3000)
    const held = () => server.call('exists', 'holdfast:export:7')
    await until(held, { what: 'the first request to have the lock' })
    const busy = await fetch(`${two.url}/users/7/export`, { method: 'POST' })
    expect([busy.status, busy.headers.get('retry-after')]).toEqual([409, '1'])
    expect((await ask(two.url, 8, 1)).status).toBe(200)

    // A server that is stopped answers what is under way, and the lock is free at once.
    const ended = one.program.end('SIGTERM')
    const first = await long
    expect([first.status, await ended]).toEqual([200, 0])
    const next = await ask(two.url, 7, 1)
    expect(next.status).toBe(200)
    expect(next.body.fence).toBeGreaterThan(first.body.fence ?? Number.POSITIVE_INFINITY)
    expect(await two.program.end('SIGTERM')).toBe(0)
  })
})

describe('examples/bullmq', () => {
  it('ends all jobs, and never has two of one account at once', async () => {
    const workers = [1, 2].map(() => new Program(path('bullmq/worker.mjs'), [server.url]))
    await using _ = workers[0] as Program
    await using __ = workers[1] as Program
    await Promise.all(workers.map((worker) => worker.said(/^ready$/)))
    await using adder = new Program(path('bullmq/add.mjs'), [server.url, '12'])
    expect(await adder.end(), adder.lines.join('\n')).toBe(0)
    const ended = () => workers.flatMap((worker) => worker.all(/^\S+ end (\d+) \w+$/))
    await until(() => ended().length === 12, { what: '12 jobs to end', timeoutMs: 30_000 })
    expect(new Set(ended().map(([, job]) => job)).size).toBe(12)
    expectNoOverlap(workers.flatMap((worker) => worker.lines))
    for (const worker of workers) expect(await worker.end('SIGTERM')).toBe(0)
    expect(workers.flatMap((worker) => worker.all(/^failed/))).toEqual([])
  })

  /** Of each account, a job begins when the one before has ended, in whatever process. */
  function expectNoOverlap(lines: readonly string[]): void {
    const jobs = new Map<string, { account: string; begin: string; end: string }>()
    for (const line of lines) {
      const [, at = '', what, job = '', account = ''] =
        /^(\S+) (begin|end) (\d+) (\w+)/.exec(line) ?? []
      if (what === 'begin') jobs.set(job, { account, begin: at, end: '' })
      else if (what === 'end') jobs.set(job, { account, begin: '', ...jobs.get(job), end: at })
    }
    for (const name of ['north', 'south', 'west']) {
      const ofOne = [...jobs.values()]
        .filter(({ account }) => account === name)
        .sort((one, other) => one.begin.localeCompare(other.begin))
      expect(ofOne).toHaveLength(4)
      for (const [at, { begin }] of ofOne.entries()) {
        const before = ofOne[at - 1]?.end ?? ''
        expect(begin >= before, `${begin} comes after ${before}`).toBe(true)
      }
    }
  }
})

describe('examples/election', () => {
  it('follows a leader that was killed', async () => {
    const candidates = ['a', 'b', 'c'].map((name) => ({
      name,
      program: new Program(path('election/candidate.mjs'), [server.url, name]),
    }))
    try {
      const leaders = (without?: string) =>
        candidates
          .filter(({ name }) => name !== without)
          .filter(({ program }) => program.all(/^I lead, /).length > 0)
      const [first] = await until(() => leaders().length && leaders(), { what: 'a leader' })
      if (first === undefined) throw new Error('nobody leads')
      const others = candidates.filter(({ name }) => name !== first.name)
      const told = new RegExp(`^${first.name} leads$`)
      await Promise.all(others.map(({ program }) => program.said(told)))
      await first.program.end('SIGKILL')
      const [second] = await until(() => leaders(first.name).length && leaders(first.name), {
        what: 'the next leader',
        timeoutMs: 20_000,
      })
      const fence = (program?: Program) => Number(program?.all(/^I lead, fence (\d+)/)[0]?.[1])
      expect(fence(second?.program)).toBeGreaterThan(fence(first.program))
      expect(leaders(first.name)).toHaveLength(1)
      await Promise.all(
        others.map(({ program }) => program.said(new RegExp(`^${second?.name} leads$`))),
      )
      for (const { program } of others) expect(await program.end('SIGTERM')).toBe(0)
    } finally {
      for (const { program } of candidates) await program[Symbol.asyncDispose]()
    }
  })
})

describe('examples/shutdown', () => {
  it('lets the next in at once, and leaves no place of one that waited', async () => {
    const start = () => new Program(path('shutdown/worker.mjs'), [server.url])
    const line = async () => Number(await server.call('zcard', '{holdfast:import}~line'))
    await using first = start()
    await first.said(/^step 1 done$/)
    await using waiter = start()
    await until(async () => (await line()) === 1, { what: 'the waiter to stand in the line' })
    await using second = start()
    await until(async () => (await line()) === 2, { what: 'the second to stand in the line' })

    expect(await waiter.end('SIGTERM')).toBe(0)
    expect(waiter.lines.slice(-3)).toEqual(['SIGTERM: finishing', 'was not granted', 'stopped'])
    expect(await line()).toBe(1)

    const left = Number(await server.call('pttl', 'holdfast:import'))
    expect(left).toBeGreaterThan(30_000)
    expect(await first.end('SIGTERM')).toBe(0)
    // In the order of its lines: the step under way was finished before the lock was given back.
    expect(first.lines.slice(-3)).toEqual([
      'SIGTERM: finishing',
      expect.stringMatching(/^step \d+ done$/),
      'stopped',
    ])
    // Far less than what was left of the lease.
    await second.said(/^holding/, 15_000)
    expect(await second.end('SIGTERM')).toBe(0)
    expect(await server.call('exists', 'holdfast:import')).toBe(0)
  })
})

describe('examples/nestjs', () => {
  const built = path('nestjs/dist')
  afterAll(() => rmSync(built, { recursive: true, force: true }))

  it('compiles, provides Holdfast, and closes it with the application', async () => {
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    await promisify(execFile)(process.execPath, [tsc, '-p', path('nestjs'), '--outDir', built])
    const env = { HOLDFAST_URL: server.url }
    await using program = new Program(join(built, 'main.js'), [], env)
    expect(await program.end(), program.lines.join('\n')).toBe(0)
    const said = program.lines.filter((line) => !/HoldfastWarning|--trace-warnings/.test(line))
    expect(said.slice(0, 2).sort()).toEqual([
      'another process is at it',
      expect.stringMatching(/^sent, fence \d+$/),
    ])
    expect(said.slice(2)).toEqual([expect.stringMatching(/^sent, fence \d+$/), 'closed'])
  })
})

describe('examples/rate', () => {
  let api: Server
  let underWay = 0
  let most = 0

  beforeAll(async () => {
    api = createServer((_, response) => {
      underWay += 1
      most = Math.max(most, underWay)
      setTimeout(() => {
        underWay -= 1
        response.end()
      }, 30)
    }).listen(0, '127.0.0.1')
    await once(api, 'listening')
  })
  afterAll(() => void api.close())

  it('bounds the calls of three processes, at once and in time', async () => {
    const url = `http://127.0.0.1:${(api.address() as AddressInfo).port}`
    const start = performance.now()
    const programs = [1, 2, 3].map(
      () => new Program(path('rate/calls.mjs'), [server.url, url, '5']),
    )
    for (const program of programs) {
      expect(await program.end(), program.lines.join('\n')).toBe(0)
      expect(program.lines).toContain('5 of 5 calls answered 200')
    }
    expect(most).toBeLessThanOrEqual(4)
    expect(most).toBeGreaterThan(0)
    // 15 calls, 4 in each period of 500 ms: the last ones come three periods after the first.
    expect(performance.now() - start).toBeGreaterThan(1500)
  })
})

describe('examples/README.md', () => {
  it('lists every folder, and no file that is not there', () => {
    const page = readFileSync(path('README.md'), 'utf8')
    const links = [...page.matchAll(/\]\(([^)]+)\)/g)].map(([, link = '']) => link)
    for (const link of links) expect(existsSync(path(link)), link).toBe(true)
    const folders = readdirSync(path('.'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
    for (const folder of folders) {
      expect(
        links.some((link) => link.startsWith(`${folder}/`)),
        folder,
      ).toBe(true)
    }
  })
})
