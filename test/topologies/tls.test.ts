import { readFile } from 'node:fs/promises'
import { connect, createHoldfast, EngineError, type Holdfast } from 'holdfast'
import { redis } from 'holdfast/redis'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Certificates, makeCertificates } from '../support/certificates.ts'
import { freePort, type RunningServer, startServer } from '../support/servers.ts'
import { describeServers } from '../support/servers-under-test.ts'
import { until } from '../support/until.ts'

const SECRET = 'tops3cret'

describeServers('a server that speaks TLS', (name) => {
  let certificates: Certificates
  let server: RunningServer
  let strict: RunningServer
  let port: number
  let strictPort: number
  beforeAll(async () => {
    certificates = await makeCertificates()
    port = await freePort()
    strictPort = await freePort()
    const start = async (tlsPort: number, clients: 'ask' | 'ask not') =>
      await startServer({ server: name, args: certificates.serverArgs(tlsPort, clients) })
    server = await start(port, 'ask not')
    strict = await start(strictPort, 'ask')
    await server.call('acl', 'setuser', 'worker', 'on', `>${SECRET}`, '~*', '&*', '+@all')
  })
  afterAll(async () => {
    await server.stop()
    await strict.stop()
    await certificates.remove()
  })

  const url = (host: string, query = '', at = port): string =>
    `rediss://worker:${SECRET}@${host}:${at}/0${query}`
  const refusal = async (...[to, options]: Parameters<typeof connect>): Promise<EngineError> => {
    const made = connect(to, { requestTimeoutMs: 300, ...options })
    const error: unknown = await made.then(
      async (holdfast) => await holdfast.close(),
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(EngineError)
    for (let each = error; each instanceof Error; each = each.cause) {
      expect(`${each.message} ${each.stack}`).not.toContain(SECRET)
    }
    return error as EngineError
  }

  /** Takes a lock and hands it over, which needs the subscription as well. */
  async function serves(one: Holdfast): Promise<void> {
    try {
      const lease = await one.mutex('job').acquire()
      const waits = new Promise((resolve) => one.on('waiting', resolve))
      const next = one.mutex('job').acquire()
      await waits
      await lease.release()
      expect((await next).held).toBe(true)
    } finally {
      await one.close()
    }
    await until(async () => (await server.call('exists', 'holdfast:job')) === 0, {
      what: 'the lock to be free',
    })
  }

  it.each(['localhost', '127.0.0.1'])(
    'serves a URL to %s with the file of its CA',
    async (host) => {
      await serves(await connect(url(host, `?ca=${encodeURIComponent(certificates.ca)}`)))
    },
  )

  it('serves a URL with the text of its CA', async () => {
    const ca = await readFile(certificates.ca)
    await serves(await connect(url('127.0.0.1'), { tls: { ca } }))
    await serves(await connect(url('127.0.0.1'), { tls: { ca: ca.toString() } }))
  })

  it('serves the clients of a user, on connections made as theirs were', async () => {
    const ca = await readFile(certificates.ca)
    const access = { username: 'worker', password: SECRET }
    const own = new Redis({ port, ...access, tls: { ca }, lazyConnect: true })
    await serves(createHoldfast({ engine: redis(own) }))
    own.disconnect()
    const other = createClient({ ...access, socket: { host: 'localhost', port, tls: true, ca } })
    await serves(createHoldfast({ engine: redis(other) }))
  })

  it('is refused when another CA signed, and the error says so', async () => {
    const error = await refusal(url('127.0.0.1', `?ca=${encodeURIComponent(certificates.otherCa)}`))
    expect(error).toMatchObject({ code: 'HOLDFAST_ENGINE_FAILED', operation: 'connect' })
    expect(error.message).toMatch(/server's certificate was not accepted.*\(ca\)/)
    const cause = error.cause as Error
    expect(cause.cause).toMatchObject({ code: expect.stringMatching(/CERT|VERIFY|ISSUER/) })
    await refusal(url('127.0.0.1'))
  })

  it('is refused when its certificate is for another name', async () => {
    const query = `?serverName=db.internal&ca=${encodeURIComponent(certificates.ca)}`
    const error = await refusal(url('127.0.0.1', query))
    expect(error.message).toMatch(/certificate was not accepted.*db\.internal/)
  })

  it('and asks for a certificate gets one, or an error', async () => {
    const { ca, cert, key } = certificates
    const files = Object.entries({ ca, cert, key }).map((pair) => pair.join('='))
    const strictUrl = `rediss://127.0.0.1:${strictPort}?${files.join('&')}`
    const one = await connect(strictUrl)
    expect((await one.mutex('job').tryAcquire())?.held).toBe(true)
    await one.close()
    await refusal(`rediss://127.0.0.1:${strictPort}?ca=${ca}`)
  })

  it('is refused with a wrong password, which stands in no message', async () => {
    const wrong = url('127.0.0.1', `?ca=${certificates.ca}`).replace(SECRET, `${SECRET}x`)
    expect((await refusal(wrong)).message).toContain('WRONGPASS')
  })

  it('is not reached by a URL without TLS, which ends with an error', async () => {
    await refusal(`redis://127.0.0.1:${port}`)
  })

  it('is not asked when a file cannot be read', async () => {
    const missing = connect(url('127.0.0.1', '?ca=/nowhere/ca.pem'))
    await expect(missing).rejects.toThrow(TypeError)
    await expect(missing).rejects.toThrow(/names as "ca" cannot be read \(ENOENT\)/)
  })
})

it.each(['redis://u:tops3cret@localhost', 'redis+cluster://localhost', 'valkey://localhost'])(
  'certificates for %s, which does not speak TLS, are refused',
  async (url) => {
    const made = connect(url, { tls: { ca: 'tops3cret' } })
    await expect(made).rejects.toThrow(TypeError)
    await expect(made).rejects.toThrow(/The option tls is for URLs that begin with rediss/)
    await expect(made).rejects.not.toThrow(/tops3cret/)
  },
)
