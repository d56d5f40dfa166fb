import { connect, type RawConnection } from '../support/raw-redis.ts'
import type { RunningServer } from '../support/servers.ts'
import { moment } from './crew.ts'
import { between, type Fault, oneOf, RECONNECT_MS, type Scene, type Struck } from './fault.ts'

/** One of the servers that serve keys now: on a quorum one node of it. */
async function aServer({ ground, random }: Scene): Promise<RunningServer> {
  const server = oneOf(random, await ground.primaries())
  if (server === undefined) throw new Error('nobody serves keys')
  return server
}

/** Sets something on a server for a while, and takes it back on the same connection. */
function forAWhile(
  set: (connection: RawConnection, scene: Scene, server: RunningServer) => Promise<unknown>,
  unset: (connection: RawConnection) => Promise<unknown>,
) {
  return async (scene: Scene): Promise<Struck> => {
    const server = await aServer(scene)
    const connection = await connect(server.port)
    try {
      const from = moment()
      await set(connection, scene, server)
      await scene.wait(between(scene.random, 0.2, 1.3) * scene.ttlMs)
      await unset(connection)
      return { from, until: moment() }
    } finally {
      connection.close()
    }
  }
}

/** Does something on a server once. */
function once(act: (server: RunningServer, scene: Scene) => Promise<unknown>) {
  return async (scene: Scene): Promise<Struck> => {
    const server = await aServer(scene)
    const from = moment()
    await act(server, scene)
    return { from, until: moment() }
  }
}

/** Something that another program does to the key of a lock that is held. */
function toHeldKey(act: (server: RunningServer, key: string) => Promise<unknown>) {
  return async (scene: Scene): Promise<Struck | undefined> => {
    const { crew, ground, locks, random } = scene
    const lock = oneOf(
      random,
      locks.filter((one) => crew.at(one, 'holds').length > 0),
    )
    const slot = lock === undefined ? undefined : crew.at(lock, 'holds')[0]
    if (lock === undefined || slot?.process === undefined) return undefined
    const from = moment()
    await act(await ground.primary(), `holdfast:${lock}`)
    return { process: slot.process.name, from, until: moment() }
  }
}

async function pauseServer(scene: Scene): Promise<Struck> {
  const server = await aServer(scene)
  const from = moment()
  server.pause()
  await scene.wait(between(scene.random, 0.3, 2) * scene.ttlMs)
  server.resume()
  return { from, until: moment() }
}

async function restart(server: RunningServer, { random, wait }: Scene): Promise<void> {
  await server.kill()
  await wait(between(random, 0, 100))
  await server.start()
}

/** A script that runs for as long as it is let, while the server refuses everything else. */
async function beBusy(scene: Scene): Promise<Struck> {
  const server = await aServer(scene)
  const [busy, other] = await Promise.all([connect(server.port), connect(server.port)])
  try {
    const from = moment()
    const ended = busy.call('eval', 'while true do end', 0).catch(() => 'killed')
    await scene.wait(between(scene.random, 0.3, 1.3) * scene.ttlMs)
    // Asked too early, a server says that no script runs long enough to be ended.
    while ((await other.call('script', 'kill').catch(() => 'not yet')) !== 'OK') {
      await scene.wait(10)
    }
    await ended
    return { from, until: moment() }
  } finally {
    busy.close()
    other.close()
  }
}

/** Lets the server read its data anew, slowly, and refuse everything meanwhile. */
async function load(server: RunningServer, { random, ttlMs }: Scene): Promise<void> {
  const connection = await connect(server.port)
  try {
    const keys = 400
    await connection.call('config', 'set', 'loading-process-events-interval-bytes', 1024)
    await connection.call('debug', 'populate', keys, 'filler', 50)
    const delayUs = (between(random, 0.3, 1.2) * ttlMs * 1000) / keys
    await connection.call('config', 'set', 'key-load-delay', Math.round(delayUs))
    await connection.call('debug', 'reload')
    await connection.call('config', 'set', 'key-load-delay', 0)
  } finally {
    connection.close()
  }
}

/** Something else needs the memory, and the server throws out whatever it has. */
async function evict(server: RunningServer): Promise<void> {
  const connection = await connect(server.port)
  try {
    await connection.call('config', 'set', 'maxmemory-policy', 'allkeys-lru')
    await connection.call('config', 'set', 'maxmemory', 1)
    // Refused in the end, when nothing is left to throw out.
    await connection.call('set', 'filler', 'x').catch(() => undefined)
    await connection.call('config', 'set', 'maxmemory', 0)
    await connection.call('config', 'set', 'maxmemory-policy', 'noeviction')
  } finally {
    connection.close()
  }
}

// Any of them may cost connections: what does not answer in time is connected to anew.
const many = { on: ['one', 'quorum'], scope: 'all', furtherMs: RECONNECT_MS } as const
const single = { ...many, on: ['one'] } as const

export const serverFaults: readonly Fault[] = [
  {
    ...many,
    kind: 'restart',
    title: 'server killed and restarted with its data (append-only file)',
    needs: 'keeps',
    strike: once(restart),
  },
  {
    ...many,
    kind: 'restart-empty',
    title: 'server killed and restarted without data',
    breaksExclusion: true,
    strike: once((server) => server.restart({ keepData: false })),
  },
  {
    ...many,
    kind: 'pause-server',
    title: 'server stopped for up to two leases (SIGSTOP)',
    strike: pauseServer,
  },
  {
    ...many,
    kind: 'script-flush',
    title: 'SCRIPT FLUSH',
    strike: once((server) => server.call('script', 'flush')),
  },
  {
    ...many,
    kind: 'client-kill',
    title: 'CLIENT KILL of all connections',
    strike: once((server, { random }) =>
      server.call('client', 'kill', 'type', random() < 0.5 ? 'normal' : 'pubsub'),
    ),
  },
  {
    ...many,
    kind: 'memory-full',
    title: 'memory full (maxmemory, noeviction)',
    strike: forAWhile(
      (connection) => connection.call('config', 'set', 'maxmemory', 1),
      (connection) => connection.call('config', 'set', 'maxmemory', 0),
    ),
  },
  {
    ...single,
    kind: 'evict',
    title: 'locks evicted (allkeys-lru)',
    breaksExclusion: true,
    strike: once(evict),
  },
  {
    ...many,
    kind: 'readonly',
    title: 'server made a replica (READONLY) and a primary again',
    strike: forAWhile(
      // Nobody listens there, so that it keeps its data.
      (connection) => connection.call('replicaof', '127.0.0.1', 1),
      (connection) => connection.call('replicaof', 'no', 'one'),
    ),
  },
  {
    ...single,
    kind: 'loading',
    title: 'server loads its data (LOADING)',
    strike: once(load),
  },
  {
    ...many,
    kind: 'permissions',
    title: 'permission to run scripts taken away (ACL)',
    strike: forAWhile(
      (connection, { random }) => {
        const rights = random() < 0.5 ? ['-evalsha', '-eval'] : ['-publish', '-@write']
        return connection.call('acl', 'setuser', 'default', ...rights)
      },
      (connection) => connection.call('acl', 'setuser', 'default', '+@all'),
    ),
  },
  {
    ...many,
    kind: 'busy-script',
    title: 'another script blocks the server (BUSY)',
    strike: beBusy,
  },
  {
    ...single,
    kind: 'server-clock-ahead',
    title: "server's clock set ahead, up to three leases",
    needs: 'clock',
    breaksExclusion: true,
    strike: once(async (_, { ground, random, ttlMs }) => {
      ground.clock?.step(between(random, 0.2, 3) * ttlMs)
    }),
  },
  {
    ...single,
    kind: 'server-clock-back',
    title: "server's clock set back, up to one lease",
    needs: 'clock',
    breaksExclusion: true,
    furtherMs: 400 + RECONNECT_MS,
    strike: once(async (_, { ground, random, ttlMs }) => {
      ground.clock?.step(-between(random, 0.2, 1) * ttlMs)
    }),
  },
  {
    ...single,
    kind: 'foreign-del',
    title: 'key of a held lock deleted by another program (DEL)',
    breaksExclusion: true,
    strike: toHeldKey((server, key) => server.call('del', key)),
  },
  {
    ...single,
    kind: 'overwritten',
    title: 'key of a held lock overwritten by another program for a while',
    breaksExclusion: true,
    furtherMs: 300 + RECONNECT_MS,
    strike: toHeldKey((server, key) => server.call('set', key, 'not yours', 'px', 300)),
  },
  {
    ...many,
    kind: 'flushall',
    title: 'FLUSHALL',
    breaksExclusion: true,
    strike: once((server) => server.call('flushall')),
  },
]
