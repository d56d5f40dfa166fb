import { connect, type Holdfast } from 'holdfast'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { nodeListKeys } from '../../src/engines/redis/keys.ts'
import { timesRun } from '../support/holdfasts.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { until } from '../support/until.ts'

let servers: RunningServer[]
const opened: Holdfast[] = []
const heard: { code?: string; message: string }[] = []
const hear = (warning: Error & { code?: string }) => heard.push(warning)

beforeAll(async () => {
  servers = await Promise.all(Array.from({ length: 4 }, () => startServer()))
  process.on('warning', hear)
})
afterEach(async () => {
  for (const holdfast of opened.splice(0)) await holdfast.close()
})
afterAll(async () => {
  process.off('warning', hear)
  await Promise.all(servers.map((server) => server.stop()))
})

async function open(list: readonly number[]): Promise<Holdfast> {
  const urls = list.map((at) => servers[at]!.url)
  const holdfast = await connect(`quorum:${urls.join(',')}`)
  opened.push(holdfast)
  return holdfast
}

const listsIn = async (holdfast: Holdfast) =>
  (await holdfast.diagnose()).filter(({ code }) => code === 'quorum-lists')

/** Makes the name of a server older, and forgets the lists that were noted there. */
async function age(server: RunningServer, byMs: number): Promise<void> {
  const script =
    "local node = redis.call('zrange', KEYS[1], -1, -1)[1] " +
    "local name, at = string.match(node, '^(%S+) (%d+)$') " +
    "redis.call('del', KEYS[1], KEYS[2]) " +
    "return redis.call('zadd', KEYS[1], '+inf', name .. ' ' .. (tonumber(at) - ARGV[1]))"
  await server.call('eval', script, 2, ...nodeListKeys('holdfast:'), byMs)
}

describe('processes with lists of real servers', () => {
  it('are warned at connect when the lists differ, and not when only the order does', async () => {
    // Every node gets a name, and all names are old.
    for (const list of [
      [0, 1, 2],
      [1, 2, 3],
    ]) {
      await (await open(list)).close()
    }
    for (const server of servers) await age(server, 60_000)
    const one = await open([0, 1, 2])
    expect(await listsIn(one)).toEqual([])
    expect(await listsIn(await open([2, 0, 1]))).toEqual([])
    heard.length = 0
    const other = await open([1, 3, 2])
    await until(() => heard.length > 0, { what: 'the warning' })
    expect(heard).toMatchObject([{ name: 'HoldfastWarning', code: 'quorum-lists' }])
    expect(heard[0]!.message).toContain(`${process.pid} has a list of 3, without`)
    expect(heard[0]!.message).toContain(String(servers[3]!.port))
    for (const each of [one, other]) {
      expect(await listsIn(each)).toMatchObject([{ severity: 'danger' }])
    }
  })

  it('need no right for it: without one locks work all the same', async () => {
    for (const server of servers.slice(0, 3)) {
      await server.call('flushall')
      const rules = ['on', '>pw', 'resetkeys', '~holdfast:*', '~{holdfast:[hj]*}~*', '&*', '+@all']
      await server.call('acl', 'setuser', 'narrow', 'reset', ...rules)
    }
    const urls = servers.slice(0, 3).map(({ port }) => `redis://narrow:pw@127.0.0.1:${port}`)
    const holdfast = await connect(`quorum:${urls.join(',')}`)
    opened.push(holdfast)
    const lease = await holdfast.mutex('job').acquire()
    expect(lease.held).toBe(true)
    await lease.release()
    for (const server of servers.slice(0, 3)) {
      expect(await server.cli('keys', '{*quorum}~*')).toBe('')
      expect(await timesRun(server, 'evalsha')).toBeGreaterThan(0)
    }
  })
})
