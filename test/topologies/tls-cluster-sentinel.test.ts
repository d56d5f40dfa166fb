import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, createConnection, createServer } from 'node:net'
import { connect, createHoldfast, type Holdfast } from 'holdfast'
import { redis } from 'holdfast/redis'
import { createCluster, createSentinel } from 'redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Certificates, makeCertificates } from '../support/certificates.ts'
import { type RunningCluster, startCluster } from '../support/cluster.ts'
import { type RunningSentinel, startSentinel } from '../support/sentinel.ts'
import { until } from '../support/until.ts'
import { ways } from './support.ts'

let certificates: Certificates
let ca: Buffer
beforeAll(async () => {
  certificates = await makeCertificates()
  ca = await readFile(certificates.ca)
})
afterAll(() => certificates.remove())

const hostsOf = ({ addresses }: RunningCluster | RunningSentinel): string =>
  addresses.map(({ host, port }) => `${host}:${port}`).join(',')

/** Takes locks and hands them over, which needs the subscriptions as well. */
async function handsOver(one: Holdfast, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const lease = await one.mutex(name).acquire()
    const next = one.mutex(name).acquire()
    await until(async () => (await one.inspect(name))?.waiting === 1, { what: 'a waiter' })
    await lease.renew()
    expect(await lease.release()).toBe(true)
    const second = await next
    expect(second.fence).toBeGreaterThan(lease.fence)
    expect(await second.release()).toBe(true)
  }
}

describe('a Cluster that speaks TLS', () => {
  let cluster: RunningCluster
  beforeAll(async () => {
    cluster = await startCluster({ certificates })
  })
  afterAll(() => cluster.stop())

  const urlOf = (file: string): string =>
    `rediss+cluster://${hostsOf(cluster)}?ca=${encodeURIComponent(file)}`

  /** One lock on each primary. */
  async function names(): Promise<string[]> {
    const found = new Map<number, string>()
    for (let at = 0; found.size < cluster.nodes.length; at += 1) {
      const { port } = await cluster.primaryOf(`holdfast:job${at}`)
      found.set(port, `job${at}`)
    }
    return [...found.values()]
  }

  it.each(ways)('hands locks of every primary over through %s', async (way) => {
    const open = async (): Promise<Holdfast> => {
      if (way === 'a URL') return await connect(urlOf(certificates.ca))
      const rootNodes = cluster.addresses.map(({ host, port }) => ({
        url: `rediss://${host}:${port}`,
      }))
      const client = createCluster({ rootNodes, defaults: { socket: { tls: true, ca } } })
      return createHoldfast({ engine: redis(client) })
    }
    await using one = await open()
    await handsOver(one, await names())
  })

  it('is told by which name a node is asked for', async () => {
    const [node] = cluster.nodes
    const greetings: string[] = []
    const gate = createServer((socket) => {
      const further = createConnection(node?.port ?? 0, node?.server.host)
      // The name stands in the first message of TLS, which is not encrypted.
      socket.once('data', (bytes) => greetings.push(bytes.toString('latin1')))
      for (const end of [socket, further]) end.on('error', () => {})
      socket.pipe(further).pipe(socket)
    })
    await once(gate.listen(0, '127.0.0.1'), 'listening')
    const { port } = gate.address() as AddressInfo
    try {
      const query = `family=4&ca=${encodeURIComponent(certificates.ca)}`
      const url = `rediss+cluster://localhost:${port}?${query}`
      await using one = await connect(url)
      await one.mutex('job').run(async () => {})
    } finally {
      gate.close()
    }
    expect(greetings.length).toBeGreaterThan(0)
    for (const greeting of greetings) expect(greeting).toContain('localhost')
  })

  it('is refused when another CA signed', async () => {
    const made = connect(urlOf(certificates.otherCa), { requestTimeoutMs: 500 })
    await expect(made).rejects.toThrow(/certificate was not accepted/)
  })
})

describe('Sentinels and servers that speak TLS', () => {
  let group: RunningSentinel
  beforeAll(async () => {
    group = await startSentinel({ certificates, replicas: 1 })
  })
  afterAll(() => group.stop())

  const urlOf = (file: string): string =>
    `rediss+sentinel://${hostsOf(group)}/${group.name}?ca=${encodeURIComponent(file)}`

  it.each(ways)('hand a lock over before and after a failover through %s', async (way) => {
    const open = async (): Promise<Holdfast> => {
      if (way === 'a URL') return await connect(urlOf(certificates.ca))
      const secured = { socket: { tls: true, ca } } as const
      const client = createSentinel({
        name: group.name,
        sentinelRootNodes: group.addresses.map((address) => ({ ...address })),
        nodeClientOptions: secured,
        sentinelClientOptions: secured,
      })
      return createHoldfast({ engine: redis(client) })
    }
    await using one = await open()
    await handsOver(one, ['job'])
    const old = await group.primary()
    await until(
      async () => {
        // Refused while the replica is not known to be good yet.
        const [sentinel] = group.sentinels
        const reply = await sentinel?.call('sentinel', 'failover', group.name).catch(String)
        return reply === 'OK'
      },
      { what: 'a failover to begin', timeoutMs: 20_000, everyMs: 100 },
    )
    await group.promoted(old)
    await handsOver(one, ['job'])
  })

  // Why, ioredis keeps to itself.
  it('are refused when another CA signed', async () => {
    const made = connect(urlOf(certificates.otherCa), { requestTimeoutMs: 500 })
    await expect(made).rejects.toMatchObject({
      code: 'HOLDFAST_ENGINE_FAILED',
      message: expect.stringContaining('All sentinels are unreachable'),
    })
  })
})
