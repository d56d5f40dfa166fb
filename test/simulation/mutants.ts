import type { Engine } from 'holdfast'
import type { Check } from './checks.ts'
import type { Spoil } from './simulation.ts'

/** An engine that is wrong in one way, which one check must notice. */
export interface Mutant {
  readonly wrong: string
  readonly check: Check
  /** A scenario in which it shows. */
  readonly scenario: string
  readonly spoil: Spoil
}

export const MUTANTS: readonly Mutant[] = [
  {
    wrong: 'ends leases before their time',
    check: 'exclusion',
    scenario: 'one server, storm',
    spoil: changed((inner, clock) => ({
      acquire: async (claim) => {
        const ttlMs = Math.ceil(claim.ttlMs / 4)
        return longer(await inner.acquire({ ...claim, ttlMs }), clock.now() + claim.ttlMs)
      },
      renew: async (places) => {
        const shorter = places.map((place) => ({ ...place, ttlMs: Math.ceil(place.ttlMs / 4) }))
        const standings = await inner.renew(shorter)
        return standings.map((each, at) => longer(each, clock.now() + (places[at]?.ttlMs ?? 0)))
      },
    })),
  },
  {
    wrong: 'ends leases before their time, on a quorum',
    check: 'exclusion',
    scenario: 'three servers, storm',
    spoil: changed((inner, clock) => ({
      acquire: async (claim) => {
        const ttlMs = Math.ceil(claim.ttlMs / 4)
        return longer(await inner.acquire({ ...claim, ttlMs }), clock.now() + claim.ttlMs)
      },
    })),
  },
  {
    wrong: 'puts newcomers in front',
    check: 'line order',
    scenario: 'one server, many waiters of all kinds',
    spoil: changed((inner) => ({
      acquire: (claim) => inner.acquire({ ...claim, ticket: -++newcomers }),
    })),
  },
  {
    wrong: 'draws smaller and smaller fences',
    check: 'fences grow',
    scenario: 'one server, calm',
    spoil: changed((inner) => fenced(inner, (fence) => 9e15 - fence)),
  },
  {
    wrong: 'gives the same fence for a while',
    check: 'resource never goes back',
    scenario: 'one server, storm',
    spoil: changed((inner) => fenced(inner, (fence) => fence - (fence % 10_000_000))),
  },
  {
    wrong: 'tells no waiter of its grant, and lets none in when it looks',
    check: 'no waiter forgotten',
    scenario: 'one server, many waiters of all kinds',
    spoil: changed((inner) => ({
      renew: async (places) =>
        (await inner.renew(places)).map((standing, at) =>
          standing.state === 'held' && waiting.has(places[at]?.identity ?? '')
            ? { state: 'waiting', ahead: 0, ticket: 1, lookMs: 1_000 }
            : standing,
        ),
      acquire: async (claim) => {
        if (waiting.has(claim.identity)) return STILL
        const standing = await inner.acquire(claim)
        if (standing.state === 'waiting') waiting.add(claim.identity)
        return standing
      },
      wait: (_, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error))
        }),
    })),
  },
  {
    wrong: 'frees a lock a quarter of a minute after its release',
    check: 'served in time',
    scenario: 'one server, calm',
    spoil: changed((inner, clock) => ({
      acquire: (claim) => inner.acquire({ ...claim, ttlMs: claim.ttlMs + LATE_MS }),
      renew: (places) =>
        inner.renew(places.map((place) => ({ ...place, ttlMs: place.ttlMs + LATE_MS }))),
      release: async (...args) => {
        clock.setTimer(() => void inner.release(...args), LATE_MS)
        return true
      },
    })),
  },
  {
    wrong: 'never ends the lease of a process that is gone',
    check: 'everything converges',
    scenario: 'one server, restarts and crashes',
    spoil: changed((inner) => ({
      acquire: (claim) => inner.acquire({ ...claim, ttlMs: 1e9, grantTtlMs: 1e9 }),
      renew: (places) => inner.renew(places.map((place) => ({ ...place, ttlMs: 1e9 }))),
    })),
  },
  {
    wrong: 'keeps a timer for each release',
    check: 'nothing leaked',
    scenario: 'one server, calm',
    spoil: changed((inner, clock) => ({
      release: (...args) => {
        clock.setTimer(() => undefined, 1e9)
        return inner.release(...args)
      },
    })),
  },
  {
    wrong: 'does not carry out a part of the releases',
    check: 'nothing leaked',
    scenario: 'three servers, calm',
    spoil: changed((inner) => ({
      release: async (place, options) =>
        place.identity.charCodeAt(0) % 2 === 0 ? true : await inner.release(place, options),
      acquire: (claim) => inner.acquire({ ...claim, ttlMs: claim.ttlMs * 100 }),
      renew: (places) => inner.renew(places.map((each) => ({ ...each, ttlMs: each.ttlMs * 100 }))),
    })),
  },
  {
    wrong: 'tells of another list of nodes',
    check: 'no wrong warning',
    scenario: 'three servers, calm',
    spoil: changed((inner) => ({
      enlist: async (entry) => {
        const told = await inner.enlist!(entry)
        const other = { list: 'x y z', by: 'somebody', agoMs: 1 }
        return { ...told, nodeMs: 60_000, others: [...told.others, other] }
      },
    })),
  },
]

const LATE_MS = 15_000

/** Places that were told to wait, by the engine that never lets them in. */
const waiting = new Set<string>()

/** How many have come to the engine that lets them in first. */
let newcomers = 0

const STILL = { state: 'waiting', ahead: 0, ticket: 1, lookMs: 1_000 } as const

type Parts = Partial<Engine>

/** An engine with some of its calls replaced. */
function changed(parts: (inner: Engine, clock: Parameters<Spoil>[1]) => Parts): Spoil {
  return (inner, clock) => {
    const own = parts(inner, clock)
    return new Proxy(inner, {
      get(target, key) {
        const member: unknown = Reflect.get(own, key) ?? Reflect.get(target, key)
        return typeof member === 'function' ? member.bind(target) : member
      },
    })
  }
}

function longer<S extends { readonly state: string }>(standing: S, deadline: number): S {
  return standing.state === 'held' ? { ...standing, deadline } : standing
}

function fenced(inner: Engine, change: (fence: number) => number): Parts {
  const alter = <S extends { readonly state: string }>(standing: S): S =>
    standing.state === 'held'
      ? { ...standing, fence: change((standing as unknown as { fence: number }).fence) }
      : standing
  return {
    acquire: async (claim) => alter(await inner.acquire(claim)),
    renew: async (places) => (await inner.renew(places)).map(alter),
    wait: async (place, signal) => alter(await inner.wait(place, signal)),
  }
}
