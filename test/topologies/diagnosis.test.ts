import type { Finding } from 'holdfast'
import { connect } from 'holdfast'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningCluster, startCluster } from '../support/cluster.ts'
import { startSentinel } from '../support/sentinel.ts'
import { startReplica, startServer } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { openCluster, openSentinel } from './support.ts'

/** With these, nothing endangers a promise. */
const SOUND = ['--appendonly', 'yes', '--appendfsync', 'always']

/** Without what a loaded machine adds. */
const told = (findings: readonly Finding[]): string[] =>
  findings
    .filter(({ code }) => !code.includes('latency'))
    .map(({ severity, code, seen }) => `${severity} ${code}: ${seen}`)

describe('a diagnosis of a Cluster', () => {
  let cluster: RunningCluster
  beforeAll(async () => {
    // A node that is gone must not stop the others.
    cluster = await startCluster({ args: [...SOUND, '--cluster-require-full-coverage', 'no'] })
  })
  afterAll(() => cluster.stop())

  const addresses = (): string[] => cluster.addresses.map(({ host, port }) => `${host}:${port}`)
  async function diagnose(options: Parameters<typeof openCluster>[2] = {}): Promise<string[]> {
    const one = await openCluster('a URL', cluster, { requestTimeoutMs: 500, ...options })
    try {
      return told(await one.holdfast.diagnose())
    } finally {
      await one.close()
    }
  }

  it('finds nothing where all is sound', async () => {
    expect(await diagnose()).toEqual([])
    expect(await diagnose({ prefix: '' })).toEqual([])
  })

  it.each([0, 1, 2])('names primary %i as the one that drops locks', async (at) => {
    const server = cluster.nodes[at]?.server
    await server?.call('config', 'set', 'maxmemory-policy', 'allkeys-lru')
    await server?.call('config', 'set', 'maxmemory', '100mb')
    const seen = 'maxmemory-policy is allkeys-lru, maxmemory is 104857600.'
    expect(await diagnose()).toEqual([`danger eviction: On ${addresses()[at]}: ${seen}`])
    await server?.call('config', 'set', 'maxmemory', '0')
    await server?.call('config', 'set', 'maxmemory-policy', 'noeviction')
  })

  it('names each primary whose user lacks a right', async () => {
    const rules = ['on', '>pw', '~*', '&*', '+@all']
    for (const [at, { server }] of cluster.nodes.entries()) {
      const less = at === 1 ? ['-zrank', '-spublish'] : []
      await server.call('acl', 'setuser', 'limited', ...rules, ...less)
    }
    const hosts = addresses().join(',')
    await using holdfast = await connect(`redis+cluster://limited:pw@${hosts}`)
    const findings = (await holdfast.diagnose()).filter(({ code }) => code === 'permission')
    expect(findings).toHaveLength(1)
    expect(findings[0]?.seen).toMatch(
      new RegExp(`^On ${addresses()[1]}: The user may not call ZRANK, SPUBLISH \\(`),
    )
  })

  it('tells once of replicas that every primary lacks', async () => {
    const [target] = await diagnose({ replicas: { min: 1 } } as object)
    const everywhere = addresses().sort().join(', ')
    const seen = 'replicas.min is 1, and 0 replicas are connected to the server.'
    expect(target).toBe(`danger replica-target: On ${everywhere}: ${seen}`)
  })

  it('tells of a primary that is gone, by name, and that slots are without one', async () => {
    await using holdfast = await connect(`redis+cluster://${addresses().join(',')}`, {
      requestTimeoutMs: 500,
    })
    await holdfast.diagnose()
    const lost = cluster.nodes[2]
    await lost?.server.kill()
    await until(
      async () => {
        const findings = told(await holdfast.diagnose()).filter((each) => !each.includes('trial'))
        const gone = findings.find((each) => each.startsWith('danger unreachable: On '))
        const down = findings.find((each) => each.startsWith('danger cluster-down: On '))
        return gone?.includes(`${addresses()[2]}: `) && down?.includes('of 16384 slots')
      },
      { what: 'both to be found', timeoutMs: 20_000, everyMs: 200 },
    )
  })
})

describe('a diagnosis where replicas must have a lease', () => {
  it('counts those of the server', async () => {
    await using primary = await startServer({ args: SOUND })
    const url = (min: number): string => `${primary.url}?replicas=${min}`
    const look = async (min: number): Promise<string[]> => {
      await using holdfast = await connect(url(min), { requestTimeoutMs: 500 })
      return told(await holdfast.diagnose()).filter((each) => !each.includes('trial-failed'))
    }
    const seen = 'replicas.min is 1, and 0 replicas are connected to the server.'
    expect(await look(1)).toEqual([`danger replica-target: ${seen}`])
    await using first = await startReplica(primary, { args: SOUND })
    await until(async () => (await look(1)).length === 0, { what: 'the replica to be connected' })
    expect(await look(2)).toEqual([
      `danger replica-target: ${seen.replace('1, and 0', '2, and 1')}`,
    ])
    await using second = await startReplica(primary, { args: SOUND })
    await until(async () => (await look(2)).length === 0, { what: 'both to be connected' })
    const note = 'Holdfast waits for 1 of the 2 replicas of the server.'
    expect(await look(1)).toEqual([`note asynchronous-replicas: ${note}`])
    expect([first.running, second.running]).toEqual([true, true])
  })
})

describe('a diagnosis behind Sentinels', () => {
  it('warns of a second primary until replicas are needed to grant', async () => {
    await using group = await startSentinel({ replicas: 1, downAfterMs: 30_000, args: SOUND })
    const look = async (replicas: object): Promise<string[]> => {
      const one = await openSentinel('a URL', group, replicas)
      try {
        return told(await one.holdfast.diagnose())
      } finally {
        await one.close()
      }
    }
    const seen = 'min-replicas-to-write is 0, and replicas.min is not set.'
    const warning = `warning second-primary: ${seen}`
    expect(await look({})).toContain(warning)
    expect(await look({ replicas: { min: 1 } })).toEqual([])
    const primary = await group.primary()
    await primary.call('config', 'set', 'min-replicas-to-write', 1)
    await until(async () => !(await look({})).includes(warning), { what: 'the setting to count' })
    expect(await look({})).toEqual([])
  })
})
