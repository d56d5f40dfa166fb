import type { Lease } from 'holdfast'
import type { SimulatedClock } from 'holdfast/testing'
import type { Breach, Check } from './checks.ts'

/** What is locked, and what a holder writes to: it refuses a fence smaller than one it has seen. */
interface Resource {
  readonly capacity: number
  readonly leases: Set<Held>
  fences: Set<number>
  latestFence: number
  seenFence: number
  value: number
  writes: number
  /** The order of the grant that wrote last. */
  lastGrant: number
}

/** A lease that its holder was told of. */
export interface Held {
  readonly lease: Lease
  readonly by: string
  readonly permits: number
  /** Grants are numbered in the order in which their holders came to know of them. */
  readonly grant: number
  /** Not held any more, as its holder could have seen. */
  over: boolean
}

/** Looks at every process at once, by the true time, and notes what must not be. */
export class Judge {
  readonly breaches: Breach[] = []
  readonly counts: Record<string, number> = {}
  readonly #world: SimulatedClock
  readonly #resources = new Map<string, Resource>()
  readonly #exclusive: boolean
  #grants = 0

  constructor(world: SimulatedClock, exclusive: boolean) {
    this.#world = world
    this.#exclusive = exclusive
  }

  count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1
  }

  note(check: Check, what: string): void {
    this.breaches.push({ check, atMs: Math.round(this.#world.now()), what })
  }

  /** A process was handed a lease. */
  granted(lease: Lease, by: string, capacity: number): Held {
    const resource = this.#resource(lease.name, capacity)
    const held = { lease, by, permits: lease.permits, grant: ++this.#grants, over: false }
    this.count('granted')
    resource.leases.add(held)
    this.#fences(resource, held)
    this.look(lease.name)
    return held
  }

  /** Whether all who believe to hold may do so together. */
  look(name: string): void {
    const resource = this.#resources.get(name)
    if (resource === undefined) return
    const now: Held[] = []
    for (const held of resource.leases) {
      if (!held.lease.held) held.over = true
      else if (held.over) this.note('exclusion', `${name}: ${held.by} holds again what was over`)
      else now.push(held)
    }
    const taken = now.reduce((sum, { permits }) => sum + permits, 0)
    if (taken <= resource.capacity || !this.#exclusive) return
    this.note('exclusion', `${name}: held by ${now.map(told).join(' and ')}`)
  }

  /** Whether anybody believes to hold it. */
  isHeld(name: string): boolean {
    const leases = this.#resources.get(name)?.leases ?? []
    return [...leases].some(({ lease }) => lease.held)
  }

  ended(held: Held): void {
    this.#resources.get(held.lease.name)?.leases.delete(held)
  }

  #fences(resource: Resource, { lease, by }: Held): void {
    const { fence, name, held } = lease
    if (resource.fences.has(fence)) this.note('fences grow', `${name}: ${fence} twice, ${by}`)
    resource.fences.add(fence)
    // A grant whose news came late may be older than one that is known. It holds no more then.
    const alone = lease.permits === resource.capacity
    if (alone && held && fence < resource.latestFence && this.#exclusive) {
      this.note('fences grow', `${name}: ${by} got ${fence} after ${resource.latestFence}`)
    }
    resource.latestFence = Math.max(resource.latestFence, fence)
  }

  /** Reads under a fence; `undefined` where it is refused. */
  read({ lease }: Held): number | undefined {
    const resource = this.#resource(lease.name, 1)
    if (lease.fence < resource.seenFence) return undefined
    resource.seenFence = lease.fence
    return resource.value
  }

  /** Writes under a fence, whether the lease is still held or not: the resource cannot tell. */
  write({ lease, grant, by }: Held, value: number): void {
    const resource = this.#resource(lease.name, 1)
    if (lease.fence < resource.seenFence) {
      this.count('write refused')
      return
    }
    resource.seenFence = lease.fence
    resource.value = value
    resource.writes++
    this.count('written')
    const { name, fence } = lease
    if (resource.value !== resource.writes) {
      this.note('resource never goes back', `${name}: ${by} overwrote a write, fence ${fence}`)
      resource.writes = resource.value
    }
    if (grant < resource.lastGrant && lease.held && this.#exclusive) {
      this.note('resource never goes back', `${name}: ${by} wrote after a later grant`)
    }
    resource.lastGrant = Math.max(resource.lastGrant, grant)
  }

  #resource(name: string, capacity: number): Resource {
    const found = this.#resources.get(name)
    if (found !== undefined) return found
    const made: Resource = {
      capacity,
      leases: new Set(),
      fences: new Set(),
      latestFence: 0,
      seenFence: 0,
      value: 0,
      writes: 0,
      lastGrant: 0,
    }
    this.#resources.set(name, made)
    return made
  }
}

function told({ by, lease }: Held): string {
  return `${by} (${lease.kind} ${lease.permits}, fence ${lease.fence}, ${lease.state})`
}
