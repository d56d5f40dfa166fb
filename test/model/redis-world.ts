import type { World } from 'holdfast/testing'
import type { Engine } from '../../src/core/engine.ts'
import * as scripts from '../../src/engines/redis/scripts.generated.ts'
import { redisWorld } from '../contract/redis-world.ts'
import type { RunningServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

/**
 * Moves everything on the server into the past, which is what time does to it. The line's own keys
 * keep their time to live: it only cleans up after processes that are gone.
 */
const AGE = `
local ms = tonumber(ARGV[1])
local function age(text, from, to)
  local at = 0
  return (string.gsub(text, '%S+', function(word)
    at = at + 1
    local moves = at >= from and at <= to and word ~= '0'
    return moves and string.format('%.0f', word - ms) or nil
  end, to))
end
local function cut(key)
  local left = redis.call('PTTL', key) - ms
  if left <= 0 then return redis.call('DEL', key) end
  redis.call('PEXPIRE', key, left)
end
for _, key in ipairs(redis.call('KEYS', '*')) do
  local part = string.match(key, '~(%a+)$')
  if part == 'alive' or part == 'holders' then
    for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      redis.call('ZINCRBY', key, -ms, member)
    end
  elseif part == 'leases' then
    local all = redis.call('HGETALL', key)
    for at = 1, #all, 2 do redis.call('HSET', key, all[at], age(all[at + 1], 3, 4)) end
  elseif part == 'fence' then
    redis.call('SET', key, age(redis.call('GET', key), 3, 4), 'KEEPTTL')
  end
  if not part or part == 'holders' or part == 'leases' then cut(key) end
end
`

/** A world whose processes serve one history after another. */
export interface AgingWorld {
  /** The world of the next history, which throws at its end when that left more than fences. */
  start(): Promise<World>
  /** Ends the processes; throws when one of them leaves a subscription behind. */
  stop(): Promise<void>
}

/**
 * A real server and real connections in a time of their own: a pause takes no time, so that lives
 * can be far longer than a slow machine may need for a whole history.
 */
export async function agingWorld(server: RunningServer): Promise<AgingWorld> {
  const world = await redisWorld(server)
  // An answer that is lost must be the script's own, and not that the server does not know it yet.
  for (const { source } of Object.values(scripts)) await server.call('script', 'load', source)
  const engines: Engine[] = []
  return {
    async start() {
      let next = 0
      return {
        ...world,
        async engine() {
          const at = next++
          engines[at] ??= await world.engine()
          return engines[at]
        },
        async advance(ms) {
          await server.call('eval', AGE, 0, ms)
        },
        async stop() {
          const keys = await server.cli('keys', '*')
          const left = keys.split('\n').filter((key) => key !== '' && !key.endsWith('~fence'))
          await server.call('flushall')
          if (left.length > 0) throw new Error(`a history left ${left.join(', ')}`)
        },
      }
    },
    async stop() {
      await world.stop()
      await until(async () => (await server.cli('pubsub', 'channels')) === '', {
        what: 'every subscription to end',
      })
    },
  }
}
