import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { connect, createHoldfast, type Finding } from 'holdfast'
import { redis } from 'holdfast/redis'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { startProxy } from '../support/proxy.ts'
import { connect as connectRaw } from '../support/raw-redis.ts'
import { type RunningServer, startReplica, startServer } from '../support/servers.ts'
import { describeServers } from '../support/servers-under-test.ts'
import { until } from '../support/until.ts'

/** A server on which nothing endangers a promise. */
const SOUND = ['--appendonly', 'yes', '--appendfsync', 'always']

async function diagnose(
  url: string,
  options: Parameters<typeof connect>[1] = {},
): Promise<readonly Finding[]> {
  await using holdfast = await connect(url, options)
  return unhurried(await holdfast.diagnose())
}

/** Without what a loaded machine adds; that has a test of its own. */
const unhurried = (findings: readonly Finding[]): Finding[] =>
  findings.filter(({ code }) => !code.includes('latency'))

const told = (findings: readonly Finding[]): string[] =>
  findings.map(({ severity, code }) => `${severity} ${code}`)

const set = async (server: RunningServer, name: string, value: string | number): Promise<void> => {
  await server.call('config', 'set', name, value)
}

describeServers('a diagnosis', (name) => {
  it('finds nothing on a sound server, and leaves nothing on it', async () => {
    await using server = await startServer({ server: name, args: SOUND })
    expect(await diagnose(server.url)).toEqual([])
    expect(await diagnose(server.url, { prefix: '' })).toEqual([])
    const client = new Redis({ port: server.port, keyPrefix: 'mine:', lazyConnect: true })
    const own = createHoldfast({ engine: redis(client) })
    expect(unhurried(await own.diagnose())).toEqual([])
    await own.close()
    client.disconnect()
    const keys = (await server.cli('keys', '*')).split('\n').filter(Boolean)
    expect(keys.filter((key) => !key.endsWith('~fence'))).toEqual([])
  })

  it('tells of evicted keys, memory, connections and persistence', async () => {
    await using server = await startServer({ server: name })
    await set(server, 'maxmemory-policy', 'allkeys-lru')
    expect(told(await diagnose(server.url))).toEqual(['warning persistence', 'note eviction'])
    await set(server, 'maxmemory', '100mb')
    expect(told(await diagnose(server.url))).toEqual(['danger eviction', 'warning persistence'])
    await set(server, 'maxmemory-policy', 'noeviction')
    await set(server, 'save', '3600 1')
    const [saved, ...others] = await diagnose(server.url)
    expect(others).toEqual([])
    expect(saved).toMatchObject({ code: 'persistence', seen: expect.stringContaining('3600 1') })

    const used = Number(/used_memory:(\d+)/.exec(await server.cli('info', 'memory'))?.[1])
    await set(server, 'maxmemory', Math.round(used * 1.05))
    expect(told(await diagnose(server.url))).toContain('warning memory')
    await set(server, 'maxmemory', 0)

    await set(server, 'maxclients', 10)
    const crowd = await Promise.all(Array.from({ length: 8 }, () => connectRaw(server.port)))
    await Promise.all(crowd.map((one) => one.call('ping')))
    await using holdfast = await connect(server.url)
    await until(async () => told(await holdfast.diagnose()).includes('warning connections'), {
      what: 'the connections to be counted',
    })
    for (const one of crowd) one.close()
  })

  it('tells how much an append-only file forgets', async () => {
    await using server = await startServer({ server: name, args: SOUND })
    await set(server, 'appendfsync', 'everysec')
    expect(told(await diagnose(server.url))).toEqual(['note appendfsync'])
    await set(server, 'appendfsync', 'no')
    expect(told(await diagnose(server.url))).toEqual(['warning appendfsync'])
  })

  it('tells of replicas: as a target, missing, and behind', async () => {
    await using primary = await startServer({ server: name, args: SOUND })
    await set(primary, 'min-replicas-to-write', 1)
    const refused = await diagnose(primary.url, { requestTimeoutMs: 500 })
    expect(told(refused)).toEqual(['danger too-few-replicas', 'danger trial-failed'])
    await set(primary, 'min-replicas-to-write', 0)

    await using replica = await startReplica(primary, { args: SOUND })
    expect(told(await diagnose(primary.url))).toEqual(['note asynchronous-replicas'])
    const target = await diagnose(replica.url, { requestTimeoutMs: 500 })
    expect(told(target)).toEqual(['danger replica', 'danger trial-failed'])
    expect(target[0]?.seen).toContain(`replica of 127.0.0.1:${primary.port}`)
    expect(target[1]?.seen).toContain('READONLY')

    await set(primary, 'min-replicas-to-write', 1)
    await until(async () => (await diagnose(primary.url)).length === 0, {
      what: 'the replica to count',
    })
  })

  it('tells of a server that cannot save', async () => {
    await using server = await startServer({ server: name, args: SOUND })
    await set(server, 'save', '3600 1')
    await mkdir(join(server.dir, 'dump.rdb', 'in-the-way'), { recursive: true })
    await server.call('bgsave')
    await until(
      async () => (await server.cli('info', 'persistence')).includes('rdb_last_bgsave_status:err'),
      { what: 'the save to fail' },
    )
    const findings = await diagnose(server.url, { requestTimeoutMs: 500 })
    expect(told(findings)).toEqual(['danger saving-fails', 'danger trial-failed'])
    await rm(join(server.dir, 'dump.rdb'), { recursive: true })
  })

  it('tells of a node of a Cluster', async () => {
    await using server = await startServer({
      server: name,
      args: [...SOUND, '--cluster-enabled', 'yes'],
    })
    const down = await diagnose(server.url, { requestTimeoutMs: 500 })
    expect(told(down)).toEqual([
      'danger cluster-node',
      'danger cluster-down',
      'danger trial-failed',
    ])
    await server.call('cluster', 'addslotsrange', 0, 16_383)
    await until(async () => (await server.cli('cluster', 'info')).includes('cluster_state:ok'), {
      what: 'the Cluster to be up',
    })
    expect(told(await diagnose(server.url))).toEqual(['danger cluster-node'])
  })

  it('names the commands that a user may not call', async () => {
    await using server = await startServer({ server: name, args: SOUND })
    const rules = ['on', '>pw', '~*', '&*', '+@all']
    const as = (user: string): string => server.url.replace('//', `//${user}:pw@`)
    await server.call('acl', 'setuser', 'limited', ...rules, '-publish', '-zrank')
    const [finding] = await diagnose(as('limited'), { requestTimeoutMs: 300 })
    expect(finding).toMatchObject({ code: 'permission', severity: 'danger' })
    expect(finding?.seen).toContain('may not call ZRANK, PUBLISH (')

    await server.call('acl', 'setuser', 'elsewhere', ...rules, 'resetkeys', '~other:*')
    const keys = await diagnose(as('elsewhere'), { requestTimeoutMs: 300 })
    expect(told(keys)).toEqual(['danger permission', 'danger trial-failed'])
    expect(keys[0]?.seen).toContain('may not call EVAL (')

    // All that a mutex needs, but not what a semaphore needs.
    const parts = ['fence', 'line', 'alive', 'places'].map((part) => `~{holdfast:*}~${part}`)
    await server.call('acl', 'setuser', 'mutexes', ...rules, 'resetkeys', '~holdfast:*', ...parts)
    const some = await diagnose(as('mutexes'), { requestTimeoutMs: 300 })
    expect(told(some)).toEqual(['danger permission', 'danger trial-failed'])

    await server.call('acl', 'setuser', 'deaf', ...rules, '-subscribe')
    const deaf = await diagnose(as('deaf'), { requestTimeoutMs: 2000 })
    expect(told(deaf)).toEqual(['warning handoff'])

    await server.call('acl', 'setuser', 'blind', ...rules, '-info', '-config', '-cluster', '-scan')
    const blind = await diagnose(as('blind'), { prefix: '' })
    expect(told(blind)).toEqual(['note not-checked'])
    for (const question of ['INFO', 'CONFIG GET', 'SCAN']) {
      expect(blind[0]?.seen).toContain(question)
    }
  })

  it('names the commands that a server lacks', async () => {
    const args = [...SOUND, '--rename-command', 'zrank', '', '--rename-command', 'publish', '']
    await using server = await startServer({ server: name, args })
    const [finding] = await diagnose(server.url, { requestTimeoutMs: 300 })
    expect(finding).toMatchObject({ code: 'missing-command', severity: 'danger' })
    expect(finding?.seen).toBe('The server does not know ZRANK, PUBLISH.')
  })
})

describe('a diagnosis', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  it('tells of a server that went away', async () => {
    await using server = await startServer({ args: SOUND })
    await using holdfast = await connect(server.url, { requestTimeoutMs: 300 })
    await server.kill()
    expect(told(await holdfast.diagnose())).toEqual(['danger unreachable'])
  })

  it('compares the time of an answer with the times that depend on it', async () => {
    await using server = await startServer({ args: SOUND })
    const proxy = await startProxy({ targetPort: server.port })
    await using holdfast = await connect(proxy.url, { ttlMs: 1700, commandTimeoutMs: 1700 })
    proxy.delay({ replyMs: 600 })
    expect(told(await holdfast.diagnose())).toEqual(['danger latency', 'warning command-latency'])
    await proxy.stop()
  })

  it('tells of clocks that are far apart', async () => {
    await using server = await startServer({ args: SOUND })
    await using holdfast = await connect(server.url)
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 3_600_000 })
    const findings = unhurried(await holdfast.diagnose())
    vi.useRealTimers()
    expect(told(findings)).toEqual(['warning clock'])
    expect(findings[0]?.seen).toMatch(/ (35|36)\d{5} ms apart/)
  })

  it('tells of other keys where locks have no prefix', async () => {
    await using server = await startServer({ args: SOUND })
    await server.call('set', 'a lock of the plain recipe', 'x', 'px', 60_000)
    expect(await diagnose(server.url, { prefix: '' })).toEqual([])
    await server.call('hset', 'a hash', 'field', 'value')
    expect(await diagnose(server.url)).toEqual([])
    const findings = await diagnose(server.url, { prefix: '' })
    expect(told(findings)).toEqual(['note shared-keyspace'])
    expect(findings[0]?.seen).toContain('"a hash"')
  })
})

describe('connect', () => {
  const warnings: Error[] = []
  const note = (warning: Error): number => warnings.push(warning)

  afterEach(() => {
    process.off('warning', note)
    warnings.length = 0
  })

  async function settled(server: RunningServer, url = server.url): Promise<void> {
    await using holdfast = await connect(url)
    // Answers come in order: after this one, the look in the background is over.
    await holdfast.inspect('m')
    await new Promise((resolve) => setImmediate(resolve))
  }

  it('warns once of what is dangerous, and only of that', async () => {
    process.on('warning', note)
    await using server = await startServer()
    await settled(server)
    await set(server, 'maxmemory-policy', 'volatile-ttl')
    await settled(server)
    expect(warnings).toEqual([])
    await set(server, 'maxmemory', 12_345_678)
    await settled(server)
    await settled(server)
    expect(warnings).toMatchObject([
      {
        name: 'HoldfastWarning',
        code: 'eviction',
        message: expect.stringContaining('volatile-ttl'),
      },
    ])
  })

  it('works without the right to look', async () => {
    process.on('warning', note)
    await using server = await startServer()
    await server.call('acl', 'setuser', 'blind', 'on', '>pw', '~*', '&*', '+@all', '-info')
    await settled(server, server.url.replace('//', '//blind:pw@'))
    expect(warnings).toEqual([])
  })
})
