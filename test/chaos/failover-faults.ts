import { loadBinding } from '../../src/engines/sqlite/binding.ts'
import type { RunningServer } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { moment } from './crew.ts'
import { between, type Fault, oneOf, RECONNECT_MS, type Scene, type Struck } from './fault.ts'

async function linked(replica: RunningServer): Promise<void> {
  await until(
    async () => (await replica.cli('info', 'replication')).includes('master_link_status:up'),
    { what: 'the replica to be linked', timeoutMs: 20_000 },
  )
}

/** The replica is made primary while the newest locks have not reached it. */
async function byHand(scene: Scene): Promise<Struck> {
  const { ground, random, wait } = scene
  const [proxy] = ground.proxies
  const old = await ground.primary()
  const next = ground.servers.find((server) => server !== old)
  if (proxy === undefined || next === undefined) throw new Error('there is no pair')
  await linked(next)
  // What is written from here on does not reach it.
  next.pause()
  await wait(between(random, 30, 200))
  const from = moment()
  await old.kill()
  next.resume()
  await next.call('replicaof', 'no', 'one')
  proxy.retarget(next.port)
  proxy.dropConnections()
  const until = moment()
  await old.start()
  await old.call('replicaof', next.host, next.port)
  await linked(old)
  return { from, until }
}

async function bySentinels({ ground }: Scene): Promise<Struck> {
  const { sentinel } = ground
  if (sentinel === undefined) throw new Error('there are no Sentinels')
  const old = await sentinel.whole()
  const from = moment()
  await old.kill()
  await sentinel.promoted(old)
  const healed = moment()
  await old.start()
  // It is a second primary until the Sentinels make it a replica, 8 s and more.
  await sentinel.whole()
  return { from, until: healed }
}

async function byCluster(scene: Scene): Promise<Struck> {
  const { ground, locks, random } = scene
  const { cluster } = ground
  const lock = oneOf(random, locks)
  if (cluster === undefined || lock === undefined) throw new Error('there is no Cluster')
  const old = await cluster.primaryOf(`holdfast:${lock}`)
  const from = moment()
  await old.server.kill()
  await until(async () => (await cluster.primaryOf(`holdfast:${lock}`)).id !== old.id, {
    what: 'the replica to take over',
    timeoutMs: 30_000,
    everyMs: 20,
  })
  await cluster.whole()
  const healed = moment()
  await old.server.start()
  await linked(old.server)
  return { from, until: healed }
}

/** The replica takes over by itself, without the others and without the primary's consent. */
async function takeover(scene: Scene): Promise<Struck> {
  const { ground, locks, random } = scene
  const { cluster } = ground
  const lock = oneOf(random, locks)
  if (cluster === undefined || lock === undefined) throw new Error('there is no Cluster')
  const old = await cluster.primaryOf(`holdfast:${lock}`)
  // The last one to be taken over may be seen as a replica by itself alone so far.
  const replica = await until(async () => (await cluster.replicasOf(old))[0], {
    what: 'the primary to have a replica',
    timeoutMs: 20_000,
  })
  const from = moment()
  await replica.server.call('cluster', 'failover', 'takeover')
  await until(async () => (await old.server.cli('info', 'replication')).includes('role:slave'), {
    what: 'the old primary to follow',
    timeoutMs: 20_000,
    everyMs: 10,
  })
  await cluster.whole()
  const healed = moment()
  await linked(old.server)
  return { from, until: healed }
}

/** Another process writes to the file and does not finish. */
async function holdFile({ ground, random, ttlMs, wait }: Scene): Promise<Struck> {
  const connection = loadBinding()(ground.file ?? '')
  try {
    await until(
      () => {
        connection.exec('BEGIN IMMEDIATE')
        return true
      },
      { what: 'the file to be free for a moment', everyMs: 1 },
    )
    const from = moment()
    await wait(between(random, 0.2, 1.3) * ttlMs)
    connection.exec('ROLLBACK')
    return { from, until: moment() }
  } finally {
    connection.close()
  }
}

export const failoverFaults: readonly Fault[] = [
  {
    kind: 'failover-by-hand',
    title: 'replica promoted by hand before the newest locks reached it',
    on: ['by hand'],
    scope: 'all',
    breaksExclusion: true,
    furtherMs: RECONNECT_MS,
    strike: byHand,
  },
  {
    kind: 'failover-sentinel',
    title: 'primary killed, Sentinels fail over',
    on: ['sentinel'],
    scope: 'all',
    breaksExclusion: true,
    furtherMs: 2000,
    strike: bySentinels,
  },
  {
    kind: 'failover-cluster',
    title: 'primary killed, Cluster fails over',
    on: ['cluster'],
    scope: 'all',
    breaksExclusion: true,
    furtherMs: 2000,
    strike: byCluster,
  },
  {
    kind: 'takeover',
    title: 'replica takes over a shard without asking (CLUSTER FAILOVER TAKEOVER)',
    on: ['cluster'],
    scope: 'all',
    breaksExclusion: true,
    furtherMs: 2000,
    strike: takeover,
  },
  {
    kind: 'file-busy',
    title: 'another process keeps the SQLite file locked',
    on: ['sqlite'],
    scope: 'all',
    strike: holdFile,
  },
]
