import { join } from 'node:path'
import { type RunningCluster, startCluster } from '../support/cluster.ts'
import { type Proxy, startProxy } from '../support/proxy.ts'
import { type RunningSentinel, startSentinel } from '../support/sentinel.ts'
import {
  type RunningServer,
  type ServerName,
  startReplica,
  startServer,
} from '../support/servers.ts'
import { clockShim, SetClock } from './clock-shim.ts'

/** What the locks of a run are kept on. */
export interface GroundSpec {
  readonly on: 'one' | 'by hand' | 'sentinel' | 'cluster' | 'quorum' | 'sqlite'
  readonly server?: ServerName
  /** The server writes down every command before it answers, and has it after a restart. */
  readonly keeps?: boolean
  /** The server's clock can be set. */
  readonly clock?: boolean
}

export interface Ground {
  readonly spec: GroundSpec
  /** What a table calls it, with the version of the servers. */
  readonly title: string
  readonly servers: readonly RunningServer[]
  /** The server's clock, where it can be set. */
  readonly clock?: SetClock
  readonly sentinel?: RunningSentinel
  readonly cluster?: RunningCluster
  /** The SQLite file. */
  readonly file?: string
  /** The URL for one more process, and the networks that lie between it and the servers. */
  way(): Promise<{ url: string; proxies: readonly Proxy[] }>
  /** A URL that leads past all faults of the network. */
  readonly straightUrl: string
  /** Every network there is. */
  readonly proxies: readonly Proxy[]
  /** Who serves a key now. */
  primary(): Promise<RunningServer>
  /** Who serves keys now: of a Cluster or a quorum several. */
  primaries(): Promise<readonly RunningServer[]>
  stop(): Promise<void>
}

/** `network`: whether faults of the network are wanted, which cost a proxy for each process. */
export async function openGround(
  spec: GroundSpec,
  folder: string,
  network: boolean,
): Promise<Ground> {
  switch (spec.on) {
    case 'one':
      return await openServers(spec, folder, 1, network)
    case 'quorum':
      return await openServers(spec, folder, 3, network)
    case 'by hand':
      return await openPair(spec)
    case 'sentinel':
      return await openSentinel(spec)
    case 'cluster':
      return await openCluster(spec)
    case 'sqlite':
      return openFile(spec, folder)
    default:
      return spec.on satisfies never
  }
}

const which = ({ server }: GroundSpec) => (server === undefined ? {} : { server })
const named = ({ name, version }: RunningServer) => `${name.split('-')[0]} ${version}`

async function openServers(
  spec: GroundSpec,
  folder: string,
  count: number,
  network: boolean,
): Promise<Ground> {
  const clock = spec.clock ? new SetClock(folder, 'server') : undefined
  const environment = clock ? await shimmed(clock) : {}
  // Without fsync, what a killed process wrote is there all the same.
  const keeping = spec.keeps ? ['--appendonly', 'yes', '--appendfsync', 'no'] : []
  const args = [...keeping, '--enable-debug-command', 'yes', '--busy-reply-threshold', '50']
  const servers = await Promise.all(
    Array.from({ length: count }, () => startServer({ ...which(spec), args, environment })),
  )
  const [first] = servers
  if (first === undefined) throw new Error('no server')
  const proxies: Proxy[] = []
  const urlOf = (urls: readonly string[]) => (count === 1 ? `${urls[0]}` : `quorum:${urls.join()}`)
  const straightUrl = urlOf(servers.map(({ url }) => url))
  return {
    spec,
    title: count === 1 ? named(first) : `quorum of ${count} ${named(first)}`,
    servers,
    proxies,
    ...(clock ? { clock } : {}),
    straightUrl,
    async way() {
      if (!network) return { url: straightUrl, proxies: [] }
      const own = await Promise.all(servers.map(({ port }) => startProxy({ targetPort: port })))
      proxies.push(...own)
      return { url: urlOf(own.map(({ url }) => url)), proxies: own }
    },
    primary: async () => first,
    primaries: async () => servers,
    async stop() {
      await Promise.all(proxies.map((proxy) => proxy.stop()))
      await Promise.all(servers.map((server) => server.stop()))
    },
  }
}

/** Environment variables that put a process under a clock that can be set. */
export async function shimmed(clock: SetClock): Promise<Record<string, string>> {
  const shim = await clockShim()
  if (shim === undefined) throw new Error('there is no C compiler to build the clock with')
  return {
    HOLDFAST_CLOCK_OFFSET: clock.path,
    LD_PRELOAD: shim,
    HOLDFAST_SERVER_PRELOAD: shim,
  }
}

/** A primary and a replica behind an address that somebody moves from one to the other. */
async function openPair(spec: GroundSpec): Promise<Ground> {
  const first = await startServer(which(spec))
  const second = await startReplica(first)
  const servers = [first, second]
  const proxy = await startProxy({ targetPort: first.port })
  const proxies = [proxy]
  const primary = async (): Promise<RunningServer> => {
    for (const server of servers) {
      if (!server.running) continue
      if ((await server.cli('info', 'replication')).includes('role:master')) return server
    }
    throw new Error('none of the two is a primary')
  }
  return {
    spec,
    title: `${named(first)} with a replica, by hand`,
    servers,
    proxies,
    straightUrl: proxy.url,
    way: async () => ({ url: proxy.url, proxies: [] }),
    primary,
    primaries: async () => [await primary()],
    async stop() {
      await proxy.stop()
      await Promise.all(servers.map((server) => server.stop()))
    },
  }
}

async function openSentinel(spec: GroundSpec): Promise<Ground> {
  const sentinel = await startSentinel({
    ...which(spec),
    // A stall of a busy machine is no failover.
    downAfterMs: 1000,
    replicas: 1,
    sentinelLines: ['sentinel failover-timeout holdfast 2000'],
  })
  const [first] = sentinel.servers
  if (first === undefined) throw new Error('no server')
  const hosts = sentinel.addresses.map(({ host, port }) => `${host}:${port}`).join(',')
  const url = `redis+sentinel://${hosts}/${sentinel.name}`
  return {
    spec,
    title: `Sentinel, ${named(first)}`,
    servers: sentinel.servers,
    sentinel,
    proxies: [],
    straightUrl: url,
    way: async () => ({ url, proxies: [] }),
    primary: () => sentinel.primary(),
    primaries: async () => [await sentinel.whole()],
    stop: () => sentinel.stop(),
  }
}

async function openCluster(spec: GroundSpec): Promise<Ground> {
  const cluster = await startCluster({ ...which(spec), replicas: 1, nodeTimeoutMs: 1000 })
  const [first] = cluster.nodes
  if (first === undefined) throw new Error('no server')
  const hosts = cluster.addresses.map(({ host, port }) => `${host}:${port}`).join(',')
  const url = `redis+cluster://${hosts}`
  return {
    spec,
    title: `Cluster, ${named(first.server)}`,
    servers: cluster.nodes.map(({ server }) => server),
    cluster,
    proxies: [],
    straightUrl: url,
    way: async () => ({ url, proxies: [] }),
    primary: async () => first.server,
    primaries: async () => (await cluster.primaries()).map(({ server }) => server),
    stop: () => cluster.stop(),
  }
}

function openFile(spec: GroundSpec, folder: string): Ground {
  const file = join(folder, 'locks.db')
  const url = `sqlite:${file}`
  return {
    spec,
    title: 'SQLite',
    servers: [],
    file,
    proxies: [],
    straightUrl: url,
    way: async () => ({ url, proxies: [] }),
    primary: () => Promise.reject(new Error('a file has no server')),
    primaries: async () => [],
    stop: async () => {},
  }
}
