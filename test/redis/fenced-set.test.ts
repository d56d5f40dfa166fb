import { fencedSet, fenceGuard, type RedisClient, StaleFenceError } from 'holdfast/redis'
import type { Redis as Ioredis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { evaluatorFor } from '../../src/engines/redis/clients/evaluate.ts'
import { markKey, slotOfKey } from '../../src/engines/redis/keys.ts'
import { randomFrom, seed } from '../support/until.ts'
import {
  combinations,
  startWorld,
  type TestClient,
  topologies,
  type World,
} from './clients-topologies.ts'

/** What clients of node-redis have, which connect only when told. */
interface Connectable {
  readonly isOpen?: boolean
  connect(): Promise<unknown>
  destroy(): unknown
}

/**
 * What stands in front of the keys on the server: version 5 of node-redis puts nothing there,
 * though Holdfast itself honours the option.
 */
function seenPrefix(title: string, user: TestClient): string {
  return title.startsWith('node-redis 5') ? '' : user.keyPrefix
}

/** A client that was told to use replicas only, which no write can, becomes one for primaries. */
function forPrimaries(user: TestClient): TestClient {
  const { client } = user
  if (!('options' in client && 'role' in client.options)) return user
  const primary = (client as unknown as Ioredis).duplicate({ role: 'master' })
  user.close()
  return { ...user, client: primary, close: () => primary.disconnect() }
}

const keys = ['plain', 'with space', 'a{tag}b', '{tag}', 'a}b', '{}a', 'a{b', 'é\n']

describe.each(topologies)('fencedSet on a %s', (topology) => {
  let world: World
  beforeAll(async () => {
    world = await startWorld(topology)
  })
  afterAll(() => world.stop())

  const clients = combinations.filter((each) => each.topology === topology)
  describe.each(clients)('with $title', ({ title, make }) => {
    let user: TestClient
    let prefix: string
    beforeEach(async () => {
      user = forPrimaries(await make(world))
      prefix = seenPrefix(title, user)
      const client = user.client as unknown as Connectable
      if (client.isOpen === false) await client.connect()
    })
    afterEach(async () => {
      const client = user.client as unknown as Connectable
      if (client.isOpen) client.destroy()
      else await user.close()
      for (const server of world.servers) await server.call('flushall').catch(() => {})
    })

    async function ask(...command: [name: string, key: string]) {
      const [name, key] = command
      const whole = prefix + key
      return await (await world.serverOf(whole)).call(name, whole)
    }

    it('refuses a fence that is older than one seen, whatever the key is', async () => {
      for (const key of keys) {
        await fencedSet(user.client, key, 'first', { fence: 5 })
        await fencedSet(user.client, key, 'again', { fence: 5 })
        await fencedSet(user.client, key, 'later', { fence: 2 ** 53 - 1 })
        const stale = fencedSet(user.client, key, 'stale', { fence: 2 ** 53 - 2 })
        await expect(stale).rejects.toThrow(StaleFenceError)
        await expect(stale).rejects.toMatchObject({
          code: 'HOLDFAST_STALE_FENCE',
          resource: key,
          fence: 2 ** 53 - 2,
          later: 2 ** 53 - 1,
        })
        expect(await ask('get', key)).toBe('later')
      }
    })

    it('keeps the mark as long as the value, and a day where it expires', async () => {
      const mark = markKey('k', user.keyPrefix)
      await fencedSet(user.client, 'k', 'v', { fence: 1 })
      expect([await ask('pttl', 'k'), await ask('pttl', mark)]).toEqual([-1, -1])
      await fencedSet(user.client, 'k', 'v', { fence: 2, expireMs: 60_000 })
      expect(await ask('pttl', 'k')).toBeLessThanOrEqual(60_000)
      expect(await ask('pttl', mark)).toBeGreaterThan(86_000_000)
      await fencedSet(user.client, 'k', 'v', { fence: 3, expireMs: 90_000_000 })
      expect(await ask('pttl', mark)).toBeGreaterThan(86_400_000)
      await ask('del', 'k')
      await expect(fencedSet(user.client, 'k', 'v', { fence: 2 })).rejects.toThrow('fence 3')
      await fencedSet(user.client, 'k', 'v', { fence: 4 })
      expect([await ask('pttl', 'k'), await ask('pttl', mark)]).toEqual([-1, -1])
    })

    it('writes bytes', async () => {
      const bytes = new Uint8Array([0, 255, 254, 10, 195]).subarray(1)
      await fencedSet(user.client, 'k', bytes, { fence: 1 })
      expect(await ask('strlen', 'k')).toBe(4)
    })

    it('ends with the largest fence, in whatever order the writes come', async () => {
      const random = randomFrom(seed(import.meta.url))
      const fences = Array.from({ length: 200 }, () => 1 + Math.floor(random() * 1e15))
      const writes = fences.map((fence) => fencedSet(user.client, 'k', `${fence}`, { fence }))
      const refused = (await Promise.allSettled(writes)).filter(
        (each) => each.status === 'rejected',
      )
      for (const { reason } of refused) expect(reason).toBeInstanceOf(StaleFenceError)
      expect(await ask('get', 'k')).toBe(String(Math.max(...fences)))
    })

    it('guards a script of the user as well', async () => {
      const evaluator = evaluatorFor(user.client, 'test')
      const script = `${fenceGuard}return redis.call('INCRBY', KEYS[2], ARGV[3])`
      const add = (fence: string) =>
        evaluator.evaluate(script, ['{k}mark', '{k}sum'], [fence, '60000', '2'])
      expect(Number(await add('7'))).toBe(2)
      expect(Number(await add('7'))).toBe(4)
      await expect(add('6')).rejects.toThrow(/STALEFENCE.*6 is older than 7/)
      expect(await ask('get', '{k}sum')).toBe('4')
      expect(await ask('pttl', '{k}mark')).toBeGreaterThan(50_000)
    })

    it("rejects with the client's error", async () => {
      const mark = prefix + markKey('k', user.keyPrefix)
      await (await world.serverOf(mark)).call('rpush', mark, 'x')
      await expect(fencedSet(user.client, 'k', 'v', { fence: 1 })).rejects.toThrow(/WRONGTYPE/i)
      expect(await ask('get', 'k')).toBe(null)
    })
  })
})

describe('the mark of a key', () => {
  it.each(['', 'app:', '{x}', 'a}'])('lies in its slot, behind the prefix %j', (prefix) => {
    const marks = keys.map((key) => markKey(key, prefix))
    keys.forEach((key, at) => {
      expect(slotOfKey(prefix + marks[at])).toBe(slotOfKey(prefix + key))
    })
    expect(new Set(marks).size).toBe(keys.length)
  })
})

describe('fencedSet', () => {
  const client = { customCommand: async () => '0', close() {} } as unknown as RedisClient
  const write = { fence: 1 }

  it.each([
    ['a client', TypeError, [{}, 'k', 'v', write]],
    ['a key', TypeError, [client, '', 'v', write]],
    ['a text', TypeError, [client, 'k', 1, write]],
    ['options', TypeError, [client, 'k', 'v', 1]],
    ['a fence', TypeError, [client, 'k', 'v', {}]],
    ['a positive fence', RangeError, [client, 'k', 'v', { fence: 0 }]],
    ['a whole fence', RangeError, [client, 'k', 'v', { fence: 1.5 }]],
    ['a right time', RangeError, [client, 'k', 'v', { fence: 1, expireMs: 0 }]],
  ])('needs %s', async (_, kind, args) => {
    await expect(fencedSet(...(args as Parameters<typeof fencedSet>))).rejects.toThrow(kind)
  })

  it('says which function was given no client', async () => {
    const wrong = fencedSet({} as RedisClient, 'k', 'v', write)
    await expect(wrong).rejects.toThrow('fencedSet() was given an object of class Object')
  })
})
