import type { AllLease, Holdfast, Lease } from 'holdfast'
import { expect } from 'vitest'
import { until } from './until.ts'

/** One way in which Holdfast can be used. */
export interface Combination {
  readonly primitive: string
  readonly engine: string
  /** How the servers stand; `none` for an engine without servers. */
  readonly topology: string
  /** The library; `a URL` for the one that comes with the package, `none` without servers. */
  readonly client: string
}

/** Combinations that one test file goes through, by multiplying what stands here. */
interface Row {
  readonly suite: string
  readonly engine: string
  readonly primitives: readonly string[]
  readonly topology: string
  readonly clients: readonly string[]
}

const PRIMITIVES = ['mutex', 'semaphore', 'read-write', 'election', 'all'] as const
const LIBRARIES = ['a URL', 'ioredis 6', 'ioredis 5', 'node-redis 6', 'node-redis 5'] as const
const GLIDE = 'valkey-glide 2'

/** What is tested. The suites make their tests from it, so that what is taken out is not run. */
export const rows: readonly Row[] = [
  {
    suite: 'test/matrix.test.ts',
    engine: 'memory',
    primitives: PRIMITIVES,
    topology: 'none',
    clients: ['none'],
  },
  {
    suite: 'test/sqlite/matrix.test.ts',
    engine: 'sqlite',
    primitives: PRIMITIVES,
    topology: 'none',
    clients: ['none'],
  },
  {
    suite: 'test/topologies/matrix.test.ts',
    engine: 'redis',
    primitives: PRIMITIVES,
    topology: 'single',
    clients: [...LIBRARIES, GLIDE],
  },
  {
    suite: 'test/topologies/matrix.test.ts',
    engine: 'redis',
    primitives: PRIMITIVES,
    topology: 'cluster',
    clients: [...LIBRARIES, GLIDE],
  },
  {
    suite: 'test/topologies/matrix.test.ts',
    engine: 'redis',
    primitives: PRIMITIVES,
    topology: 'sentinel',
    clients: LIBRARIES,
  },
  {
    suite: 'test/quorum/matrix.test.ts',
    engine: 'quorum',
    primitives: ['mutex', 'election', 'all'],
    topology: 'none',
    clients: ['none'],
  },
]

/** What cannot be, and why; a property that is left out stands for all. */
export const impossible: readonly (Partial<Combination> & { readonly why: string })[] = [
  { topology: 'sentinel', client: GLIDE, why: 'GLIDE speaks no Sentinel' },
  { primitive: 'semaphore', engine: 'quorum', why: 'nodes that disagree would let in too many' },
  { primitive: 'read-write', engine: 'quorum', why: 'nodes that disagree would let in too many' },
]

export function combinationsOf({ primitives, engine, topology, clients }: Row): Combination[] {
  return primitives.flatMap((primitive) =>
    clients.map((client) => ({ primitive, engine, topology, client })),
  )
}

/** Takes a lock and hands it over between two processes, then finds nothing left of it. */
export const exercises: ReadonlyMap<
  string,
  (a: Holdfast, b: Holdfast, name: string) => Promise<void>
> = new Map([
  [
    'mutex',
    (a, b, name) => handOver(a, b, name, (one, options) => one.mutex(name).acquire(options)),
  ],
  [
    'semaphore',
    (a, b, name) =>
      handOver(a, b, name, (one, options) =>
        one.semaphore(name, { capacity: 3 }).acquire({ permits: 2, ...options }),
      ),
  ],
  [
    'read-write',
    (a, b, name) =>
      handOver(a, b, name, (one, options) => {
        const { read, write } = one.readWriteLock(name)
        return (one === a ? write : read).acquire(options)
      }),
  ],
  [
    'election',
    async (a, b, name) => {
      await handOver(a, b, name, async (one, options) => {
        const note = one === a ? 'first' : 'second'
        const leadership = await one.election(name).campaign({ note, ...options })
        expect((await a.election(name).leader())?.note).toBe(note)
        return leadership
      })
      expect(await a.election(name).leader()).toBeNull()
    },
  ],
  [
    'all',
    async (a, b, name) => {
      const both = (one: Holdfast) => {
        const other = `${name} too`
        const mixed = one.engine.guarantees.kinds.includes('semaphore')
        const second = mixed ? one.semaphore(other, { capacity: 2 }) : one.mutex(other)
        return one.all([one.mutex(name), second])
      }
      await handOver(a, b, name, (one, options) => both(one).acquire(options))
      expect(await b.inspect(`${name} too`)).toBeNull()
    },
  ],
])

type Take = (one: Holdfast, options?: { timeoutMs: number }) => Promise<Lease | AllLease>

async function handOver(a: Holdfast, b: Holdfast, name: string, take: Take): Promise<void> {
  const lease = await take(a)
  await expect(take(b, { timeoutMs: 0 })).rejects.toMatchObject({
    code: 'HOLDFAST_ACQUIRE_TIMEOUT',
  })
  let waits = false
  b.on('waiting', () => {
    waits = true
  })
  const next = take(b, { timeoutMs: 20_000 })
  await until(() => waits, { what: 'the other to wait' })
  // Where there is no common line, nobody can be found in it.
  if (a.engine.guarantees.fifo) expect(await a.inspect(name)).toMatchObject({ waiting: 1 })
  await lease.renew()
  expect(await lease.release()).toBe(true)
  const second = await next
  expect(second.held).toBe(true)
  expect(fenceOf(second, name)).toBeGreaterThan(fenceOf(lease, name))
  expect(await second.release()).toBe(true)
  expect(await a.inspect(name)).toBeNull()
}

function fenceOf(lease: Lease | AllLease, name: string): number {
  return 'fences' in lease ? (lease.fences.get(name) ?? Number.NaN) : lease.fence
}
