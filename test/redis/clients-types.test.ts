import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5'
import { createClient, createClientPool, createCluster, createSentinel } from 'redis'
import {
  createClient as createClient5,
  createCluster as createCluster5,
  createSentinel as createSentinel5,
} from 'redis5'
import { expect, it } from 'vitest'
import { portFor, type RedisClient } from '../../src/engines/redis/clients/detect.ts'
import { systemClock } from '../../src/system/clock.ts'

const options = { clock: systemClock, connectTimeoutMs: 1000 }
const nodes = [{ host: '127.0.0.1', port: 1 }]
const sentinels = { sentinels: nodes, name: 'main', lazyConnect: true }
const rootNodes = [{ url: 'redis://127.0.0.1:1' }]
const sentinelRootNodes = { name: 'main', sentinelRootNodes: nodes }

// That these lines compile is half of the test: no cast is needed for any client.
const accepted: readonly (readonly [string, string, () => RedisClient])[] = [
  ['ioredis', 'single', () => new Redis({ lazyConnect: true })],
  ['ioredis', 'sentinel', () => new Redis(sentinels)],
  ['ioredis', 'cluster', () => new Cluster(nodes, { lazyConnect: true })],
  ['ioredis', 'single', () => new Redis5({ lazyConnect: true })],
  ['ioredis', 'sentinel', () => new Redis5(sentinels)],
  ['ioredis', 'cluster', () => new Cluster5(nodes, { lazyConnect: true })],
  ['node-redis', 'single', () => createClient()],
  ['node-redis', 'single', () => createClient({ RESP: 2 }).withTypeMapping({ 36: Buffer })],
  ['node-redis', 'cluster', () => createCluster({ rootNodes })],
  ['node-redis', 'sentinel', () => createSentinel(sentinelRootNodes)],
  ['node-redis', 'single', () => createClient5()],
  ['node-redis', 'single', () => createClient5({ RESP: 3 })],
  ['node-redis', 'cluster', () => createCluster5({ rootNodes })],
  ['node-redis', 'sentinel', () => createSentinel5(sentinelRootNodes)],
]

it.each(accepted)('%s, %s', async (client, topology, make) => {
  const port = portFor(make(), options)
  expect(port).toMatchObject({ client, topology, keyPrefix: '' })
  await port.close()
})

const legacy = createClient().legacy()
const refused: readonly (readonly [unknown, RegExp])[] = [
  [undefined, /was given a undefined\b/],
  [null, /was given null\. Hand in a Redis or Cluster of ioredis 5 or 6/],
  ['redis://:tops3cret@localhost', /was given a string\. /],
  [{}, /was given an object of class Object/],
  [Object.create(null), /was given an object of class unknown/],
  [Redis, /was given the function Redis/],
  [Promise.resolve(), /was given a promise; await it first/],
  [createClientPool(), /was given a pool of node-redis/],
  [new Redis({ lazyConnect: true }).pipeline(), /was given a pipeline or transaction of ioredis/],
  [legacy, /was given (a client of node-redis 4|an object of class)/],
  [{ sendCommand() {}, quit() {}, duplicate() {}, isOpen: true }, /node-redis 4 or older/],
  [{ customCommand() {}, close() {} }, /GLIDE whose configuration cannot be read/],
  [{ customCommand() {}, close() {}, config: { addresses: [] } }, /GLIDE that cannot subscribe/],
]

it.each(refused)('refuses what is no client (%#)', (given, message) => {
  expect(() => portFor(given as RedisClient, options)).toThrow(TypeError)
  expect(() => portFor(given as RedisClient, options)).toThrow(message)
  expect(() => portFor(given as RedisClient, options)).not.toThrow(/tops3cret/)
})
