import { connect, createHoldfast, type Holdfast, type HoldfastEvents, type Lease } from 'holdfast'
import { type RedisUrlOptions, redis } from 'holdfast/redis'
import { createCluster, createSentinel } from 'redis'
import type { RunningCluster } from '../support/cluster.ts'
import type { RunningSentinel } from '../support/sentinel.ts'

type Options = NonNullable<Parameters<typeof connect>[1]>

/** A Holdfast and what it told: the events, each as "name: lock: detail". */
export interface Told {
  readonly holdfast: Holdfast
  readonly told: string[]
  close(): Promise<void>
}

/** The ways to reach several servers; a URL is served by ioredis. */
export const ways = ['a URL', 'node-redis'] as const
export type Way = (typeof ways)[number]

export async function openSentinel(
  way: Way,
  group: RunningSentinel,
  options: Options = {},
): Promise<Told> {
  if (way === 'a URL') {
    const hosts = group.addresses.map(({ host, port }) => `${host}:${port}`).join(',')
    return listen(await connect(`redis+sentinel://${hosts}/${group.name}`, options))
  }
  const sentinelRootNodes = group.addresses.map((address) => ({ ...address }))
  const client = createSentinel({ name: group.name, sentinelRootNodes })
  return listen(over(client, options))
}

export async function openCluster(
  way: Way,
  cluster: RunningCluster,
  options: Options = {},
): Promise<Told> {
  if (way === 'a URL') {
    const hosts = cluster.addresses.map(({ host, port }) => `${host}:${port}`).join(',')
    return listen(await connect(`redis+cluster://${hosts}`, options))
  }
  const rootNodes = cluster.addresses.map(({ host, port }) => ({ url: `redis://${host}:${port}` }))
  return listen(over(createCluster({ rootNodes }), options))
}

function over(client: Parameters<typeof redis>[0], options: Options): Holdfast {
  const { prefix, replicas, commandTimeoutMs, ...rest } = options as RedisUrlOptions & Options
  const own = {
    ...(prefix === undefined ? {} : { prefix }),
    ...(replicas === undefined ? {} : { replicas }),
    ...(commandTimeoutMs === undefined ? {} : { commandTimeoutMs }),
  }
  return createHoldfast({ ...rest, engine: redis(client, own) })
}

function listen(holdfast: Holdfast): Told {
  const told: string[] = []
  const note = <K extends keyof HoldfastEvents>(
    event: K,
    detail: (event: HoldfastEvents[K]) => string,
  ) => holdfast.on(event, (each) => told.push(`${event}: ${detail(each)}`))
  note('waiting', ({ name }) => name)
  note('granted', ({ lease }) => lease.name)
  note('jeopardy', ({ lease, error }) => `${lease.name}: ${error.message}`)
  note('secured', ({ lease }) => lease.name)
  note('lost', ({ lease, error }) => `${lease.name}: ${error.reason}`)
  note('error', ({ name, error }) => `${name}: ${String(error)}`)
  return { holdfast, told, close: () => holdfast.close() }
}

/** Counts who is inside at the same time as another, without having been told to leave. */
export class Judge {
  overlaps = 0
  readonly fences: number[] = []
  readonly #inside = new Set<Lease>()

  /** Waits for the lock and stays inside for a moment, again and again until told to stop. */
  async compete(holdfast: Holdfast, name: string, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const lease = await holdfast
        .mutex(name)
        .acquire({ timeoutMs: 2000 })
        .catch(() => undefined)
      if (lease) await this.#visit(lease)
    }
  }

  async #visit(lease: Lease): Promise<void> {
    if ([...this.#inside].some(({ held }) => held)) this.overlaps += 1
    this.fences.push(lease.fence)
    this.#inside.add(lease)
    await new Promise((resolve) => setTimeout(resolve, 5))
    this.#inside.delete(lease)
    await lease.release().catch(() => false)
  }

  /** How often a fence was not larger than all before it. */
  get regressions(): number {
    return this.fences.filter((fence, at) => at > 0 && fence <= (this.fences[at - 1] ?? 0)).length
  }
}
