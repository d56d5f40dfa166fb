import type { Holdfast } from 'holdfast'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../support/until.ts'
import { flawsOf, type Nodes, open, openUnasked, startNodes, type Turn, takeTurns } from './rig.ts'

let nodes: Nodes
const opened: Holdfast[] = []

beforeAll(async () => {
  nodes = await startNodes(5)
})
afterEach(async () => {
  for (const holdfast of opened.splice(0)) await holdfast.close()
})
afterAll(async () => {
  await nodes.stop()
})

async function processes(count: number): Promise<Holdfast[]> {
  const made = await Promise.all(Array.from({ length: count }, () => open(nodes)))
  opened.push(...made)
  return made
}

interface Failure {
  readonly strike: () => Promise<void> | void
  readonly heal: () => Promise<void> | void
}

/** What may happen to any two of five nodes while work goes on. */
const failures: Readonly<Record<string, Failure>> = {
  'two nodes are killed and come back empty': {
    strike: async () => {
      await Promise.all([nodes.servers[0]!.kill(), nodes.servers[3]!.kill()])
    },
    heal: async () => {
      await Promise.all([nodes.servers[0]!.start(), nodes.servers[3]!.start()])
    },
  },
  'two nodes are stopped': {
    strike: () => {
      nodes.servers[1]!.pause()
      nodes.servers[2]!.pause()
    },
    heal: () => {
      nodes.servers[1]!.resume()
      nodes.servers[2]!.resume()
    },
  },
  'two nodes are black holes': {
    strike: () => {
      nodes.proxies[0]!.blackHole('both')
      nodes.proxies[4]!.blackHole('replies')
    },
    heal: () => {
      nodes.proxies[0]!.heal()
      nodes.proxies[4]!.heal({ stuck: 'drop' })
    },
  },
  'one node is cut off and another is slow': {
    strike: async () => {
      await nodes.proxies[0]!.refuse()
      nodes.proxies[0]!.dropConnections()
      nodes.proxies[2]!.delay({ requestMs: 60, replyMs: 60 })
    },
    heal: async () => {
      await nodes.proxies[0]!.accept()
      nodes.proxies[2]!.heal()
    },
  },
}

describe('while a minority of five fails under load', () => {
  it.each(Object.entries(failures))(
    'work goes on: %s',
    { timeout: 60_000 },
    async (name, failure) => {
      const crew = await processes(3)
      const turns: Turn[] = []
      let over = false
      const work = Promise.all(crew.map((each) => takeTurns(each, name, turns, () => over)))
      const more = async (count: number, what: string) => {
        const wanted = turns.length + count
        await until(() => turns.length >= wanted, { what, timeoutMs: 20_000 })
      }
      await more(10, 'turns before')
      await failure.strike()
      await more(20, 'turns while the nodes are away')
      await failure.heal()
      await more(20, 'turns after they came back')
      over = true
      await work
      expect(flawsOf(turns)).toEqual([])
    },
  )

  it('a lease that is held goes on, and comes back to a node that lost it', async () => {
    const [a] = await processes(1)
    const lease = await a!.mutex('held').acquire({ ttlMs: 1_000 })
    const { fence } = lease
    await nodes.servers[0]!.restart({ keepData: false })
    const key = 'holdfast:held'
    await until(async () => (await nodes.servers[0]!.cli('get', key)) === lease.identity, {
      what: 'the lease to be back on the node that was restarted empty',
    })
    expect(lease.state).toBe('held')
    expect(lease.fence).toBe(fence)
    await lease.release()
    await until(async () => (await nodes.servers[0]!.cli('get', key)) === '', {
      what: 'the lease to be gone there too',
    })
  })
})

describe('when a majority of five is gone', () => {
  it('says who did not answer, tells holders in time, and recovers by itself', async () => {
    const a = await openUnasked(nodes, { requestTimeoutMs: 500 })
    opened.push(a)
    const lease = await a.mutex('gone').acquire({ ttlMs: 1_500 })
    const grantedAt = performance.now()
    for (const at of [0, 1, 2]) nodes.servers[at]!.pause()
    const error: unknown = await a
      .mutex('other')
      .acquire({ timeoutMs: 10_000 })
      .catch((reason: unknown) => reason)
    expect(error).toMatchObject({ name: 'QuorumError', code: 'HOLDFAST_NO_QUORUM', lock: 'other' })
    const { votes } = error as { votes: { node: string; vote: string }[] }
    expect(JSON.parse(JSON.stringify(votes))).toMatchObject(
      nodes.proxies.map(({ port }, at) => ({
        node: `node ${port}`,
        vote:
          at < 3 ? expect.stringMatching(/late|failed/) : expect.stringMatching(/granted|failed/),
      })),
    )
    await until(() => lease.signal.aborted, { what: 'the loss to be told' })
    expect(lease.held).toBe(false)
    expect(performance.now() - grantedAt).toBeGreaterThan(0)
    for (const at of [0, 1, 2]) nodes.servers[at]!.resume()
    const next = await until(() => a.mutex('gone').acquire({ timeoutMs: 3_000 }), {
      what: 'the lock to be served again',
      timeoutMs: 20_000,
    })
    expect(next.fence).toBeGreaterThan(lease.fence)
  })

  it('connects as soon as a majority is there, and not before', { timeout: 60_000 }, async () => {
    for (const at of [0, 1, 2]) await nodes.servers[at]!.kill()
    await expect(open(nodes)).rejects.toMatchObject({ code: 'HOLDFAST_NO_QUORUM' })
    await nodes.servers[0]!.start()
    const holdfast = await open(nodes)
    opened.push(holdfast)
    await (await holdfast.mutex('early').acquire()).release()
    await nodes.servers[1]!.start()
    await nodes.servers[2]!.start()
  })
})
