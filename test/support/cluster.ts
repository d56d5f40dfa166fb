import { createHash, randomBytes } from 'node:crypto'
import type { Certificates } from './certificates.ts'
import type { Reply } from './raw-redis.ts'
import {
  binaryFor,
  freePort,
  PortTakenError,
  type RunningServer,
  type ServerName,
  startServer,
} from './servers.ts'
import { until } from './until.ts'

export interface ClusterOptions {
  /** How many primaries share the slots; 3. */
  primaries?: number
  /** How many replicas each primary has; 0. */
  replicas?: number
  /** After what silence a node counts as gone; 5000, so that a loaded machine fails none over. */
  nodeTimeoutMs?: number
  server?: ServerName
  /** Further arguments for every node. */
  args?: readonly string[]
  /** With these, the nodes know and name each other by ports that speak TLS. */
  certificates?: Certificates
}

export interface ClusterNode {
  readonly server: RunningServer
  /** Where clients are sent to: the server's port, or the one that speaks TLS. */
  readonly port: number
  /** What the node calls itself on the Cluster bus. */
  readonly id: string
}

/** A slot on its way: until `moveKeys` the source still has the keys, until `finish` it owns it. */
export interface SlotMigration {
  /** Moves every key of the slot, so that the source answers ASK for each of them. */
  moveKeys(): Promise<void>
  /** Hands the slot over on all primaries, so that the source answers MOVED. */
  finish(): Promise<void>
}

export interface RunningCluster {
  /** All nodes, those that started as primaries first. */
  readonly nodes: readonly ClusterNode[]
  /** Where a client may begin. */
  readonly addresses: readonly { host: string; port: number }[]
  readonly url: string
  slotOf(key: string): Promise<number>
  /** Who owns the key's slot now, as the other nodes see it. */
  primaryOf(key: string): Promise<ClusterNode>
  /** The replicas that are linked to this node now. */
  replicasOf(node: ClusterNode): Promise<ClusterNode[]>
  /** Every primary that owns slots now. */
  primaries(): Promise<ClusterNode[]>
  /** Asks the node that owns the key. */
  call(key: string, ...args: (string | number)[]): Promise<Reply>
  /** Marks a slot as on its way to another primary. */
  migrate(slot: number, target: ClusterNode): Promise<SlotMigration>
  /** Waits until every living node sees all slots served. */
  whole(): Promise<void>
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Starts a real Cluster and waits until every node says that all slots are served and every
 * replica is linked. The nodes know each other from files laid out for them, which takes the two
 * seconds a node waits before it accepts writes instead of the several of a meeting by hand.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<RunningCluster> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await tryCluster(options)
    } catch (error) {
      // Another process took one of the ports between the look and the start.
      if (!(error instanceof PortTakenError) || attempt === 5) throw error
    }
  }
}

interface Plan {
  id: string
  /** Of the server itself, which never speaks TLS. */
  plain: number
  /** By which the node is known. */
  port: number
  primary: number
  index: number
}

async function tryCluster(options: ClusterOptions): Promise<RunningCluster> {
  const { primaries = 3, replicas = 0, nodeTimeoutMs = 5000, certificates } = options
  const { version } = await binaryFor(options.server)
  const plans = await layOut(primaries, primaries * (1 + replicas), certificates !== undefined)
  const started = await Promise.allSettled(
    plans.map((plan) =>
      startServer({
        ...(options.server === undefined ? {} : { server: options.server }),
        port: plan.plain,
        files: { 'nodes.conf': nodesFile(plans, plan, primaries, version) },
        args: [
          '--cluster-enabled',
          'yes',
          '--cluster-config-file',
          'nodes.conf',
          '--cluster-node-timeout',
          String(nodeTimeoutMs),
          '--cluster-replica-validity-factor',
          '0',
          ...(certificates?.serverArgs(plan.port, 'ask not') ?? []),
          ...(certificates ? ['--tls-cluster', 'yes'] : []),
          ...(options.args ?? []),
        ],
      }),
    ),
  )
  const servers = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const failed = started.find((one) => one.status === 'rejected')
  const nodes = servers.map((server) => {
    const plan = plans.find(({ plain }) => plain === server.port)
    return { server, id: plan?.id ?? '', port: plan?.port ?? server.port }
  })
  const cluster = new Cluster(nodes)
  try {
    if (failed) throw failed.reason as Error
    await cluster.whole()
    if (replicas > 0) await cluster.linked(primaries * replicas)
    return cluster
  } catch (error) {
    await cluster.stop()
    throw error
  }
}

async function layOut(primaries: number, count: number, tls: boolean): Promise<Plan[]> {
  const ports: number[] = []
  while (ports.length < count * (tls ? 2 : 1)) {
    const port = await freePort()
    if (!ports.some((other) => Math.abs(other - port) % 10_000 === 0)) ports.push(port)
  }
  return ports.slice(0, count).map((plain, index) => ({
    id: randomBytes(20).toString('hex'),
    plain,
    port: ports[index + ports.length - count] ?? plain,
    primary: index % primaries,
    index,
  }))
}

function nodesFile(plans: readonly Plan[], self: Plan, primaries: number, version: string): string {
  // Later servers crash at the first SPUBLISH when the file does not say who shares a shard; 7.0
  // takes the word for a host name.
  const shardOf = ({ primary }: Plan) => createHash('sha1').update(`${primary}`).digest('hex')
  const more = (plan: Plan) => (version.startsWith('7.0.') ? '' : `,,shard-id=${shardOf(plan)}`)
  const size = Math.ceil(16_384 / primaries)
  const lines = plans.map((plan) => {
    const me = plan === self ? 'myself,' : ''
    const at = `${plan.id} 127.0.0.1:${plan.port}@${plan.port + 10_000}${more(plan)}`
    if (plan.index >= primaries) {
      return `${at} ${me}slave ${plans[plan.primary]?.id} 0 0 ${plan.primary + 1} connected`
    }
    const last = Math.min((plan.index + 1) * size, 16_384) - 1
    return `${at} ${me}master - 0 0 ${plan.index + 1} connected ${plan.index * size}-${last}`
  })
  return `${lines.join('\n')}\nvars currentEpoch ${primaries} lastVoteEpoch 0\n`
}

/** One line of `CLUSTER NODES`. */
interface Seen {
  id: string
  flags: string[]
  primary: string
  slots: string[]
}

class Cluster implements RunningCluster {
  readonly nodes: readonly ClusterNode[]

  constructor(nodes: readonly ClusterNode[]) {
    this.nodes = nodes
  }

  get addresses(): { host: string; port: number }[] {
    return this.nodes.map(({ server: { host }, port }) => ({ host, port }))
  }

  get url(): string {
    return this.#first.server.url
  }

  async slotOf(key: string): Promise<number> {
    return Number(await this.#ask('cluster', 'keyslot', key))
  }

  async primaryOf(key: string): Promise<ClusterNode> {
    const slot = await this.slotOf(key)
    const owner = (await this.#seen()).find((one) => !failing(one) && owns(one, slot))
    return this.#node(owner?.id, `the primary of slot ${slot}`)
  }

  async replicasOf(node: ClusterNode): Promise<ClusterNode[]> {
    const seen = await this.#seen()
    const replicas = seen.filter((one) => one.primary === node.id && !failing(one))
    return replicas.map(({ id }) => this.#node(id, 'a replica'))
  }

  async primaries(): Promise<ClusterNode[]> {
    const seen = await this.#seen()
    const owners = seen.filter((one) => one.slots.length > 0 && !failing(one))
    return owners.map(({ id }) => this.#node(id, 'a primary'))
  }

  async call(key: string, ...args: (string | number)[]): Promise<Reply> {
    return await (await this.primaryOf(key)).server.call(...args)
  }

  async migrate(slot: number, target: ClusterNode): Promise<SlotMigration> {
    const begin = async (): Promise<ClusterNode> => {
      const owner = (await this.#seen()).find((one) => owns(one, slot))
      const source = this.#node(owner?.id, `the primary of slot ${slot}`)
      await target.server.call('cluster', 'setslot', slot, 'importing', source.id)
      await source.server.call('cluster', 'setslot', slot, 'migrating', target.id)
      return source
    }
    // After a move or a failover the nodes do not agree at once on who owns the slot.
    const source = await until(begin, { what: `slot ${slot} to begin to move` })
    return {
      async moveKeys() {
        const { host, port } = target.server
        for (;;) {
          const keys = await source.server.call('cluster', 'getkeysinslot', slot, 100)
          if (!Array.isArray(keys) || keys.length === 0) return
          const names = keys.map(String)
          await source.server.call('migrate', host, port, '', 0, 5000, 'keys', ...names)
        }
      },
      finish: async () => {
        // The target first: it raises the epoch that makes the others believe it.
        const primaries = await this.primaries()
        const rest = primaries.filter(({ id }) => id !== target.id)
        for (const { server } of [target, ...rest]) {
          await server.call('cluster', 'setslot', slot, 'node', target.id)
        }
      },
    }
  }

  async whole(): Promise<void> {
    await until(
      async () => {
        const infos = await Promise.all(
          this.#living().map(({ server }) => server.cli('cluster', 'info')),
        )
        return infos.every((info) => info.includes('cluster_state:ok'))
      },
      { what: 'every slot of the Cluster to be served', timeoutMs: 30_000, everyMs: 20 },
    )
  }

  async linked(count: number): Promise<void> {
    await until(
      async () => {
        const infos = await Promise.all(
          this.nodes.map(({ server }) => server.cli('info', 'replication')),
        )
        return infos.filter((info) => info.includes('master_link_status:up')).length === count
      },
      { what: `${count} replicas to be linked`, timeoutMs: 30_000, everyMs: 20 },
    )
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map(({ server }) => server.stop()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  get #first(): ClusterNode {
    return this.#node(this.nodes[0]?.id, 'the first node')
  }

  #living(): ClusterNode[] {
    return this.nodes.filter(({ server }) => server.running)
  }

  #node(id: string | undefined, what: string): ClusterNode {
    const found = this.nodes.find((node) => node.id === id)
    if (!found) throw new Error(`the Cluster does not know ${what}`)
    return found
  }

  /** Asks any living node; a frozen one must not be first, or the question waits for it. */
  async #ask(...args: (string | number)[]): Promise<Reply> {
    const living = this.#living()
    if (living.length === 0) throw new Error('no node of the Cluster runs')
    return await Promise.any(living.map(({ server }) => server.call(...args)))
  }

  async #seen(): Promise<Seen[]> {
    const text = String(await this.#ask('cluster', 'nodes'))
    return text.split('\n').flatMap((line) => {
      const [id, , flags, primary, , , , , ...slots] = line.trim().split(' ')
      if (id === undefined || flags === undefined || primary === undefined) return []
      return [{ id, flags: flags.split(','), primary, slots: slots.filter((s) => s[0] !== '[') }]
    })
  }
}

function failing({ flags }: Seen): boolean {
  return flags.includes('fail') || flags.includes('noaddr')
}

function owns({ slots }: Seen, slot: number): boolean {
  return slots.some((range) => {
    const [first, last = first] = range.split('-').map(Number)
    return first !== undefined && last !== undefined && first <= slot && slot <= last
  })
}
