import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningServer, startServer } from '../support/servers.ts'
import { describeServers } from '../support/servers-under-test.ts'
import { until } from '../support/until.ts'
import { build, type Event, holdfast } from './run.ts'

interface Interval {
  process: string
  fromMs: number
  toMs: number
  fence: number
  ending: string
}

let temporary: string

beforeAll(async () => {
  await build()
  temporary = mkdtempSync(join(tmpdir(), 'holdfast-scenes-'))
})
afterAll(() => rmSync(temporary, { recursive: true, force: true }))

const demoFolders = (): string[] => readdirSync(temporary)

/** Types of what each process did, in order. */
function deedsOf(events: readonly Event[], name: string): string[] {
  return events
    .filter(({ process, type }) => process === name && type !== 'waits')
    .map(({ type }) => type)
}

const turn = ['tries', 'acquires', 'executes', 'completes', 'releases', 'released']

interface House {
  readonly engine: string
  readonly args: readonly string[]
  /** How long a dead holder's lease still keeps the others out. */
  readonly leftMs: { readonly least: number; readonly most: number }
  expectNothingLeft(): Promise<void>
}

describeServers('the demo', (name) => {
  let server: RunningServer

  beforeAll(async () => {
    server = await startServer({ server: name })
  })
  afterAll(async () => {
    await server?.stop()
  })

  scenes(() => ({
    engine: 'redis',
    args: ['--url', server.url],
    // The lease was two seconds long.
    leftMs: { least: 1000, most: 3000 },
    async expectNothingLeft() {
      const keys = (await server.cli('keys', '*')).split('\n').filter(Boolean)
      for (const key of keys) {
        expect(key).toMatch(/~fence$/)
        expect(Number(await server.cli('pttl', key))).toBeGreaterThan(0)
      }
    },
  }))
})

describe('the demo on a file of its own', () => {
  scenes(() => ({
    engine: 'sqlite',
    args: [],
    // It ends with its process.
    leftMs: { least: 0, most: 3000 },
    expectNothingLeft: async () => expect(demoFolders()).toEqual([]),
  }))
})

function scenes(house: () => House): void {
  async function play(...args: string[]): Promise<{ code: number | null; events: Event[] }> {
    const run = holdfast(['demo', '--json', ...house().args, ...args], { TMPDIR: temporary })
    const { code, err } = await run.end()
    expect(err).toBe('')
    expect(run.processes()).toEqual([])
    return { code, events: run.events }
  }

  it('gives everybody the lock, one at a time', async () => {
    const { code, events } = await play('--processes', '4', '--task-ms', '150')
    const summary = events.at(-1)
    expect(summary).toMatchObject({
      type: 'summary',
      scene: 'line',
      engine: house().engine,
      processes: 4,
      granted: 4,
      refused: 0,
      completed: 4,
      overlaps: 0,
      maxConcurrentHolders: 1,
      staleWritesRefused: 0,
      ok: true,
    })
    expect(code).toBe(0)
    expect(events[0]).toMatchObject({ type: 'start', taskMs: 150 })
    for (const name of ['P1', 'P2', 'P3', 'P4']) expect(deedsOf(events, name)).toEqual(turn)
    const intervals = summary?.['intervals'] as Interval[]
    const fences = intervals.map(({ fence }) => fence)
    expect(fences).toEqual(fences.toSorted((a, b) => a - b))
    for (const { fromMs, toMs } of intervals) expect(toMs - fromMs).toBeGreaterThanOrEqual(150)
    await house().expectNothingLeft()
  })

  it('lets one of those who try once have it, and tells the others', async () => {
    const { code, events } = await play('--try', '--processes', '6', '--task-ms', '50')
    expect(events.at(-1)).toMatchObject({ granted: 1, refused: 5, overlaps: 0, ok: true })
    expect(code).toBe(0)
    const winner = events.find(({ type }) => type === 'acquires')?.process
    const refused = events.filter(({ type }) => type === 'refused')
    expect(refused).toHaveLength(5)
    for (const { process, holder } of refused) {
      // The word of the winner may be the last to arrive on a busy machine.
      expect([winner, undefined]).toContain(holder)
      expect(deedsOf(events, String(process))).toEqual(['tries', 'refused'])
    }
    await house().expectNothingLeft()
  })

  it('survives a holder that is killed, and refuses its late write', async () => {
    const { code, events } = await play('--crash', '--processes', '3', '--task-ms', '200')
    expect(events.at(-1)).toMatchObject({
      granted: 3,
      completed: 2,
      killed: 1,
      failed: 0,
      overlaps: 0,
      staleWritesRefused: 1,
      ok: true,
    })
    expect(code).toBe(0)
    const killed = events.find(({ type }) => type === 'killed')
    const successor = events.find(({ type }) => type === 'succeeds')
    expect(successor).toMatchObject({ dead: killed?.process })
    const { least, most } = house().leftMs
    expect(successor?.['afterMs']).toBeGreaterThan(least)
    expect(successor?.['afterMs']).toBeLessThan(most)
    const [first, late] = events.filter(({ type }) => type === 'writes')
    expect(first).toMatchObject({ process: successor?.process, accepted: true, late: false })
    expect(late).toMatchObject({ process: killed?.process, accepted: false, late: true })
    expect(late?.['largest']).toBe(first?.['fence'])
    expect(Number(late?.['fence'])).toBeLessThan(Number(first?.['fence']))
    const intervals = events.at(-1)?.['intervals'] as Interval[]
    expect(intervals[0]).toMatchObject({ process: killed?.process, ending: 'killed' })
    await house().expectNothingLeft()
  })
}

describe('the demo', () => {
  let server: RunningServer

  beforeAll(async () => {
    server = await startServer()
  })
  afterAll(async () => {
    await server?.stop()
  })

  it('plays with a single process and with very short tasks', async () => {
    const url = ['--url', server.url]
    const one = holdfast(['demo', '--processes', '1', '--task-ms', '1', ...url])
    expect(await one.end()).toMatchObject({ code: 0, err: '' })
    const crash = holdfast(['demo', '--crash', '--processes', '2', '--task-ms', '1', ...url])
    const { code, out } = await crash.end()
    expect(out).toMatch(/store {2}refuses the late write of P\d: fence \d+ is smaller than \d+/)
    expect(code).toBe(0)
  })

  it('tells plain lines where nothing can be redrawn', async () => {
    const run = holdfast(['demo', '--processes', '2', '--task-ms', '400'], {
      HOLDFAST_URL: server.url,
    })
    const { code, out } = await run.end()
    expect(code).toBe(0)
    expect(out).not.toContain('\u001b')
    expect(out).toContain(`Uses the server at ${server.url}`)
    expect(out).toMatch(/P\d {2}acquires the lock: value [0-9a-f]{32}, fence \d{16}\n/)
    expect(out).toMatch(/P\d {2}executes the task █+░+ +\d+ %\n/)
    expect(out).toMatch(/P\d {2}waits in line, next \(P\d holds the lock\)\n/)
    expect(out).toMatch(/overlaps +0\n/)
  })

  it('tells of a process that dies, and ends', async () => {
    const run = holdfast(['demo', '--json', '--processes', '3', '--task-ms', '500'], {
      HOLDFAST_URL: server.url,
    })
    const waits = await until(() => run.events.find(({ type }) => type === 'waits'), {
      what: 'a process to wait',
    })
    process.kill(Number(waits.pid), 'SIGKILL')
    const { code } = await run.end()
    expect(code).toBe(1)
    expect(run.events.filter(({ type }) => type === 'killed')).toMatchObject([
      { process: waits.process, signal: 'SIGKILL', planned: false },
    ])
    expect(run.events.at(-1)).toMatchObject({ granted: 2, failed: 1, overlaps: 0, ok: false })
  })

  it('tells of a server that goes away, and ends', async () => {
    await using mortal = await startServer()
    const run = holdfast(['demo', '--json', '--processes', '2', '--task-ms', '60000'], {
      HOLDFAST_URL: mortal.url,
    })
    await until(() => run.events.find(({ type }) => type === 'waits'), { what: 'one to wait' })
    await mortal.kill()
    expect(await run.end()).toMatchObject({ code: 1 })
    expect(run.events.at(-1)).toMatchObject({ type: 'summary', granted: 1, failed: 2, ok: false })
    expect(run.processes()).toEqual([])
  }, 60_000)

  it('never shows a password', async () => {
    await using locked = await startServer()
    await locked.call('config', 'set', 'requirepass', 'pa55-w0rd')
    const url = locked.url.replace('redis://', 'redis://:pa55-w0rd@')
    const right = await holdfast(['demo', '--processes', '1', '--task-ms', '1'], {
      HOLDFAST_URL: url,
    }).end()
    expect(right.code).toBe(0)
    expect(right.out).toContain('redis://:***@')
    expect(right.out + right.err).not.toContain('pa55-w0rd')
    const wrong = await holdfast(['demo', '--url', url.replace('w0rd', 'w0rt')]).end()
    expect(wrong.code).toBe(69)
    expect(wrong.out + wrong.err).not.toContain('pa55')
  })
})
