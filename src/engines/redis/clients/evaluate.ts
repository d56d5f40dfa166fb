import { detect } from './detect.ts'
import type { GlideLikeClient } from './glide.ts'
import { type IoredisClient, ioredisPrefix } from './ioredis.ts'
import { type NodeRedisClient, nodeRedisPrefix } from './node-redis.ts'

/** An argument of a script that may be any bytes. */
export type Argument = string | Uint8Array

/** The client a user made, used as it is: with its connection, its retries and its key prefix. */
export interface Evaluator {
  /** What the client puts in front of the keys of a script. */
  readonly keyPrefix: string
  /** Runs a script on the primary that has `keys`. Rejects with the error of the client. */
  evaluate(script: string, keys: readonly string[], args: readonly Argument[]): Promise<unknown>
}

/** Throws TypeError for what is no client. `caller` is the function that was given it. */
export function evaluatorFor(client: unknown, caller: string): Evaluator {
  const found = detect(client, caller)
  switch (found.library) {
    case 'ioredis':
      return onIoredis(found.client)
    case 'node-redis':
      return onNodeRedis(found.client)
    case 'valkey-glide':
      return onGlide(found.client)
  }
}

function onIoredis(client: IoredisClient): Evaluator {
  const redis = client as unknown as {
    call(name: string, args: readonly (string | number | Buffer)[]): Promise<unknown>
  }
  return {
    keyPrefix: ioredisPrefix(client),
    evaluate: async (script, keys, args) =>
      await redis.call('eval', [script, keys.length, ...keys, ...args.map(toBuffer)]),
  }
}

function onNodeRedis(client: NodeRedisClient): Evaluator {
  const redis = client as unknown as {
    eval(
      script: string,
      options: { keys: readonly string[]; arguments: readonly (string | Buffer)[] },
    ): Promise<unknown>
  }
  return {
    keyPrefix: nodeRedisPrefix(client),
    evaluate: async (script, keys, args) =>
      await redis.eval(script, { keys, arguments: args.map(toBuffer) }),
  }
}

function onGlide(client: GlideLikeClient): Evaluator {
  const glide = client as unknown as {
    customCommand(args: readonly (string | Buffer)[]): Promise<unknown>
  }
  return {
    keyPrefix: '',
    evaluate: async (script, keys, args) =>
      await glide.customCommand([
        'EVAL',
        script,
        String(keys.length),
        ...keys,
        ...args.map(toBuffer),
      ]),
  }
}

/** No client takes every kind of byte array, and all take this one. */
function toBuffer(arg: Argument): string | Buffer {
  if (typeof arg === 'string') return arg
  return Buffer.from(arg.buffer, arg.byteOffset, arg.byteLength)
}
