import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { connect, type Holdfast, ShapeError } from 'holdfast'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { obtain } from '../../scripts/servers.mjs'
import { severalLooks } from '../support/looks.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { describeServers } from '../support/servers-under-test.ts'
import { until } from '../support/until.ts'
import { type Interval, startWorker, type Worker } from '../support/workers.ts'

const run = promisify(execFile)
const plainRecipe = fileURLToPath(new URL('../support/plain-recipe.py', import.meta.url))
const TURNS = 20

describeServers('programs with the plain recipe', (name) => {
  let server: RunningServer
  let own: Holdfast
  beforeAll(async () => {
    server = await startServer({ server: name })
  })
  afterAll(() => server.stop())
  beforeEach(async () => {
    await server.call('flushall')
    own = await connect(server.url, { prefix: '' })
  })
  afterEach(() => own.close())

  it('take turns with ours, several processes each', async () => {
    const python = await obtain('python3-redis')
    const foreign = async (way: string): Promise<Pick<Interval, 'from' | 'to'>[]> => {
      const args = [plainRecipe, String(server.port), 'shared', way, String(TURNS), '3']
      const { stdout } = await run(python.bin, args)
      return (JSON.parse(stdout) as [number, number][]).map(([from, to]) => ({ from, to }))
    }
    const workers: Worker[] = await Promise.all(
      Array.from({ length: 2 }, () => startWorker({ url: server.url, options: { prefix: '' } })),
    )
    const asked = { lock: 'shared', turns: TURNS, holdMs: 3, timeoutMs: 25_000 }
    const lists = await Promise.all([
      foreign('lock'),
      foreign('set'),
      ...workers.map(async (worker) => {
        const { intervals } = await worker.call<{ intervals: Interval[] }>('turns', asked)
        return intervals
      }),
    ])
    for (const worker of workers) await worker.kill()
    expect(lists.map((list) => list.length)).toEqual([TURNS, TURNS, TURNS, TURNS])
    const all = lists.flat().toSorted((a, b) => a.from - b.from)
    for (const [at, { from }] of all.entries()) {
      expect(from).toBeGreaterThanOrEqual(all[at - 1]?.to ?? 0)
    }
  })

  it('keep theirs while ours wait, and ours get it soon after', async () => {
    await server.call('set', 'shared', 'theirs', 'px', 30_000, 'nx')
    expect(await own.mutex('shared').tryAcquire()).toBeNull()
    await expect(own.mutex('shared').acquire({ timeoutMs: 100 })).rejects.toMatchObject({
      code: 'HOLDFAST_ACQUIRE_TIMEOUT',
      occupant: { identity: 'theirs', ours: false },
      message: expect.stringContaining('does not use Holdfast'),
    })
    expect(await server.call('get', 'shared')).toBe('theirs')
    expect(Number(await server.call('pttl', 'shared'))).toBeLessThanOrEqual(30_000)
    expect((await own.inspect('shared'))?.holders[0]).toMatchObject({ ours: false, fence: 0 })
    const next = own.mutex('shared').acquire()
    await until(async () => (await own.inspect('shared'))?.waiting === 1, { what: 'the waiter' })
    // They leave with DEL, and tell nobody.
    await severalLooks(server)
    await server.call('del', 'shared')
    const lease = await next
    expect(await server.call('get', 'shared')).toBe(lease.identity)
    expect(await server.call('set', 'shared', 'theirs', 'nx', 'px', 1000)).toBeNull()
    await lease.release()
    expect(await server.call('set', 'shared', 'theirs', 'nx', 'px', 100)).toBe('OK')
    const waited = await own.mutex('shared').acquire({ timeoutMs: 5000 })
    expect(waited.held).toBe(true)
  })

  it.each(['', '~', 'theirs', '~theirs'])('keep a lock without end, of value %j', async (value) => {
    await server.call('set', 'shared', value)
    const next = own.mutex('shared').acquire()
    next.catch(() => {})
    await until(async () => (await own.inspect('shared'))?.waiting === 1, { what: 'the waiter' })
    expect((await own.inspect('shared'))?.holders[0]).toMatchObject({
      identity: value,
      ours: false,
    })
    expect(await own.mutex('shared').tryAcquire()).toBeNull()
    expect(await server.call('get', 'shared')).toBe(value)
    expect(await server.call('pttl', 'shared')).toBe(-1)
    await server.call('del', 'shared')
    expect((await next).held).toBe(true)
  })

  it('that took over a key keep it, and our lease is told', async () => {
    const lease = await own.mutex('shared').acquire({ ttlMs: 600 })
    const { signal } = lease
    await server.call('set', 'shared', 'theirs', 'px', 30_000)
    await until(() => signal.aborted, { what: 'the loss to be told' })
    expect(lease.signal.reason).toMatchObject({ code: 'HOLDFAST_LEASE_LOST', reason: 'refused' })
    expect(await lease.release()).toBe(false)
    expect(await server.call('get', 'shared')).toBe('theirs')
    const silent = await own.mutex('n').acquire({ ttlMs: 60_000 })
    await server.call('set', 'n', 'theirs', 'px', 30_000)
    expect(await silent.release()).toBe(false)
    expect(await server.call('get', 'n')).toBe('theirs')
    expect(Number(await server.call('pttl', 'n'))).toBeGreaterThan(20_000)
  })

  describe('of another kind', () => {
    it.each([
      ['list', ['lpush', 'shared', 'a', 'b']],
      ['hash', ['hset', 'shared', 'a', 'b']],
      ['set', ['sadd', 'shared', 'a']],
      ['zset', ['zadd', 'shared', '1', 'a']],
      ['stream', ['xadd', 'shared', '*', 'a', 'b']],
    ])('are named and left alone: %s', async (type, command) => {
      await server.call(...command)
      await server.call('pexpire', 'shared', 60_000)
      const before = await server.call('dump', 'shared')
      const failing = [
        () => own.mutex('shared').acquire(),
        () => own.mutex('shared').tryAcquire(),
        () => own.mutex('shared').run(() => {}),
        () => own.mutex('shared').acquire({ timeoutMs: 0 }),
        () => own.inspect('shared'),
      ]
      for (const each of failing) {
        const error = await each().then(
          () => undefined,
          (reason: unknown) => reason,
        )
        expect(error).toBeInstanceOf(ShapeError)
        expect(error).toMatchObject({ lock: 'shared', found: null })
        expect((error as Error).message).toContain(`key "shared", a ${type}`)
      }
      expect(await server.call('dump', 'shared')).toEqual(before)
      expect(Number(await server.call('pttl', 'shared'))).toBeGreaterThan(50_000)
      expect(await server.call('dbsize')).toBe(1)
    })
  })
})
