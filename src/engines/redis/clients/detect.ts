import type { PortOptions, RedisPort } from '../port.ts'
import { type GlideLikeClient, glidePort } from './glide.ts'
import { type IoredisClient, ioredisPort } from './ioredis.ts'
import { type NodeRedisClient, nodeRedisPort } from './node-redis.ts'

/** Every client object that Holdfast takes. */
export type RedisClient = IoredisClient | NodeRedisClient | GlideLikeClient

const WANTED =
  'Hand in a Redis or Cluster of ioredis 5 or 6, what createClient, createCluster or ' +
  'createSentinel of node-redis 5 or 6 returns, or a client of Valkey GLIDE'

/** A client and the library that it is of. */
export type Detected =
  | { readonly library: 'ioredis'; readonly client: IoredisClient }
  | { readonly library: 'node-redis'; readonly client: NodeRedisClient }
  | { readonly library: 'valkey-glide'; readonly client: GlideLikeClient }

/** The port for the client a user made. */
export function portFor(client: RedisClient, options: PortOptions): RedisPort {
  const found = detect(client, 'redis')
  switch (found.library) {
    case 'ioredis':
      return ioredisPort(found.client, options)
    case 'node-redis':
      return nodeRedisPort(found.client, options)
    case 'valkey-glide':
      return glidePort(found.client, options)
  }
}

/**
 * Tells the library by what a client can do: class names do not survive. Throws TypeError for
 * anything else, in the name of the function that was given it.
 */
export function detect(given: unknown, caller: string): Detected {
  if (isIoredis(given)) return { library: 'ioredis', client: given }
  if (isNodeRedis(given)) return { library: 'node-redis', client: given }
  if (isGlide(given)) return { library: 'valkey-glide', client: given }
  throw new TypeError(`${caller}() was given ${describe(given)}. ${WANTED}.`)
}

function isIoredis(given: unknown): given is IoredisClient {
  return (
    has(given, 'call', 'function') &&
    has(given, 'defineCommand', 'function') &&
    has(given, 'duplicate', 'function') &&
    has(given, 'options', 'object')
  )
}

function isNodeRedis(given: unknown): given is NodeRedisClient {
  return (
    has(given, 'sendCommand', 'function') &&
    (has(given, 'duplicate', 'function') || has(given, 'getMasterNode', 'function')) &&
    has(given, 'destroy', 'function') &&
    has(given, 'isOpen', 'boolean')
  )
}

function isGlide(given: unknown): given is GlideLikeClient {
  return has(given, 'customCommand', 'function') && has(given, 'close', 'function')
}

function describe(given: unknown): string {
  if (given === null) return 'null'
  if (typeof given === 'function') return `the function ${given.name || 'without a name'}`
  if (typeof given !== 'object') return `a ${typeof given}`
  if ('then' in given) return 'a promise; await it first'
  if (has(given, 'execute', 'function') && has(given, 'isOpen', 'boolean')) {
    return 'a pool of node-redis; Holdfast needs no pool, only the client it is made of'
  }
  if (has(given, 'exec', 'function') && has(given, 'redis', 'object')) {
    return 'a pipeline or transaction of ioredis, not its client'
  }
  if (has(given, 'sendCommand', 'function') && has(given, 'quit', 'function')) {
    return 'a client of node-redis 4 or older, or one in legacy mode'
  }
  return `an object of class ${given.constructor?.name ?? 'unknown'}`
}

function has(given: unknown, name: string, type: string): boolean {
  // Properties are looked at, not called: a getter of the user's may do anything.
  return (
    typeof given === 'object' &&
    given !== null &&
    name in given &&
    typeof (given as Record<string, unknown>)[name] === type
  )
}
