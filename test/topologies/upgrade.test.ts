import { expect, it } from 'vitest'
import { clients, type Opened, open, take } from '../support/holdfasts.ts'
import { watch } from '../support/rig.ts'
import { startServer } from '../support/servers.ts'
import { describeServers } from '../support/servers-under-test.ts'
import { until } from '../support/until.ts'

const OLDEST = 'redis-7.0'

describeServers('a server that takes the place of an older one', (name) => {
  const way = clients[name.length % clients.length] ?? 'ioredis'
  it(`finds everybody where they stood, and serves them by what it knows, through ${way}`, async () => {
    const old = await startServer({ server: OLDEST })
    const ends: Opened[] = []
    const opened = async (): Promise<Opened> => {
      const one = await open(way, { port: old.port }, { ttlMs: 60_000, requestTimeoutMs: 300 })
      ends.push(one)
      return one
    }
    try {
      const [a, b] = [await opened(), await opened()]
      const lease = await take(a.holdfast, 'job')
      const read = await a.holdfast.readWriteLock('shared').read.acquire()
      const next = watch(b.holdfast.mutex('job').acquire())
      const writes = watch(b.holdfast.readWriteLock('shared').write.acquire())
      await until(() => b.told.length === 2, { what: 'two places in line' })
      await old.call('save')
      await old.kill()
      await using fresh = await startServer({ server: name, dir: old.dir, port: old.port })
      for (const held of [lease, read]) {
        await until(async () => await held.renew().then(() => true), { what: 'a renewal' })
      }
      expect(a.told.filter((each) => each.startsWith('lost'))).toEqual([])
      // Nothing is left of the scripts and subscriptions of the old one.
      await until(async () => Number(await fresh.cli('pubsub', 'channels').then(lines)) === 1, {
        what: 'the waiters to listen',
      })
      expect([await lease.release(), await read.release()]).toEqual([true, true])
      await until(() => next.settled && writes.settled, { what: 'both grants' })
      expect(next.value?.fence).toBeGreaterThan(lease.fence)
      expect(writes.value?.fence).toBeGreaterThan(read.fence)
      const findings = await b.holdfast.diagnose()
      expect(findings.filter(({ code }) => /version|command/.test(code))).toEqual([])
    } finally {
      for (const one of ends) await one[Symbol.asyncDispose]()
      await old.stop()
    }
  })
})

const lines = (text: string): number => text.split('\n').filter(Boolean).length
