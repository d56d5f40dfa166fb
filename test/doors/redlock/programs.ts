import type { ExecutionError, Lock, Settings } from 'holdfast/redlock'
import type { Redis } from 'ioredis'
import { until } from '../../support/until.ts'
import type { RedlockDoor } from '../originals.ts'
import { failure, type Setting, thrown } from '../setting.ts'

/** What a program works with: the library, a server, and two names of its own. */
export interface Scene {
  readonly library: RedlockDoor
  readonly client: Redis
  readonly setting: Setting
  readonly a: string
  readonly b: string
}

/** Programs of the original's users. What they return must not depend on who serves them. */
export const programs: Record<string, (scene: Scene) => Promise<unknown>> = {
  async 'lock and release one resource'({ library, client, a }) {
    const redlock = new library.Redlock([client])
    const from = Date.now()
    const lock = await redlock.acquire([a], 5000)
    const to = Date.now()
    const ttl = await client.pttl(a)
    const stats = await lock.attempts[0]
    const seen = {
      isLock: lock instanceof library.Lock,
      redlock: lock.redlock === redlock,
      resources: lock.resources,
      value: /^[0-9a-f]{32}$/.test(lock.value) && (await client.get(a)) === lock.value,
      ttl: ttl > 3000 && ttl <= 5000,
      expiration: lock.expiration > from + 4500 && lock.expiration <= to + 5000 - 52,
      attempts: lock.attempts.length,
      sizes: [stats?.membershipSize, stats?.quorumSize],
      votes: [[...(stats?.votesFor ?? [])].includes(client), stats?.votesAgainst.size],
    }
    const released = await lock.release()
    return {
      ...seen,
      released: (await released.attempts[0])?.votesFor.size,
      after: [lock.expiration, await client.exists(a)],
    }
  },

  async 'lock several resources, all or none'({ library, client, a, b }) {
    const redlock = new library.Redlock([client], { retryCount: 0 })
    const both = await redlock.acquire([b, a], 5000)
    const during = await client.exists(a, b)
    await both.release()
    const after = await client.exists(a, b)
    const one = await redlock.acquire([b], 5000)
    const error = await failure(redlock.acquire([a, b], 5000))
    await until(async () => (await client.exists(a)) === 0, { what: 'the first to be free' })
    await one.release()
    return { resources: both.resources, during, after, error: error.name }
  },

  async 'lock one resource named twice'({ library, client, a }) {
    const redlock = new library.Redlock([client], { retryCount: 0 })
    const lock = await redlock.acquire([a, a], 5000)
    return { resources: lock.resources.length, held: await client.exists(a) }
  },

  async 'find a resource locked'({ library, client, a }) {
    const redlock = new library.Redlock([client], { retryCount: 0 })
    const events: unknown[] = []
    redlock.on('error', (error: Error) => events.push([error.name, error.message]))
    const lock = await redlock.acquire([a], 5000)
    const error = (await failure(redlock.acquire([a], 5000))) as ExecutionError
    const stats = await error.attempts[0]
    const [vote] = [...(stats?.votesAgainst.values() ?? [])]
    await lock.release()
    return {
      error: [error.name, error.message, error instanceof library.ExecutionError],
      attempts: error.attempts.length,
      vote: [vote?.name, vote?.message, vote instanceof library.ResourceLockedError],
      against: [...(stats?.votesAgainst.keys() ?? [])].includes(client),
      events: events.slice(0, 1),
      held: await client.exists(a),
    }
  },

  async 'wait until a resource is released'({ library, client, setting, a }) {
    const redlock = new library.Redlock([client], { retryDelay: 20, retryJitter: 5 })
    const lock = await redlock.acquire([a], 5000)
    const waiting = redlock.acquire([a], 5000, { retryCount: -1 })
    const elsewhere = new library.Redlock([setting.other()])
    await lock.release()
    const next = await waiting
    const holds = (await client.get(a)) === next.value
    const error = await failure(elsewhere.acquire([a], 5000, { retryCount: 0 }))
    await next.release()
    return { holds, error: error.name }
  },

  async 'get a resource whose holder is gone'({ library, client, a }) {
    const redlock = new library.Redlock([client], { retryCount: -1, retryDelay: 20 })
    const first = await redlock.acquire([a], 300)
    const second = await redlock.acquire([a], 5000)
    const error = await failure(redlock.release(first, { retryCount: 0 }))
    return { error: error.name, held: (await client.get(a)) === second.value }
  },

  async 'extend a lock'({ library, client, a }) {
    const redlock = new library.Redlock([client])
    const first = await redlock.acquire([a], 2000)
    const second = await first.extend(8000)
    const ttl = await client.pttl(a)
    const third = await redlock.extend(second, 9000)
    const error = await failure(first.extend(1000))
    const late = await failure(new library.Lock(redlock, [a], 'v', [], 0).extend(1000))
    const result = {
      values: [second.value === first.value, third.value === first.value],
      same: second === first,
      isLock: second instanceof library.Lock,
      expirations: [first.expiration, second.expiration, third.expiration > Date.now() + 7000],
      ttl: ttl > 6000 && ttl <= 8000,
      error: [error.name, error.message, (error as ExecutionError).attempts],
      late: late.message,
    }
    await third.release()
    return { ...result, after: await client.exists(a) }
  },

  async 'extend and release a lock that is somebody else’s by now'({ library, client, a }) {
    const redlock = new library.Redlock([client], { retryCount: 0 })
    const lock = await redlock.acquire([a], 5000)
    await client.set(a, 'other')
    const errors = [await failure(lock.extend(5000)), await failure(lock.release())]
    return { errors: errors.map((each) => [each.name, each.message]), key: await client.get(a) }
  },

  async 'release twice'({ library, client, a }) {
    const redlock = new library.Redlock([client], { retryCount: 0 })
    const lock = await redlock.acquire([a], 5000)
    await lock.release()
    const error = (await failure(lock.release())) as ExecutionError
    const stats = await error.attempts[0]
    return [error.name, error.message, [...(stats?.votesAgainst.values() ?? [])][0]?.message]
  },

  async 'release elsewhere what was taken here'({ library, client, setting, a, b }) {
    const taken: Pick<Lock, 'resources' | 'value' | 'expiration'>[] = []
    const here = new library.Redlock([client])
    for (const resources of [[a], [`${a} 2`, b]]) {
      const { value, expiration } = await here.acquire(resources, 5000)
      taken.push({ resources, value, expiration })
    }
    const there = new library.Redlock([setting.other()], { retryCount: 0 })
    for (const { resources, value, expiration } of taken) {
      const lock = new library.Lock(there, resources, value, [], expiration)
      await (await lock.extend(6000)).release()
    }
    return await client.exists(a, `${a} 2`, b)
  },

  async 'use a lock'({ library, client, a, b }) {
    const redlock = new library.Redlock([client], { retryCount: 0 })
    const result = await redlock.using([a, b], 5000, async (signal) => ({
      held: await client.exists(a, b),
      aborted: signal.aborted,
      error: signal.error,
      taken: (await failure(redlock.acquire([a], 5000))).name,
    }))
    const mine = new Error('mine')
    const thrower = async () => {
      throw mine
    }
    const error = await failure(redlock.using([a], 5000, { retryCount: 1 }, thrower))
    return { result, same: error === mine, after: await client.exists(a, b) }
  },

  async 'use a lock for longer than its duration'({ library, client, a }) {
    const redlock = new library.Redlock([client], { automaticExtensionThreshold: 400 })
    const from = performance.now()
    const value = await redlock.using([a], 800, async (signal) => {
      const first = await client.get(a)
      await until(() => performance.now() - from > 1800, { what: 'two durations to pass' })
      return [signal.aborted, (await client.get(a)) === first]
    })
    return [value, await client.exists(a)]
  },

  async 'give wrong arguments'({ library, client, a }) {
    const redlock = new library.Redlock([client])
    const lock = await redlock.acquire([a], 5000)
    const never = async () => 'never'
    const calls: Promise<unknown>[] = [
      redlock.acquire([a], 1.5),
      redlock.acquire([a], Number.NaN),
      lock.extend(0.5),
      redlock.using([a], 5000.5, never),
      redlock.using([a], 5000, {}),
      redlock.using([a], 500, never),
      redlock.using([a], 5000, { automaticExtensionThreshold: 4901 }, never),
    ]
    const errors = await Promise.all(calls.map(failure))
    await lock.release()
    return [
      errors.map(({ name, message }) => [name, message]),
      thrown(() => new library.Redlock([])),
    ]
  },

  async 'read settings'({ library, client }) {
    const odd = { retryCount: '5', retryDelay: 7 } as unknown as Partial<Settings>
    const redlock = new library.Redlock(new Set([client, client]), odd)
    return {
      ...new library.Redlock([client]).settings,
      ...redlock.settings,
      of: redlock.clients.size,
    }
  },

  async 'name what it is'({ library }) {
    const locked = new library.ResourceLockedError('text')
    const failed = new library.ExecutionError('text', [])
    return [
      [locked.name, locked.message, locked instanceof Error, String(locked)],
      [failed.name, failed.message, failed instanceof Error, failed.attempts],
      library.default === (library.Redlock ?? library.default),
    ]
  },

  async quit({ library, setting, client, a }) {
    const own = setting.other()
    const redlock = new library.Redlock([own])
    const lock = await redlock.acquire([a], 60_000)
    await redlock.quit()
    await until(() => own.status === 'end', { what: 'the client to be ended' })
    return (await client.get(a)) === lock.value
  },
}
