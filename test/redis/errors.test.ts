import {
  AcquireTimeoutError,
  connect,
  EngineError,
  type Holdfast,
  HoldfastError,
  LeaseLostError,
  ShapeError,
  UnsupportedError,
} from 'holdfast'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Proxy, startProxy } from '../support/proxy.ts'
import { freePort, type RunningServer, startServer } from '../support/servers.ts'
import { describeServers } from '../support/servers-under-test.ts'
import { until } from '../support/until.ts'

type Options = NonNullable<Parameters<typeof connect>[1]>

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('expected a rejection')
}

describeServers('what went wrong', (name) => {
  let server: RunningServer
  let proxy: Proxy
  const open: AsyncDisposable[] = []
  const holdfast = async (options: Options = {}): Promise<Holdfast> => {
    const made = await connect(proxy.url, options)
    open.push(made)
    return made
  }
  const exists = async (): Promise<unknown> => await server.call('exists', 'holdfast:m')

  beforeAll(async () => {
    server = await startServer({ server: name })
  })
  afterAll(() => server.stop())
  beforeEach(async () => {
    await server.call('flushall')
    proxy = await startProxy({ targetPort: server.port })
  })
  afterEach(async () => {
    proxy.heal({ stuck: 'drop' })
    for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]()
    await proxy.stop()
  })

  describe('is told apart:', () => {
    it('busy', async () => {
      const mutex = (await holdfast({ label: 'nightly' })).mutex('m')
      await mutex.acquire()
      expect(await mutex.tryAcquire()).toBeNull()
      const error = await errorOf(mutex.acquire({ timeoutMs: 0 }))
      expect(error).toBeInstanceOf(AcquireTimeoutError)
      expect(error).toMatchObject({ code: 'HOLDFAST_ACQUIRE_TIMEOUT', timeoutMs: 0, lock: 'm' })
      expect((error as Error).message).toContain(`process ${process.pid}`)
      expect((error as Error).message).toContain('nightly')
      expect((error as AcquireTimeoutError).ahead).toBeUndefined()
    })

    it('timed out in the line', async () => {
      const mutex = (await holdfast()).mutex('m')
      const lease = await mutex.acquire()
      const error = await errorOf(mutex.acquire({ timeoutMs: 150 }))
      expect(error).toBeInstanceOf(AcquireTimeoutError)
      expect(error).toMatchObject({ code: 'HOLDFAST_ACQUIRE_TIMEOUT', timeoutMs: 150, ahead: 0 })
      expect(error).toMatchObject({ occupant: { identity: lease.identity, ours: true } })
    })

    it('aborted, with the reason as it was given', async () => {
      const mutex = (await holdfast()).mutex('m')
      await mutex.acquire()
      const controller = new AbortController()
      const waiting = errorOf(mutex.acquire({ signal: controller.signal }))
      const ran = errorOf(mutex.run(() => {}, { signal: controller.signal }))
      const reason = new TypeError('mine')
      controller.abort(reason)
      expect(await waiting).toBe(reason)
      expect(await ran).toBe(reason)
      expect(await errorOf(mutex.acquire({ signal: controller.signal }))).toBe(reason)
    })

    it('unreachable, with the outcome and the cause', async () => {
      const mutex = (await holdfast({ requestTimeoutMs: 1000, commandTimeoutMs: 400 })).mutex('m')
      proxy.blackHole('replies')
      const silent = await errorOf(mutex.acquire())
      expect(silent).toBeInstanceOf(EngineError)
      expect(silent).toMatchObject({
        code: 'HOLDFAST_ENGINE_FAILED',
        engine: 'redis',
        operation: 'acquire',
        outcome: 'unknown',
        lock: 'm',
      })
      expect((silent as Error).cause).toBeInstanceOf(Error)
      // A lock that nobody can be asked about is neither taken nor free.
      const tried = await errorOf(mutex.tryAcquire())
      expect(tried).toBeInstanceOf(EngineError)
      expect(await errorOf(mutex.acquire({ timeoutMs: 100 }))).toBeInstanceOf(EngineError)
      const nobody = `redis://127.0.0.1:${await freePort()}`
      expect(await errorOf(connect(nobody))).toBeInstanceOf(EngineError)
    })

    it('lost', async () => {
      const own = await holdfast({ ttlMs: 600 })
      const deleted = errorOf(
        own.mutex('m').run(async ({ signal }) => {
          await server.call('del', 'holdfast:m')
          await until(() => signal.aborted, { what: 'the loss' })
        }),
      )
      expect(await deleted).toBeInstanceOf(LeaseLostError)
      expect(await deleted).toMatchObject({ code: 'HOLDFAST_LEASE_LOST', reason: 'refused' })
      const lease = await own.mutex('m').acquire({ renew: false })
      await until(() => !lease.held, { what: 'the lease to end' })
      expect(() => lease.assertHeld()).toThrow(
        expect.objectContaining({ code: 'HOLDFAST_LEASE_LOST', reason: 'expired' }),
      )
    })

    it('misused', async () => {
      const own = await holdfast()
      await server.call('lpush', 'holdfast:m', 'mine')
      const shape = await errorOf(own.mutex('m').acquire())
      expect(shape).toBeInstanceOf(ShapeError)
      expect(shape).toMatchObject({ code: 'HOLDFAST_SHAPE_MISMATCH', lock: 'm', found: null })
      expect(() => own.mutex('')).toThrow(RangeError)
      expect(() => own.mutex(7 as never)).toThrow(TypeError)
      const url = await errorOf(connect('gopher://x'))
      expect(url).toBeInstanceOf(UnsupportedError)
      expect(url).toMatchObject({ code: 'HOLDFAST_UNSUPPORTED' })
    })

    it('closed', async () => {
      const own = await holdfast()
      const mutex = own.mutex('m')
      const lease = await mutex.acquire()
      const waiting = errorOf(mutex.acquire())
      await own.close()
      const errors = [
        await waiting,
        await errorOf(mutex.acquire()),
        await errorOf(mutex.tryAcquire()),
        await errorOf(mutex.run(() => {})),
        await errorOf(own.inspect('m')),
        await errorOf(own.list()),
        await errorOf(lease.renew()),
      ]
      for (const error of errors) {
        expect(error).toBeInstanceOf(HoldfastError)
        expect(error).toMatchObject({ code: 'HOLDFAST_CLOSED' })
      }
      expect(await exists()).toBe(0)
    })
  })

  it('does not hide what the work returned or threw', async () => {
    const own = await holdfast({ ttlMs: 600, requestTimeoutMs: 1000, commandTimeoutMs: 400 })
    const mine = new Error('mine')
    const lost = own.mutex('m').run(
      async ({ signal }) => {
        await until(() => signal.aborted, { what: 'the lease to end' })
        throw mine
      },
      { renew: false },
    )
    expect(await errorOf(lost)).toBe(mine)
    const failing = own.mutex('n').run(
      () => {
        proxy.blackHole('both')
        return 'mine'
      },
      { ttlMs: 60_000 },
    )
    // The release fails, which is no fault of the work.
    expect(await failing).toBe('mine')
    proxy.heal({ stuck: 'drop' })
    await until(async () => (await server.call('exists', 'holdfast:n')) === 0, {
      what: 'the release to be made up for',
    })
  })

  it('touches the server at timeoutMs 0, and takes a lock that is free', async () => {
    const mutex = (await holdfast()).mutex('m')
    const lease = await mutex.acquire({ timeoutMs: 0 })
    expect(await server.call('get', 'holdfast:m')).toBe(lease.identity)
    await lease.release()
    const tried = await mutex.tryAcquire()
    expect(await server.call('get', 'holdfast:m')).toBe(tried?.identity)
  })

  describe('a request that is under way', () => {
    const slow = async (): Promise<Holdfast> => {
      const own = await holdfast({ ttlMs: 60_000, commandTimeoutMs: 5000 })
      await (await own.mutex('m').acquire()).release()
      return own
    }

    it.each(['requestMs', 'replyMs'])(
      'and aborted leaves no orphan, delayed by %s',
      async (way) => {
        const mutex = (await slow()).mutex('m')
        proxy.delay({ [way]: 300 })
        const controller = new AbortController()
        const before = proxy.counters.requests
        const taken = errorOf(mutex.acquire({ signal: controller.signal }))
        await until(() => proxy.counters.requests > before, { what: 'the request to be sent' })
        controller.abort()
        expect(await taken).toMatchObject({ name: 'AbortError' })
        await until(() => proxy.counters.requests >= before + 2, { what: 'the clean-up' })
        await until(async () => (await exists()) === 0, { what: 'no lock to be left' })
        expect((await server.call('get', '{holdfast:m}~fence')) as string).toMatch(/^\d+ /)
      },
    )

    it.each(['requestMs', 'replyMs'])('and timed out leaves no orphan, by %s', async (way) => {
      const mutex = (await slow()).mutex('m')
      const fence = await server.call('get', '{holdfast:m}~fence')
      proxy.delay({ [way]: 400 })
      const before = proxy.counters.requests
      const error = await errorOf(mutex.acquire({ timeoutMs: 100 }))
      expect(error).toBeInstanceOf(EngineError)
      await until(async () => (await server.call('get', '{holdfast:m}~fence')) !== fence, {
        what: 'the server to have granted it',
      })
      await until(async () => (await exists()) === 0, { what: 'no lock to be left' })
      expect(proxy.counters.requests).toBeLessThanOrEqual(before + 3)
    })

    it('and never answered is cleaned up once the server answers again', async () => {
      const own = await holdfast({ ttlMs: 60_000, requestTimeoutMs: 1000, commandTimeoutMs: 400 })
      await (await own.mutex('m').acquire()).release()
      proxy.blackHole('replies')
      expect(await errorOf(own.mutex('m').acquire())).toBeInstanceOf(EngineError)
      expect(await exists()).toBe(1)
      proxy.heal({ stuck: 'drop' })
      await until(async () => (await exists()) === 0, { what: 'no lock to be left' })
    })

    it('and late is refused by the server, long after its caller gave up', async () => {
      const own = await holdfast({ ttlMs: 60_000, requestTimeoutMs: 1000, commandTimeoutMs: 400 })
      await (await own.mutex('m').acquire()).release()
      const fence = await server.call('get', '{holdfast:m}~fence')
      const calls = async (): Promise<number> => {
        const stats = await server.cli('info', 'commandstats')
        return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1])
      }
      proxy.blackHole('requests')
      expect(await errorOf(own.mutex('m').tryAcquire())).toBeInstanceOf(EngineError)
      const before = await calls()
      proxy.heal({ stuck: 'deliver' })
      await until(async () => (await calls()) > before, { what: 'the request to arrive' })
      expect(await server.call('get', '{holdfast:m}~fence')).toBe(fence)
      expect(await exists()).toBe(0)
    })
  })
})
