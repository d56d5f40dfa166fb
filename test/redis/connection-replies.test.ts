import { EngineError, LeaseLostError } from 'holdfast'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  clients,
  loadScripts,
  type Opened,
  open,
  type Settings,
  script,
  take,
  timesRun,
} from '../support/holdfasts.ts'
import { type Proxy, startProxy } from '../support/proxy.ts'
import { watch } from '../support/rig.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

/** So long that nothing in a test becomes free by waiting for the end of a lease. */
const LONG_MS = 120_000

describe.each(clients)('over a bad network, a Holdfast on %s', (way) => {
  let server: RunningServer
  let proxy: Proxy
  let stack: AsyncDisposableStackLike

  beforeAll(async () => {
    server = await startServer()
  })
  afterAll(() => server.stop())
  beforeEach(async () => {
    await server.call('flushall')
    await server.call('config', 'resetstat')
    await loadScripts(server)
    proxy = await startProxy({ targetPort: server.port })
    stack = []
  })
  afterEach(async () => {
    proxy.heal({ stuck: 'drop' })
    for (const one of stack.reverse()) await one[Symbol.asyncDispose]()
    await proxy.stop()
  })

  /** A process behind the network that may fail. */
  const far = (settings?: Settings): Promise<Opened> => opened(proxy.port, settings)
  /** A process that sees the server without faults. */
  const near = (settings?: Settings): Promise<Opened> => opened(server.port, settings)
  const opened = async (port: number, settings: Settings = {}): Promise<Opened> => {
    const one = await open(way, { port }, { ttlMs: LONG_MS, ...settings })
    stack.push(one)
    await one.holdfast.inspect('warm-up')
    return one
  }
  const holder = (name: string): Promise<string> => server.cli('get', `holdfast:${name}`)
  const exists = async (name: string): Promise<boolean> => (await holder(name)) !== ''

  describe('when an answer is lost', () => {
    it('takes the lock once all the same', async () => {
      const { holdfast } = await far()
      proxy.cutAfterServer(script('acquire'))
      const lease = await take(holdfast, 'job')
      expect(proxy.counters.cuts).toBe(1)
      expect(await holder('job')).toBe(lease.identity)
      // A second grant would have drawn a second fence.
      expect((await holdfast.inspect('job'))?.holders[0]?.fence).toBe(lease.fence)
      expect(lease.held).toBe(true)
    })

    it('stands in the line once, where it came', async () => {
      const [{ holdfast, told }, others] = [await far(), await near()]
      const lease = await take(others.holdfast, 'job')
      proxy.cutAfterServer(script('acquire'))
      const order: string[] = []
      const first = holdfast.mutex('job', { label: 'first' }).run(() => order.push('first'))
      await until(() => told.includes('waiting: job'), { what: 'the first to wait' })
      const second = others.holdfast.mutex('job').run(() => order.push('second'))
      await until(async () => (await others.holdfast.inspect('job'))?.waiting === 2, {
        what: 'the second to wait',
      })
      await lease.release()
      await Promise.all([first, second])
      expect(order).toEqual(['first', 'second'])
      expect(proxy.counters.cuts).toBe(1)
      expect(await exists('job')).toBe(false)
    })

    it('has renewed, and loses nothing', async () => {
      const { holdfast, told } = await far()
      const lease = await take(holdfast, 'job')
      proxy.cutAfterServer(script('renew'))
      await lease.renew()
      expect(proxy.counters.cuts).toBe(1)
      expect(lease.held).toBe(true)
      expect(told).not.toContain('lost: refused')
    })

    it('retries a renewal of its own until it is confirmed', async () => {
      const { holdfast, told } = await far()
      proxy.cutAfterServer(script('renew'), 2)
      const lease = await take(holdfast, 'job', { ttlMs: 3000 })
      await until(() => told.includes('secured: job'), { what: 'the lease to be secured' })
      expect(proxy.counters.cuts).toBe(2)
      expect(told.filter((each) => each.startsWith('jeopardy'))).toEqual(['jeopardy: job'])
      expect(lease.state).toBe('held')
      expect(await holder('job')).toBe(lease.identity)
    })

    it('has released, says so, and leaves the successor alone', async () => {
      const [{ holdfast }, others] = [await far(), await near()]
      const lease = await take(holdfast, 'job')
      const runsBefore = await timesRun(server, 'evalsha')
      const next = others.holdfast.mutex('job').acquire()
      await until(() => others.told.includes('waiting: job'), { what: 'the next to wait' })
      proxy.cutAfterServer(script('release'))
      expect(await lease.release()).toBe(true)
      expect(proxy.counters.cuts).toBe(1)
      const successor = await next
      // An acquire, a release whose answer was lost, and that release once more.
      expect(await timesRun(server, 'evalsha')).toBeGreaterThanOrEqual(runsBefore + 3)
      expect(await holder('job')).toBe(successor.identity)
      expect(successor.held).toBe(true)
      expect(await successor.release()).toBe(true)
    })

    it('gives back what it may have taken, after its caller was told of the failure', async () => {
      const settings = { requestTimeoutMs: 300, commandTimeoutMs: 150 }
      const [{ holdfast }, others] = [await far(settings), await near()]
      proxy.blackHole('replies', script('acquire'))
      const failed = holdfast.mutex('job').tryAcquire()
      await until(() => exists('job'), { what: 'the server to have granted it' })
      await expect(failed).rejects.toMatchObject({
        code: 'HOLDFAST_ENGINE_FAILED',
        outcome: 'unknown',
      })
      const lease = await others.holdfast.mutex('job').acquire({ timeoutMs: 10_000 })
      expect(lease.held).toBe(true)
    })

    it('gives back what was granted after its caller cancelled', async () => {
      const [{ holdfast }, others] = [await far(), await near()]
      proxy.delay({ replyMs: 300, match: script('acquire') })
      const cancel = new AbortController()
      const call = watch(holdfast.mutex('job').acquire({ signal: cancel.signal }))
      await until(() => exists('job'), { what: 'the server to have granted it' })
      cancel.abort(new Error('not wanted any more'))
      await until(() => call.settled, { what: 'the call to be cancelled' })
      expect(call.error).toBe(cancel.signal.reason)
      const lease = await others.holdfast.mutex('job').acquire({ timeoutMs: 10_000 })
      expect(lease.held).toBe(true)
    })
  })

  describe('when a request is late', () => {
    it.each([
      ['does not wait', undefined],
      ['waits', 300],
    ])('takes nothing for a caller that %s and is gone', async (_, timeoutMs) => {
      const { holdfast } = await far({ requestTimeoutMs: 300, commandTimeoutMs: 300 })
      proxy.delay({ requestMs: 2000, match: script('acquire') })
      const before = await timesRun(server, 'evalsha')
      const mutex = holdfast.mutex('job')
      const call = timeoutMs === undefined ? mutex.tryAcquire() : mutex.acquire({ timeoutMs })
      await expect(call).rejects.toMatchObject({ code: 'HOLDFAST_ENGINE_FAILED' })
      // Nobody is left to clean up.
      await holdfast.close()
      proxy.heal()
      await until(async () => (await server.cli('client', 'list')).split('\n').length <= 2, {
        what: 'the last request to have arrived',
      })
      expect(await timesRun(server, 'evalsha')).toBeGreaterThan(before)
      expect(await server.cli('keys', '*')).toBe('')
    })
  })

  describe('when answers are slow', () => {
    /** Server first: what is left only shrinks until the lease is asked. */
    const expectHonest = async (lease: { name: string; remainingMs: number }) => {
      const serverLeft = Number(await server.call('pttl', `holdfast:${lease.name}`))
      expect(lease.remainingMs).toBeLessThanOrEqual(serverLeft)
      expect(lease.remainingMs).toBeGreaterThan(0)
    }

    it('counts a lease from when it was asked for', async () => {
      const { holdfast } = await far({ ttlMs: 3000, commandTimeoutMs: 2000, renew: false })
      proxy.delay({ replyMs: 600, match: script('acquire') })
      const lease = await take(holdfast, 'job')
      await expectHonest(lease)
      proxy.delay({ replyMs: 600, match: script('renew') })
      await lease.renew()
      await expectHonest(lease)
    })

    it('counts a pushed lease from no later than its grant', async () => {
      const settings = { ttlMs: 5000, renew: false }
      const [{ holdfast, told }, others] = [await far(settings), await near()]
      const lease = await take(others.holdfast, 'job')
      const next = holdfast.mutex('job').acquire()
      await until(() => told.includes('waiting: job'), { what: 'the next to wait' })
      // A look must not be what finds the grant, so that the message alone is measured.
      proxy.delay({ replyMs: 600, match: ({ args }) => args[0] === 'message' })
      proxy.blackHole('requests', script('renew'))
      await lease.release()
      await expectHonest(await next)
    })

    it('grants nothing when the answer takes longer than the lease', async () => {
      const settings = { ttlMs: 300, requestTimeoutMs: 900, commandTimeoutMs: 2000 }
      const { holdfast } = await far(settings)
      proxy.delay({ replyMs: 500, match: script('acquire') })
      await expect(holdfast.mutex('job').tryAcquire()).rejects.toBeInstanceOf(EngineError)
      proxy.heal()
      const free = async () => !(await exists('job'))
      await until(free, { what: 'the lock to be free' })
    })
  })

  describe('when its lease is over', () => {
    it('releases at once, without an error and without the server', async () => {
      const { holdfast } = await far({ ttlMs: 50, renew: false })
      const lease = await take(holdfast, 'job')
      await until(() => !lease.held, { what: 'the lease to end' })
      proxy.blackHole('both')
      expect(await lease.release()).toBe(false)
    })

    it('hides neither the result nor the error of the work', async () => {
      const { holdfast } = await far({ ttlMs: 50, renew: false })
      const outlast = async () => {
        await until(async () => !(await exists('job')), { what: 'the lease to end' })
      }
      const failing = holdfast.mutex('job').run(async () => {
        await outlast()
        throw new Error('of the work')
      })
      await expect(failing).rejects.toThrow('of the work')
      const lost = holdfast.mutex('job').run(outlast)
      await expect(lost).rejects.toBeInstanceOf(LeaseLostError)
    })
  })

  describe('when its caller cancels after the grant', () => {
    it('keeps the lease, and releases it all the same', async () => {
      const { holdfast } = await far()
      const cancel = new AbortController()
      const lease = await holdfast.mutex('job').acquire({ signal: cancel.signal })
      cancel.abort()
      expect(lease.held).toBe(true)
      expect(await lease.release()).toBe(true)
      expect(await exists('job')).toBe(false)
    })

    it('releases when the work ends, well or not', async () => {
      const { holdfast } = await far()
      for (const works of [true, false]) {
        const cancel = new AbortController()
        const work = holdfast.mutex('job').run(
          async () => {
            cancel.abort(new Error('stop'))
            if (!works) throw cancel.signal.reason as Error
            return 'done'
          },
          { signal: cancel.signal },
        )
        if (works) expect(await work).toBe('done')
        else await expect(work).rejects.toThrow('stop')
        expect(await exists('job')).toBe(false)
      }
    })
  })
})

type AsyncDisposableStackLike = { [Symbol.asyncDispose](): Promise<void> }[]
