import { connect, type Holdfast, type Lease } from 'holdfast'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Proxy, startProxy } from '../support/proxy.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { describeServers } from '../support/servers-under-test.ts'
import { until } from '../support/until.ts'

describeServers('the fence', (name) => {
  let server: RunningServer
  let proxy: Proxy
  let own: Holdfast
  let last = 0

  beforeEach(async () => {
    server = await startServer({ server: name })
    proxy = await startProxy({ targetPort: server.port })
    own = await connect(proxy.url, { ttlMs: 3000 })
    last = 0
  })
  afterEach(async () => {
    await own.close()
    await proxy.stop()
    await server.stop()
  })

  const grows = async (lease: Lease | Promise<Lease>): Promise<Lease> => {
    const { fence } = await lease
    expect(fence).toBeGreaterThan(last)
    expect(Number.isSafeInteger(fence)).toBe(true)
    last = fence
    return await lease
  }
  const taken = (): Promise<Lease> => grows(own.mutex('m').acquire())

  it('grows from grant to grant, over release, expiry, deletion and handoff', async () => {
    for (let round = 0; round < 20; round++) await (await taken()).release()
    await grows(own.mutex('m').acquire({ ttlMs: 30, renew: false }))
    await taken()
    await server.call('del', 'holdfast:m')
    let lease = await taken()
    for (let round = 0; round < 20; round++) {
      const next = own.mutex('m').acquire()
      await until(async () => (await own.inspect('m'))?.waiting === 1, { what: 'the waiter' })
      await lease.release()
      lease = await grows(next)
    }
  })

  it('grows when its record was lost, to a hand, a flush or a restart', async () => {
    const first = await taken()
    await first.release()
    await server.call('del', '{holdfast:m}~fence')
    await (await taken()).release()
    await server.call('flushall')
    await (await taken()).release()
    await server.call('script', 'flush')
    await (await taken()).release()
    await server.restart({ keepData: false })
    await (await taken()).release()
    // A grant by push finds no record either.
    const holder = await taken()
    const next = own.mutex('m').acquire()
    await until(async () => (await own.inspect('m'))?.waiting === 1, { what: 'the waiter' })
    await server.call('del', '{holdfast:m}~fence')
    await holder.release()
    await (await grows(next)).release()
  })

  it('grows past a record that is ahead of the clock', async () => {
    await (await taken()).release()
    const ahead = last + 3_600_000_000
    const record = String(await server.call('get', '{holdfast:m}~fence'))
    await server.call('set', '{holdfast:m}~fence', record.replace(/^\d+/, String(ahead)))
    last = ahead
    await (await taken()).release()
    expect(last).toBe(ahead + 1)
  })

  it('is the same when a lost reply made the request be repeated', async () => {
    await (await taken()).release()
    for (let round = 0; round < 5; round++) {
      const drawn = async (): Promise<string> =>
        String(await server.call('get', '{holdfast:m}~fence'))
      const before = await drawn()
      // The answer is lost, and the repetition has to wait.
      proxy.cutAfterServer('evalsha')
      await proxy.refuse()
      const taking = taken()
      await until(async () => (await drawn()) !== before, { what: 'the first request to run' })
      const record = await drawn()
      await proxy.accept()
      const lease = await taking
      expect(record.split(' ').slice(0, 2)).toEqual([String(lease.fence), lease.identity])
      await lease.renew()
      expect((await own.inspect('m'))?.holders[0]?.fence).toBe(lease.fence)
      await lease.release()
    }
  })

  it('is drawn with the lock: among rivals the later holder has the larger one', async () => {
    const rivals = await Promise.all(
      Array.from({ length: 4 }, () => connect(server.url, { ttlMs: 1000 })),
    )
    const fences: number[] = []
    await Promise.all(
      rivals.map(async (rival) => {
        for (let turn = 0; turn < 50; turn++) {
          await rival.mutex('m').run(({ fence }) => fences.push(fence))
        }
        await rival.close()
      }),
    )
    expect(fences.length).toBe(200)
    expect(fences).toEqual(fences.toSorted((a, b) => a - b))
    expect(new Set(fences).size).toBe(200)
  })

  it('stays far below the largest exact number', async () => {
    await taken()
    // By then the clock in microseconds reaches it.
    expect(last).toBeLessThan(Number.MAX_SAFE_INTEGER / 4)
    expect(Math.abs(last / 1000 - Date.now())).toBeLessThan(60_000)
  })
})
