import { connect, type Holdfast } from 'holdfast'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { renew as renewScript } from '../../src/engines/redis/scripts.generated.ts'
import { type ProxiedRequest, type Proxy, startProxy } from '../support/proxy.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { describeServers } from '../support/servers-under-test.ts'
import { until } from '../support/until.ts'

type Options = NonNullable<Parameters<typeof connect>[1]>

const isRenewal = ({ raw }: ProxiedRequest): boolean =>
  raw.includes(renewScript.sha1) || raw.includes(renewScript.source)

describeServers('renewal', (name) => {
  let server: RunningServer
  let proxy: Proxy
  const open: AsyncDisposable[] = []
  const holdfast = async (options: Options = {}): Promise<Holdfast> => {
    const made = await connect(proxy.url, options)
    open.push(made)
    return made
  }
  const told = (own: Holdfast): string[] => {
    const list: string[] = []
    for (const event of ['jeopardy', 'secured', 'lost', 'released', 'error'] as const) {
      own.on(event, () => list.push(event))
    }
    return list
  }
  const passed = (ms: number): Promise<boolean> => {
    const start = performance.now()
    return until(() => performance.now() - start > ms, { what: `${ms} ms to pass` })
  }

  beforeAll(async () => {
    server = await startServer({ server: name })
  })
  afterAll(() => server.stop())
  beforeEach(async () => {
    await server.call('flushall')
    proxy = await startProxy({ targetPort: server.port })
  })
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]()
    await proxy.stop()
  })

  it('never makes a lock again that somebody deleted, and tells the holder', async () => {
    const own = await holdfast({ ttlMs: 900 })
    const events = told(own)
    const lease = await own.mutex('m').acquire()
    const { signal } = lease
    await server.call('del', 'holdfast:m')
    await until(() => signal.aborted, { what: 'the loss to be told' })
    expect(signal.reason).toMatchObject({ code: 'HOLDFAST_LEASE_LOST', reason: 'refused' })
    await expect(lease.renew()).rejects.toMatchObject({ reason: 'refused' })
    await passed(900)
    expect(await server.call('exists', 'holdfast:m')).toBe(0)
    expect(events).toEqual(['lost'])
    expect(await lease.release()).toBe(false)
  })

  it('does not touch the lock of a successor', async () => {
    const own = await holdfast({ ttlMs: 600 })
    const lease = await own.mutex('m').acquire()
    const { signal } = lease
    await server.call('del', 'holdfast:m')
    const successor = await (await holdfast()).mutex('m').acquire({ ttlMs: 30_000, renew: false })
    await until(() => signal.aborted, { what: 'the loss to be told' })
    expect(await lease.release()).toBe(false)
    await passed(300)
    expect(await server.call('get', 'holdfast:m')).toBe(successor.identity)
    expect(Number(await server.call('pttl', 'holdfast:m'))).toBeLessThanOrEqual(30_000)
    await expect(successor.renew()).resolves.toBeUndefined()
    // A release that does not know of its loss yet.
    const unaware = await own.mutex('n').acquire({ ttlMs: 60_000 })
    await server.call('del', 'holdfast:n')
    const heir = await (await holdfast()).mutex('n').acquire()
    expect(await unaware.release()).toBe(false)
    expect(await server.call('get', 'holdfast:n')).toBe(heir.identity)
  })

  it('that was under way at the release leaves no lock behind', async () => {
    const own = await holdfast({ ttlMs: 600 })
    for (let round = 0; round < 5; round++) {
      const lease = await own.mutex(`m${round}`).acquire()
      proxy.delay({ requestMs: 60, match: isRenewal })
      const renewing = lease.renew()
      const [released] = await Promise.all([lease.release(), renewing.catch(() => {})])
      expect(released).toBe(true)
      expect(lease.state).toBe('released')
      expect(await server.call('exists', `holdfast:m${round}`)).toBe(0)
      proxy.heal()
    }
  })

  it('goes on after an error, and says when it is safe again', async () => {
    const own = await holdfast({ ttlMs: 1200 })
    const events = told(own)
    const lease = await own.mutex('m').acquire()
    proxy.cutAfterServer(isRenewal)
    await until(() => events.includes('secured'), { what: 'the lease to be safe again' })
    await passed(1200)
    proxy.cutBeforeServer(isRenewal)
    await until(() => events.length === 4, { what: 'the second spell to pass' })
    await passed(1200)
    expect(lease.held).toBe(true)
    expect(events).toEqual(['jeopardy', 'secured', 'jeopardy', 'secured'])
    expect(await server.call('get', 'holdfast:m')).toBe(lease.identity)
  })

  it('that is answered no more ends in a loss, told while the server still keeps others out', async () => {
    const own = await holdfast({ ttlMs: 1000, commandTimeoutMs: 5000 })
    const events = told(own)
    const lease = await own.mutex('m').acquire()
    const { signal } = lease
    // The server sees every renewal; only its answers are missing.
    proxy.blackHole('requests', isRenewal)
    const over: number[] = []
    await until(
      async () => {
        const askedAt = performance.now()
        const { remainingMs } = lease
        if (remainingMs === 0) return true
        const left = Number(await server.call('pttl', 'holdfast:m'))
        // What the server told was true at some moment of the question.
        over.push(remainingMs - left - (performance.now() - askedAt))
        return false
      },
      { what: 'the loss to be told' },
    )
    expect(over.length).toBeGreaterThan(5)
    expect(Math.max(...over)).toBeLessThanOrEqual(0)
    expect(signal.aborted).toBe(true)
    expect(signal.reason).toMatchObject({ code: 'HOLDFAST_LEASE_LOST', reason: 'expired' })
    expect(lease.held).toBe(false)
    expect(events.at(-1)).toBe('lost')
    proxy.heal({ stuck: 'drop' })
    const next = await (await holdfast()).mutex('m').acquire()
    expect(next.fence).toBeGreaterThan(lease.fence)
  })

  it('that fails is no unhandled rejection, and the work is told', async () => {
    const own = await holdfast({ ttlMs: 800, requestTimeoutMs: 1000, commandTimeoutMs: 400 })
    const ran = own.mutex('m').run(async (lease) => {
      await proxy.refuse()
      proxy.dropConnections()
      await until(() => lease.signal.aborted, { what: 'the work to be told' })
      return 'done'
    })
    await expect(ran).rejects.toMatchObject({ code: 'HOLDFAST_LEASE_LOST', reason: 'expired' })
    await proxy.accept()
  })

  it('gives every acquisition an identity of its own, that frees nobody else', async () => {
    const own = await holdfast()
    const mutex = own.mutex('m')
    const identities = new Set<unknown>()
    let before = await mutex.acquire()
    for (let round = 0; round < 100; round++) {
      const next = mutex.acquire()
      await before.release()
      const lease = await next
      expect(await before.release()).toBe(true)
      expect(await server.call('get', 'holdfast:m')).toBe(lease.identity)
      identities.add(lease.identity)
      before = lease
    }
    expect(identities.size).toBe(100)
  })

  describe('of short leases', () => {
    it.each([20, 150, 1250])('of %d ms keeps a measured pace', async (ttlMs) => {
      const own = await holdfast({ ttlMs })
      const mutex = own.mutex('m')
      await (await mutex.acquire()).release()
      const before = proxy.counters.requests
      const start = performance.now()
      let turns = 0
      const work = mutex.run(async ({ signal }) => {
        turns += 1
        const from = performance.now()
        await until(() => signal.aborted || performance.now() - from > 1300, { what: 'the work' })
      })
      await work.catch((error: unknown) => {
        // A loaded machine may miss twenty milliseconds; that is a loss that is told.
        expect(error).toMatchObject({ code: 'HOLDFAST_LEASE_LOST' })
      })
      const thirds = ((performance.now() - start) * 3) / ttlMs
      expect(turns).toBe(1)
      // A renewal for each third of the ttl, a few more where it was late; take and release.
      expect(proxy.counters.requests - before).toBeLessThanOrEqual(thirds * 2 + 6)
    })
  })
})
