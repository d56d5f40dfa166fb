import { connect, createHoldfast } from 'holdfast'
import { quorum } from 'holdfast/quorum'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openRedis } from '../../src/engines/redis/index.ts'
import { loadScripts, timesRun } from '../support/holdfasts.ts'
import { type Proxy, startProxy } from '../support/proxy.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

let servers: RunningServer[]

beforeAll(async () => {
  servers = await Promise.all([startServer(), startServer(), startServer()])
  for (const server of servers) await loadScripts(server)
})
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()))
})

const url = () => `quorum:${servers.map((server) => server.url).join(',')}`

describe('what a quorum sends', () => {
  it('passes a lock on inside one process without a command, with fences that a majority has', async () => {
    await using holdfast = await connect(url())
    await using other = await connect(url())
    const passing = holdfast.mutex('passed', { handover: { withinMs: 60_000 } })
    const first = await passing.acquire()
    const fences = [first.fence]
    const runs = Array.from({ length: 50 }, () => passing.run(({ fence }) => fences.push(fence)))
    const before = await Promise.all(servers.map((server) => timesRun(server, 'evalsha')))
    await first.release()
    await Promise.all(runs)
    const after = await Promise.all(servers.map((server) => timesRun(server, 'evalsha')))
    for (const [index, count] of after.entries()) {
      expect(count - (before[index] ?? 0)).toBeLessThanOrEqual(6)
    }
    const next = await other.mutex('passed').acquire()
    fences.push(next.fence)
    expect(new Set(fences).size).toBe(52)
    expect(fences).toEqual(fences.toSorted((x, y) => x - y))
  })

  it('takes a free lock with one command to each node, and releases it with another', async () => {
    await using holdfast = await connect(url())
    // Whatever connections need at first.
    await (await holdfast.mutex('warm').acquire()).release()
    const before = await Promise.all(servers.map((server) => timesRun(server, 'evalsha')))
    const fences: number[] = []
    for (let round = 0; round < 40; round++) {
      const name = round % 2 === 0 ? 'same' : `new ${round}`
      const lease = await holdfast.mutex(name).acquire()
      if (name === 'same') fences.push(lease.fence)
      await lease.release()
    }
    // The slowest node may still be at the last of them.
    await until(
      async () => {
        const after = await Promise.all(servers.map((server) => timesRun(server, 'evalsha')))
        return after.every((count, index) => count - (before[index] ?? 0) === 80)
      },
      { what: 'two commands for each turn on each node' },
    )
    expect(fences).toEqual([...fences].sort((a, b) => a - b))
  })

  it('refuses a server that is listed twice, by another name or database', async () => {
    const [first, second] = servers
    const again = `redis://localhost:${first!.port}/1`
    await expect(connect(`quorum:${first!.url},${second!.url},${again}`)).rejects.toMatchObject({
      code: 'HOLDFAST_UNSUPPORTED',
      message: expect.stringContaining('are one server'),
    })
    const engines = await Promise.all(
      [first!.url, second!.url, again].map((each) => openRedis(each)),
    )
    await using holdfast = createHoldfast({ engine: quorum(engines) })
    await expect(holdfast.mutex('twice').tryAcquire()).rejects.toMatchObject({
      code: 'HOLDFAST_UNSUPPORTED',
    })
    await expect(holdfast.mutex('twice').tryAcquire()).rejects.toMatchObject({
      code: 'HOLDFAST_UNSUPPORTED',
    })
  })
})

/** A client whose way to one node is shorter than to the others. */
async function contender(nearest: number): Promise<{ proxies: Proxy[]; url: string }> {
  const proxies = await Promise.all(servers.map(({ port }) => startProxy({ targetPort: port })))
  proxies.forEach((proxy, at) => {
    proxy.delay({ requestMs: at === nearest ? 0 : 15, replyMs: 1 })
  })
  return { proxies, url: `quorum:${proxies.map((proxy) => proxy.url).join(',')}` }
}

describe('three contenders on three idle nodes', () => {
  it('all get their turn within ten round trips each, although votes are split', async () => {
    const contenders = await Promise.all([0, 1, 2].map(contender))
    const holdfasts = await Promise.all(contenders.map((each) => connect(each.url)))
    const sent = (at: number) =>
      contenders[at]!.proxies.map((proxy) => {
        const { commands } = proxy.counters
        return (commands.get('evalsha') ?? 0) + (commands.get('eval') ?? 0)
      })
    try {
      // The first wait makes a subscription.
      for (let round = 0; round < 6; round++) {
        const before = contenders.map((_, at) => sent(at))
        await Promise.all(
          holdfasts.map(async (holdfast) => {
            const lease = await holdfast.mutex(`split ${round}`).acquire({ timeoutMs: 10_000 })
            await lease.release()
          }),
        )
        const trips = contenders.map((_, at) =>
          Math.max(...sent(at).map((count, node) => count - (before[at]?.[node] ?? 0))),
        )
        console.log(`round ${round}: ${trips.join(', ')} commands to the busiest node`)
        for (const count of trips) expect(count).toBeLessThanOrEqual(10)
      }
    } finally {
      for (const holdfast of holdfasts) await holdfast.close()
      for (const { proxies } of contenders) for (const proxy of proxies) await proxy.stop()
    }
  })

  it('none of them goes away empty-handed when all only try', async () => {
    const contenders = await Promise.all([0, 1, 2].map(contender))
    const holdfasts = await Promise.all(contenders.map((each) => connect(each.url)))
    try {
      for (let round = 0; round < 6; round++) {
        const leases = await Promise.all(
          holdfasts.map((holdfast) => holdfast.mutex(`try ${round}`).tryAcquire()),
        )
        expect(leases.filter((lease) => lease !== null)).toHaveLength(1)
      }
    } finally {
      for (const holdfast of holdfasts) await holdfast.close()
      for (const { proxies } of contenders) for (const proxy of proxies) await proxy.stop()
    }
  })
})
