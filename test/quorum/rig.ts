import { connect, createHoldfast, type Holdfast } from 'holdfast'
import { quorum } from 'holdfast/quorum'
import { openRedis } from '../../src/engines/redis/index.ts'
import { type Proxy, startProxy } from '../support/proxy.ts'
import { type RunningServer, startServer } from '../support/servers.ts'

/** Real servers, each behind a network that can fail. */
export interface Nodes {
  readonly servers: readonly RunningServer[]
  readonly proxies: readonly Proxy[]
  /** What `connect` takes. */
  readonly url: string
  stop(): Promise<void>
}

export async function startNodes(count: number): Promise<Nodes> {
  const servers = await Promise.all(Array.from({ length: count }, () => startServer()))
  const proxies = await Promise.all(servers.map(({ port }) => startProxy({ targetPort: port })))
  return {
    servers,
    proxies,
    url: `quorum:${proxies.map(({ url }) => url).join(',')}`,
    async stop() {
      await Promise.all(proxies.map((proxy) => proxy.stop()))
      await Promise.all(servers.map((server) => server.stop()))
    },
  }
}

export const SETTINGS = { nodeTimeoutMs: 400, commandTimeoutMs: 400 } as const

/** A process of its own, as far as the servers can tell. */
export async function open(nodes: Nodes, settings: object = {}): Promise<Holdfast> {
  return await connect(nodes.url, { ...SETTINGS, ...settings })
}

/** The same without asking whether anybody answers. */
export async function openUnasked({ proxies }: Nodes, settings: object = {}): Promise<Holdfast> {
  const engines = await Promise.all(proxies.map(({ url }) => openRedis(url, SETTINGS)))
  const names = proxies.map(({ port }) => `node ${port}`)
  return createHoldfast({ engine: quorum(engines, { ...SETTINGS, names }), ...settings })
}

/** One turn at the lock, on the clock that all share. */
export interface Turn {
  readonly from: number
  readonly to: number
  readonly fence: number
}

/** Looks from outside at who was in when; leases that were lost count up to their loss. */
export function flawsOf(turns: readonly Turn[]): string[] {
  const order = [...turns].sort((a, b) => a.from - b.from)
  return order.flatMap((turn, index) => {
    const before = order[index - 1]
    if (before === undefined) return []
    const flaws = []
    if (turn.from < before.to) flaws.push(`${turn.fence} came in before ${before.fence} was out`)
    if (turn.fence <= before.fence) flaws.push(`fence ${turn.fence} after ${before.fence}`)
    return flaws
  })
}

/** Takes turns until told to stop; a turn ends when its lease is lost. Gives the errors met. */
export async function takeTurns(
  holdfast: Holdfast,
  name: string,
  turns: Turn[],
  until: () => boolean,
): Promise<unknown[]> {
  const errors: unknown[] = []
  while (!until()) {
    try {
      await holdfast.mutex(name, { ttlMs: 2_000 }).run(
        async ({ fence, signal }) => {
          const from = performance.now()
          let to = from
          // What the work did last while it was allowed to.
          for (let steps = 0; steps < 3 && !signal.aborted; steps++) {
            await new Promise((resolve) => setTimeout(resolve, 1))
            if (!signal.aborted) to = performance.now()
          }
          turns.push({ from, to, fence })
        },
        { timeoutMs: 5_000 },
      )
    } catch (error) {
      errors.push(error)
    }
  }
  return errors
}
