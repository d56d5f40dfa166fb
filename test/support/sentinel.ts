import type { Certificates } from './certificates.ts'
import {
  freePort,
  type RunningServer,
  type ServerName,
  startReplica,
  startServer,
} from './servers.ts'
import { until } from './until.ts'

export interface SentinelOptions {
  /** How many replicas the primary has; 2. */
  replicas?: number
  /** How many Sentinels watch; 3. More than half of them must agree to a failover. */
  sentinels?: number
  /** After what silence a Sentinel takes the primary for gone; 1000. */
  downAfterMs?: number
  /** What the primary is called; `holdfast`. */
  name?: string
  server?: ServerName
  /** Further arguments for the primary and the replicas. */
  args?: readonly string[]
  /** Further lines for every Sentinel's configuration. */
  sentinelLines?: readonly string[]
  /** With these, servers and Sentinels know and name each other by ports that speak TLS. */
  certificates?: Certificates
}

export interface RunningSentinel {
  readonly name: string
  /** Where a client asks for the primary. */
  readonly addresses: readonly { host: string; port: number }[]
  readonly sentinels: readonly RunningServer[]
  /** The first primary and its replicas, whatever they are by now. */
  readonly servers: readonly RunningServer[]
  /** Who is the primary now, as the living Sentinels say. */
  primary(): Promise<RunningServer>
  /** Waits until the Sentinels and the server itself agree that it is another than this one. */
  promoted(old: RunningServer): Promise<RunningServer>
  /** Waits until all Sentinels name one primary, which every other server follows. */
  whole(): Promise<RunningServer>
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Starts a primary, its replicas and the Sentinels that watch them, and waits until the Sentinels
 * know one another and every replica, so that a failover can follow at once.
 */
export async function startSentinel(options: SentinelOptions = {}): Promise<RunningSentinel> {
  const { replicas = 2, sentinels = 3, name = 'holdfast' } = options
  const which = options.server === undefined ? {} : { server: options.server }
  const servers: RunningServer[] = []
  const watchers: RunningServer[] = []
  const ports: Ports = new Map()
  const group = new Sentinel(name, servers, watchers, ports)
  const known = async (into: RunningServer[], start: Start): Promise<RunningServer> => {
    const { port, args } = await tlsArgs(options.certificates)
    const server = await start(args)
    into.push(server)
    ports.set(server, port ?? server.port)
    return server
  }
  const own = options.args ?? []
  try {
    const primary = await known(servers, (tls) => startServer({ ...which, args: [...tls, ...own] }))
    const port = ports.get(primary) ?? primary.port
    for (let index = 0; index < replicas; index += 1) {
      const of = ['--replicaof', primary.host, String(port)]
      await known(servers, (tls) => startReplica(primary, { args: [...of, ...tls, ...own] }))
    }
    for (let index = 0; index < sentinels; index += 1) {
      const lines = watching({ host: primary.host, port }, { ...options, sentinels, name })
      await known(watchers, (tls) =>
        startServer({
          ...which,
          files: { 'sentinel.conf': lines },
          config: 'sentinel.conf',
          args: ['--sentinel', ...tls],
        }),
      )
    }
    await group.ready(replicas, sentinels)
    return group
  } catch (error) {
    await group.stop()
    throw error
  }
}

/** Lets no replica follow any more. One that is only frozen still reads what was under way. */
export async function detachReplicas(primary: RunningServer): Promise<void> {
  await primary.call('acl', 'setuser', 'default', '-psync', '-sync')
  await primary.call('client', 'kill', 'type', 'replica')
  await until(
    async () => (await primary.cli('info', 'replication')).includes('connected_slaves:0'),
    { what: 'the replicas to be cut off' },
  )
}

/** By which port the others know a server. */
type Ports = Map<RunningServer, number>
type Start = (tls: readonly string[]) => Promise<RunningServer>

async function tlsArgs(
  certificates: Certificates | undefined,
): Promise<{ port?: number; args: readonly string[] }> {
  if (!certificates) return { args: [] }
  const port = await freePort()
  return {
    port,
    args: [...certificates.serverArgs(port, 'ask not'), '--tls-replication', 'yes'],
  }
}

function watching(
  primary: { host: string; port: number },
  { sentinels, name, downAfterMs = 1000, sentinelLines = [] }: SentinelOptions & WatchOptions,
): string {
  const quorum = Math.floor(sentinels / 2) + 1
  return [
    `sentinel monitor ${name} ${primary.host} ${primary.port} ${quorum}`,
    `sentinel down-after-milliseconds ${name} ${downAfterMs}`,
    `sentinel failover-timeout ${name} 10000`,
    `sentinel parallel-syncs ${name} 5`,
    ...sentinelLines,
    '',
  ].join('\n')
}

interface WatchOptions {
  sentinels: number
  name: string
}

class Sentinel implements RunningSentinel {
  readonly name: string
  readonly servers: readonly RunningServer[]
  readonly sentinels: readonly RunningServer[]
  readonly #ports: Ports

  constructor(
    name: string,
    servers: readonly RunningServer[],
    sentinels: readonly RunningServer[],
    ports: Ports,
  ) {
    this.#ports = ports
    this.name = name
    this.servers = servers
    this.sentinels = sentinels
  }

  get addresses(): { host: string; port: number }[] {
    return this.sentinels.map((one) => ({ host: one.host, port: this.#portOf(one) }))
  }

  async primary(): Promise<RunningServer> {
    const living = this.sentinels.filter(({ running }) => running)
    const address = await Promise.any(
      living.map((one) => one.call('sentinel', 'get-master-addr-by-name', this.name)),
    )
    const port = Array.isArray(address) ? Number(address[1]) : Number.NaN
    const found = this.servers.find((server) => this.#portOf(server) === port)
    if (!found) throw new Error(`the Sentinels know no primary called ${this.name}`)
    return found
  }

  async promoted(old: RunningServer): Promise<RunningServer> {
    return await until(
      async () => {
        const now = await this.primary()
        if (now === old) return null
        return (await now.cli('info', 'replication')).includes('role:master') ? now : null
      },
      { what: 'another primary to be promoted', timeoutMs: 30_000, everyMs: 20 },
    )
  }

  async whole(): Promise<RunningServer> {
    const ports = (): Promise<unknown[]> =>
      Promise.all(
        this.sentinels.map((one) => one.call('sentinel', 'get-master-addr-by-name', this.name)),
      )
    return await until(
      async () => {
        const primary = await this.primary()
        const wanted = String(this.#portOf(primary))
        const named = await ports()
        if (!named.every((one) => Array.isArray(one) && one[1] === wanted)) return null
        for (const server of this.servers) {
          const info = await server.cli('info', 'replication')
          const follows = info.includes('master_link_status:up') && info.includes(`:${wanted}`)
          if (server === primary ? !info.includes('role:master') : !follows) return null
        }
        return primary
      },
      { what: 'one primary that all others follow', timeoutMs: 60_000, everyMs: 50 },
    )
  }

  async ready(replicas: number, sentinels: number): Promise<void> {
    await until(
      async () => {
        const seen = await Promise.all(this.sentinels.map((one) => one.cli('info', 'sentinel')))
        const [primary] = this.servers
        const port = primary && this.#portOf(primary)
        const wanted = `status=ok,address=127.0.0.1:${port},slaves=${replicas}`
        return seen.every((info) => info.includes(`${wanted},sentinels=${sentinels}`))
      },
      { what: 'the Sentinels to know everybody', timeoutMs: 30_000, everyMs: 20 },
    )
  }

  #portOf(server: RunningServer): number {
    return this.#ports.get(server) ?? server.port
  }

  async stop(): Promise<void> {
    // The Sentinels first, or they begin a failover while the servers go.
    await Promise.all(this.sentinels.map((one) => one.stop()))
    await Promise.all(this.servers.map((one) => one.stop()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}
