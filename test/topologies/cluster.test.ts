import type { Holdfast } from 'holdfast'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type RunningCluster, startCluster } from '../support/cluster.ts'
import { describeTwoServers } from '../support/servers-under-test.ts'
import { until } from '../support/until.ts'
import { Judge, openCluster, type Told, type Way, ways } from './support.ts'

const NAMES = [
  'plain',
  'a{b}c',
  '{}',
  '{',
  '}',
  '}{',
  '{}x{y}',
  'é{ü}',
  'a b\n{c',
  '\0{\0}',
  `}${'x'.repeat(1000)}{`,
]

describeTwoServers('a Cluster', (name) => {
  let cluster: RunningCluster
  let opened: Told[]
  beforeAll(async () => {
    cluster = await startCluster({
      server: name,
      replicas: 1,
      nodeTimeoutMs: 2000,
      // By default the death of one primary stops all shards until its replica has taken over.
      args: ['--cluster-require-full-coverage', 'no'],
    })
  })
  afterAll(() => cluster.stop())
  beforeEach(() => {
    opened = []
  })
  afterEach(async () => {
    for (const each of opened.splice(0)) await each.close()
  })

  async function holdfast(way: Way, options: Parameters<typeof openCluster>[2] = {}) {
    const one = await openCluster(way, cluster, options)
    opened.push(one)
    return one
  }
  /** A name whose lock is served by this node, or by another one than that. */
  async function nameAt(port: number, here = true): Promise<string> {
    for (let at = 0; ; at += 1) {
      const owner = await cluster.primaryOf(`holdfast:job${at}`)
      if ((owner.server.port === port) === here) return `job${at}`
    }
  }

  /** Whether the node of the lock could tell everybody in its line. */
  async function reached(lock: string): Promise<boolean> {
    const owner = await cluster.primaryOf(`holdfast:${lock}`)
    const records = await owner.server.call('hvals', `{holdfast:${lock}}~places`)
    const channels = (records as string[]).map((record) => record.split(' ')[6] ?? '')
    const heard = await owner.server.call('pubsub', 'shardnumsub', ...channels)
    return (
      channels.length > 0 && (heard as unknown[]).every((each, at) => at % 2 === 0 || each === 1)
    )
  }

  /** Makes the slot of a lock refuse it, and gives what ends that. */
  const refusals = [
    [
      'TRYAGAIN',
      async (key: string) => {
        const source = await cluster.primaryOf(key)
        const target = (await cluster.primaries()).find(({ id }) => id !== source.id)
        if (!target) throw new Error('there is no other primary')
        const move = await cluster.migrate(await cluster.slotOf(key), target)
        // Of the keys of the lock, one is here and one is there.
        const { host, port } = target.server
        await source.server.call('migrate', host, port, key, 0, 5000)
        return async () => {
          await move.moveKeys()
          await move.finish()
        }
      },
    ],
    [
      'CLUSTERDOWN',
      async (key: string) => {
        const [{ server }, slot] = [await cluster.primaryOf(key), await cluster.slotOf(key)]
        await server.call('cluster', 'delslots', slot)
        return async () => await server.call('cluster', 'addslots', slot)
      },
    ],
  ] as const

  describe.each(ways)('through %s', (way) => {
    it('keeps all of a lock in one slot, whatever its name', async () => {
      const [a, b] = [await holdfast(way), await holdfast(way)]
      for (const lock of NAMES) {
        const lease = await a.holdfast.mutex(lock).acquire()
        const next = b.holdfast.mutex(lock).acquire()
        await until(async () => (await a.holdfast.inspect(lock))?.waiting === 1, {
          what: `a waiter of ${JSON.stringify(lock)}`,
        })
        await lease.renew()
        expect(await lease.release()).toBe(true)
        const second = await next
        expect(second.fence).toBeGreaterThan(lease.fence)
        expect(await second.release()).toBe(true)
      }
    })

    it('renews locks of many slots side by side', async () => {
      const { holdfast: one, told } = await holdfast(way, { ttlMs: 1000 })
      const leases = await Promise.all(
        Array.from({ length: 50 }, (_, at) => one.mutex(`many ${at}`).acquire()),
      )
      const end = performance.now() + 1500
      await until(() => performance.now() > end, { what: 'more than one life' })
      expect(leases.map(({ held }) => held)).not.toContain(false)
      expect(told.filter((each) => each.startsWith('lost'))).toEqual([])
    })

    it('serves a lock whose slot moves while it is held and waited for', async () => {
      const { holdfast: one, told } = await holdfast(way, { ttlMs: 5000 })
      const other = await holdfast(way, { ttlMs: 5000 })
      const lease = await one.mutex('moving').acquire()
      const waits = [1, 2].map(() => other.holdfast.mutex('moving').acquire())
      await until(async () => (await one.inspect('moving'))?.waiting === 2, { what: 'the line' })
      const source = await cluster.primaryOf('holdfast:moving')
      const target = (await cluster.primaries()).find(({ id }) => id !== source.id)
      if (!target) throw new Error('there is no other primary')
      const move = await cluster.migrate(await cluster.slotOf('holdfast:moving'), target)
      // Of a slot that is on its way, no server runs a script over keys that do not exist yet.
      const beside = one.mutex('{holdfast:moving}beside').acquire({ timeoutMs: 10_000 })
      await lease.renew().catch(() => {})
      await move.moveKeys()
      await lease.renew().catch(() => {})
      await move.finish()
      await until(async () => await lease.renew().then(() => true), {
        what: 'a renewal at the new owner',
      })
      expect(lease.held).toBe(true)
      expect(await lease.release()).toBe(true)
      for (const wait of waits) expect(await (await wait).release()).toBe(true)
      expect((await beside).held).toBe(true)
      const all = [...told, ...other.told]
      expect(all.filter((each) => /^(lost|error)|CROSSSLOT|\b(ASK|MOVED) \d/.test(each))).toEqual(
        [],
      )
    })

    it.each(['the slot', 'the slot of the channel'])(
      'tells a waiter in its turn after %s of its lock moved',
      async (moved) => {
        const ends = [await holdfast(way), await holdfast(way), await holdfast(way)] as const
        const [holder, waiter, newcomer] = ends.map((end) => end.holdfast) as [
          Holdfast,
          Holdfast,
          Holdfast,
        ]
        const { port } = (await cluster.primaryOf('holdfast:first')).server
        // The first lock that a process waits for at a node gives its slot to the channel.
        const [first, second] = ['first', await nameAt(port)]
        const leases = [await holder.mutex(first).acquire(), await holder.mutex(second).acquire()]
        const order: string[] = []
        const waits = [first, second].map((lock) => waiter.mutex(lock).run(() => order.push(lock)))
        await until(() => ends[1].told.length === 2, { what: 'two places in line' })
        const [striking, struck] = moved === 'the slot' ? [second, second] : [first, second]
        const target = (await cluster.primaries()).find(({ server }) => server.port !== port)
        if (!target) throw new Error('there is no other primary')
        const move = await cluster.migrate(await cluster.slotOf(`holdfast:${striking}`), target)
        await move.moveKeys()
        await move.finish()
        await until(
          async () => {
            // However it comes to know.
            await waiter.inspect(striking)
            return await reached(struck)
          },
          { what: 'a channel at the node of the lock', timeoutMs: 15_000 },
        )
        waits.push(newcomer.mutex(struck).run(() => order.push('newcomer')))
        await until(() => ends[2].told.length === 1, { what: 'another place behind' })
        await Promise.all(leases.map((lease) => lease.release()))
        await Promise.all(waits)
        expect(order.indexOf('newcomer')).toBeGreaterThan(order.indexOf(struck))
      },
    )

    it.each(refusals)(
      'keeps a lock whose slot answers %s, and takes nobody for its rival',
      async (word, begin) => {
        const a = await holdfast(way, { ttlMs: 30_000, requestTimeoutMs: 300 })
        const b = await holdfast(way, { ttlMs: 30_000, requestTimeoutMs: 300 })
        const lock = `refused ${word} ${way}`
        const lease = await a.holdfast.mutex(lock).acquire()
        const next = b.holdfast.mutex(lock).acquire()
        next.catch(() => {})
        await until(() => b.told.length > 0, { what: 'the next to wait' })
        const end = await begin(`holdfast:${lock}`)
        // After the first answer the map may say so too.
        const message = expect.stringMatching(`${word}|no node of the Cluster serves the slot`)
        const refused = { code: 'HOLDFAST_ENGINE_FAILED', message }
        await expect(lease.renew()).rejects.toMatchObject(refused)
        await expect(b.holdfast.mutex(lock).tryAcquire()).rejects.toMatchObject(refused)
        expect(lease.held).toBe(true)
        await end()
        await until(async () => await lease.renew().then(() => true), { what: 'a renewal' })
        expect(await lease.release()).toBe(true)
        expect((await next).fence).toBeGreaterThan(lease.fence)
        expect([...a.told, ...b.told].filter((each) => /^(lost|error)/.test(each))).toEqual([])
      },
    )

    it('lets nobody in beside another while the slot moves', async () => {
      const judge = new Judge()
      const stop = new AbortController()
      const crew: Promise<void>[] = []
      for (let at = 0; at < 3; at += 1) {
        const { holdfast: one } = await holdfast(way, { ttlMs: 2000 })
        crew.push(judge.compete(one, 'raced', stop.signal))
      }
      const slot = await cluster.slotOf('holdfast:raced')
      try {
        for (let round = 0; round < 2; round += 1) {
          const before = judge.fences.length
          await until(() => judge.fences.length > before + 5, { what: 'some turns' })
          const source = await cluster.primaryOf('holdfast:raced')
          const target = (await cluster.primaries()).find(({ id }) => id !== source.id)
          if (!target) throw new Error('there is no other primary')
          const move = await cluster.migrate(slot, target)
          await move.moveKeys()
          await move.finish()
          await until(async () => (await cluster.primaryOf('holdfast:raced')) === target, {
            what: 'the move to be known',
          })
        }
        const before = judge.fences.length
        await until(() => judge.fences.length > before + 5, { what: 'turns after the moves' })
      } finally {
        stop.abort()
        await Promise.all(crew)
      }
      expect([judge.overlaps, judge.regressions]).toEqual([0, 0])
    })

    it('asks the replicas of whoever serves the slot after it moved', async () => {
      const { holdfast: one } = await holdfast(way, { ttlMs: 20_000, replicas: { min: 1 } })
      const lease = await one.mutex('followed').acquire()
      const source = await cluster.primaryOf('holdfast:followed')
      const target = (await cluster.primaries()).find(({ id }) => id !== source.id)
      if (!target) throw new Error('there is no other primary')
      const move = await cluster.migrate(await cluster.slotOf('holdfast:followed'), target)
      await move.moveKeys()
      await move.finish()
      const silent = await cluster.replicasOf(target)
      for (const { server } of silent) server.pause()
      try {
        // The replica of the old owner still answers, and has not got what is written now.
        await expect(lease.renew()).rejects.toMatchObject({ code: 'HOLDFAST_TOO_FEW_REPLICAS' })
      } finally {
        for (const { server } of silent) server.resume()
      }
      await until(async () => await lease.renew().then(() => true), { what: 'the new replica' })
      expect(lease.held).toBe(true)
    })

    it('keeps a lease that a replica has when its primary dies, and the others alone', async () => {
      const a = await holdfast(way, { ttlMs: 12_000, replicas: { min: 1 } })
      const b = await holdfast(way, { ttlMs: 12_000 })
      const [dying] = await cluster.primaries()
      if (!dying) throw new Error('there is no primary')
      const struck = await nameAt(dying.server.port)
      const apart = await nameAt(dying.server.port, false)
      const lease = await a.holdfast.mutex(struck).acquire()
      const other = await b.holdfast.mutex(apart).acquire()
      await dying.server.kill()
      try {
        await other.renew()
        await until(async () => (await cluster.primaryOf(`holdfast:${struck}`)) !== dying, {
          what: 'the replica to take over',
          timeoutMs: 20_000,
        })
        // Nobody follows the new primary, so it has nobody to confirm.
        await until(
          async () => (await lease.renew().catch((error: Error) => error))?.name === 'ReplicaError',
          { what: 'an answer of the new primary' },
        )
        expect(await cluster.call(`holdfast:${struck}`, 'get', `holdfast:${struck}`)).toBe(
          lease.identity,
        )
        expect(lease.held).toBe(true)
        expect(b.told.filter((each) => /^(lost|jeopardy|error)/.test(each))).toEqual([])
        expect(await lease.release()).toBe(true)
      } finally {
        await dying.server.start()
        await cluster.whole()
        await until(
          async () =>
            (await cluster.replicasOf(await cluster.primaryOf(`holdfast:${struck}`))).includes(
              dying,
            ),
          { what: 'the old primary to follow' },
        )
      }
    })
  })
})
