import { readFileSync } from 'node:fs'
import { connect, type Holdfast } from 'holdfast'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as scripts from '../../src/engines/redis/scripts.generated.ts'
import { type RunningServer, startServer } from '../support/servers.ts'
import { describeServers } from '../support/servers-under-test.ts'
import { until } from '../support/until.ts'

const page = readFileSync(new URL('../../docs/acl.md', import.meta.url), 'utf8')
const rules = (/```acl\n([^`]+)```/.exec(page)?.[1] ?? '').split(/\s+/).filter(Boolean)
const rights = rules.filter((rule) => /^[~&+]/.test(rule))

/** Without these a waiter is served all the same, by its own looks. */
const dispensable = ['&holdfast:grants:*', '+publish', '+subscribe', '+ping']

describe('docs/acl.md', () => {
  it('allows every command of the scripts, and no other', () => {
    const sources = Object.values(scripts).map(({ source }) => source)
    const called = sources.flatMap((source) =>
      [...source.matchAll(/redis\.p?call\(\s*'([A-Z]+)'/g)].map(([, name = '']) => name),
    )
    const beside = ['+evalsha', '+eval', '+subscribe', '+ping', '+scan']
    // On a Cluster, which has a line of its own in the table.
    const elsewhere = new Set(['SPUBLISH'])
    const wanted = new Set([
      ...called.filter((name) => !elsewhere.has(name)).map((name) => `+${name.toLowerCase()}`),
      ...beside,
    ])
    expect(new Set(rights.filter((rule) => rule.startsWith('+')))).toEqual(wanted)
  })
})

/** Everything that a lock can be asked; what fails is told. */
class Exercise {
  readonly failures: string[] = []
  readonly #a: Holdfast
  readonly #b: Holdfast
  readonly #server: RunningServer
  /** Behind every name, so that several can exercise side by side. */
  readonly #own: string

  constructor(a: Holdfast, b: Holdfast, server: RunningServer, own: string) {
    this.#own = own
    this.#a = a
    this.#b = b
    this.#server = server
    for (const each of [a, b]) {
      each.on('error', ({ error }) => this.failures.push(String(error)))
      each.on('jeopardy', ({ error }) => this.failures.push(String(error)))
    }
  }

  async run(): Promise<void> {
    for (const name of ['plain', 'br{ac}es', 'odd}{']) await this.#handOver(name + this.#own)
    await this.#shares()
    await this.#rest()
  }

  async #try<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      this.failures.push(String(error))
      return undefined
    }
  }

  async #handOver(name: string): Promise<void> {
    const [first, second] = [this.#a.mutex(name), this.#b.mutex(name)]
    const lease = await this.#try(() => first.tryAcquire())
    const waits = this.#try(() => second.acquire({ timeoutMs: 2000, ttlMs: 400 }))
    await this.#try(() => second.tryAcquire())
    await this.#try(() => this.#leaveTheLine(name))
    await this.#try(() => this.#a.inspect(name))
    if (lease) await this.#try(() => lease.renew())
    if (lease) await this.#try(() => lease.release())
    const next = await waits
    if (next) await this.#try(() => next.release())
  }

  async #leaveTheLine(name: string): Promise<void> {
    const controller = new AbortController()
    this.#a.on('waiting', () => controller.abort(new Error('enough')))
    const waits = this.#a.mutex(name).acquire({ signal: controller.signal, timeoutMs: 2000 })
    await waits.catch((error: unknown) => {
      if (error !== controller.signal.reason) throw error
    })
  }

  async #shares(): Promise<void> {
    const semaphore = this.#a.semaphore(`shared${this.#own}`, { capacity: 2 })
    const leases = [await this.#try(() => semaphore.tryAcquire())]
    leases.push(await this.#try(() => semaphore.tryAcquire()))
    const waits = this.#try(() => semaphore.acquire({ timeoutMs: 2000, ttlMs: 400 }))
    await this.#try(() => this.#b.inspect(`shared${this.#own}`))
    for (const lease of leases) if (lease) await this.#try(() => lease.renew())
    for (const lease of leases) if (lease) await this.#try(() => lease.release())
    const next = await waits
    if (next) await this.#try(() => next.release())
    await this.#try(() => semaphore.tryAcquire())
    await this.#try(() => this.#b.forceRelease(`shared${this.#own}`))
    const read = await this.#try(() =>
      this.#a.readWriteLock(`config${this.#own}`).read.tryAcquire(),
    )
    if (read) await this.#try(() => read.release())
  }

  async #rest(): Promise<void> {
    const kept = { minHoldMs: 50, lockDelayMs: 50, ttlMs: 300 }
    const lease = await this.#try(() => this.#a.mutex(`kept${this.#own}`).tryAcquire(kept))
    if (lease) await this.#try(() => lease.release())
    await this.#try(() => this.#a.list())
    await this.#server.call('rpush', `holdfast:occupied${this.#own}`, 'x')
    await this.#try(async () => {
      const code = await this.#a.mutex(`occupied${this.#own}`).tryAcquire().then(String, codeOf)
      expect(code).toBe('HOLDFAST_SHAPE_MISMATCH')
    })
    await this.#server.call('del', `holdfast:occupied${this.#own}`)
  }
}

const codeOf = (error: unknown): string => {
  const { code } = error as { code?: string }
  if (code === 'HOLDFAST_SHAPE_MISMATCH') return code
  throw error
}
describeServers('a user with few rights', (name) => {
  let server: RunningServer
  let users = 0
  beforeAll(async () => {
    server = await startServer({ server: name })
  })
  afterAll(() => server.stop())

  /** What fails for a user with these rules. */
  async function failures(given: readonly string[]): Promise<string[]> {
    users += 1
    const user = `user${users}`
    await server.call('acl', 'setuser', user, 'reset', 'on', '>pw', ...given)
    const url = server.url.replace('redis://', `redis://${user}:pw@`)
    const open = async () => await connect(url, { requestTimeoutMs: 300, commandTimeoutMs: 300 })
    let a: Holdfast | undefined
    let b: Holdfast | undefined
    try {
      a = await open()
      b = await open()
      const exercise = new Exercise(a, b, server, user)
      await exercise.run()
      return exercise.failures
    } catch (error) {
      return [String(error)]
    } finally {
      await a?.close()
      await b?.close()
    }
  }

  it('can do everything with those of docs/acl.md', async () => {
    // Also what a server does not have cached yet.
    await server.call('script', 'flush')
    expect(await failures(rules)).toEqual([])
    await until(async () => (await server.cli('keys', '*~line*')) === '', { what: 'empty lines' })
  })

  const needed = rights.filter((right) => !dispensable.includes(right))
  it.each(['+eval'])('is told that a script cannot be loaded without %s', async (right) => {
    await server.call('script', 'flush')
    const told = await failures(rules.filter((rule) => rule !== right))
    expect(told[0]).toMatch(/missing is \+eval,/)
  })

  const others = needed.filter((right) => right !== '+eval')
  it.concurrent.each(others)('is told by name what is missing without %s', async (right) => {
    const told = await failures(rules.filter((rule) => rule !== right))
    expect(told).not.toEqual([])
    const wanted = right.startsWith('+') ? new RegExp(`'${right.slice(1)}'|\\${right}\\b`) : / key/
    expect(told.filter((each) => wanted.test(each))).not.toEqual([])
    for (const each of told) expect(each).not.toMatch(/LeaseLostError/)
  })

  it.concurrent.each(dispensable)('is served without %s', async (right) => {
    expect(await failures(rules.filter((rule) => rule !== right))).toEqual([])
  })
})
