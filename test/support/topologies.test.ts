import { afterAll, beforeAll, expect, it } from 'vitest'
import { type RunningCluster, startCluster } from './cluster.ts'
import { ReplyError } from './raw-redis.ts'
import { startSentinel } from './sentinel.ts'
import { describeServers } from './servers-under-test.ts'
import { until } from './until.ts'

describeServers('a Cluster', (name) => {
  let cluster: RunningCluster
  beforeAll(async () => {
    cluster = await startCluster({ server: name, replicas: 1, nodeTimeoutMs: 1000 })
  })
  afterAll(() => cluster.stop())

  it('shares the slots among its primaries, each with its replicas', async () => {
    const primaries = await cluster.primaries()
    expect(primaries).toHaveLength(3)
    for (const node of primaries) expect(await cluster.replicasOf(node)).toHaveLength(1)
    const owner = await cluster.primaryOf('a')
    expect(await cluster.call('a', 'set', 'a', '1')).toBe('OK')
    const other = primaries.find(({ id }) => id !== owner.id)
    await expect(other?.server.call('get', 'a')).rejects.toThrow(/^MOVED/)
  })

  it('moves a slot: ASK once the key is moved, MOVED once it is finished', async () => {
    await cluster.call('moving', 'set', 'moving', 'x')
    const source = await cluster.primaryOf('moving')
    const target = (await cluster.primaries()).find(({ id }) => id !== source.id)
    if (!target) throw new Error('there is only one primary')
    const migration = await cluster.migrate(await cluster.slotOf('moving'), target)
    expect(await source.server.call('get', 'moving')).toBe('x')
    await migration.moveKeys()
    await expect(source.server.call('get', 'moving')).rejects.toThrow(/^ASK /)
    await migration.finish()
    await expect(source.server.call('get', 'moving')).rejects.toThrow(ReplyError)
    expect(await target.server.call('get', 'moving')).toBe('x')
    await until(async () => (await cluster.primaryOf('moving')).id === target.id, {
      what: 'all nodes to know the new owner',
    })
  })

  it('promotes a replica when a primary dies', async () => {
    const old = await cluster.primaryOf('a')
    await old.server.kill()
    await until(async () => (await cluster.primaryOf('a')).id !== old.id, {
      what: 'a replica to be promoted',
      timeoutMs: 20_000,
    })
    await cluster.whole()
    await old.server.start()
    await until(async () => (await cluster.replicasOf(await cluster.primaryOf('a'))).length === 1, {
      what: 'the old primary to come back as a replica',
      timeoutMs: 20_000,
    })
  })
})

describeServers('Sentinels', (name) => {
  it('promote a replica when the primary dies', async () => {
    await using group = await startSentinel({ server: name, downAfterMs: 500 })
    const old = await group.primary()
    expect(old).toBe(group.servers[0])
    await old.kill()
    const now = await group.promoted(old)
    expect(await now.call('set', 'a', '1')).toBe('OK')
  })
})
