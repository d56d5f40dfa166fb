import { DiagLogLevel, diag, trace } from '@opentelemetry/api'
import { instrument } from 'holdfast/opentelemetry'
import { afterEach, describe, expect, it } from 'vitest'
import { heard } from '../../test/support/channels.ts'
import { rig, watch } from '../../test/support/rig.ts'
import { Reports } from '../../test/support/telemetry.ts'

const LOCK = { 'holdfast.engine': 'faulty memory', 'holdfast.lock.kind': 'mutex' }
const SILENT = { loseRequest: 1, patienceMs: 100 }

let reports: Reports
const report = (...options: ConstructorParameters<typeof Reports>): Reports => {
  reports = new Reports(...options)
  return reports
}
afterEach(() => reports.stop())

describe('metrics', () => {
  it('count the wait by its outcome', async () => {
    const { clock, process } = rig()
    const { holdfast } = process()
    report()
    const lease = await holdfast.mutex('m').acquire()
    const granted = holdfast.mutex('m').acquire()
    const late = watch(holdfast.mutex('m').acquire({ timeoutMs: 1500 }))
    await holdfast.mutex('m').tryAcquire()
    await clock.advance(1500)
    expect(late.settled).toBe(true)
    await lease.release()
    await granted
    expect(await reports.series('holdfast.wait.duration')).toEqual([
      {
        attributes: { ...LOCK, 'holdfast.acquire.outcome': 'granted' },
        value: { count: 2, sum: 1.5 },
      },
      {
        attributes: { ...LOCK, 'holdfast.acquire.outcome': 'busy' },
        value: { count: 1, sum: 0 },
      },
      {
        attributes: {
          ...LOCK,
          'holdfast.acquire.outcome': 'timeout',
          'error.type': 'HOLDFAST_ACQUIRE_TIMEOUT',
        },
        value: { count: 1, sum: 1.5 },
      },
    ])
  })

  it('count waiters and leases of this moment', async () => {
    const { clock, process } = rig()
    const { holdfast } = process()
    report()
    const now = async () => {
      const [waiters] = await reports.series('holdfast.waiter.count')
      const [leases] = await reports.series('holdfast.lease.count')
      return [waiters?.value, leases?.value]
    }
    const first = await holdfast.mutex('m').acquire()
    const controller = new AbortController()
    const second = holdfast.mutex('m').acquire()
    const third = watch(holdfast.mutex('m').acquire({ signal: controller.signal }))
    await clock.advance(10)
    expect(await now()).toEqual([2, 1])
    controller.abort()
    await clock.advance(10)
    expect(third.settled).toBe(true)
    expect(await now()).toEqual([1, 1])
    await first.release()
    await second
    expect(await now()).toEqual([0, 1])
    await holdfast.close()
    expect(await now()).toEqual([0, 0])
  })

  it('count losses by their reason, and how long was held, also where nobody releases', async () => {
    const { clock, process } = rig()
    const { holdfast } = process()
    report()
    await holdfast.mutex('expires').acquire({ ttlMs: 1000, renew: false })
    await holdfast.mutex('broken').acquire({ ttlMs: 6000 })
    await process().holdfast.forceRelease('broken')
    await holdfast.mutex('hangs').acquire({ maxHoldMs: 2000 })
    const kept = await holdfast.mutex('kept').acquire()
    await clock.advance(5000)
    await kept.release()
    const lost = { ...LOCK, 'error.type': 'HOLDFAST_LEASE_LOST' }
    expect(await reports.series('holdfast.lease.losses')).toEqual([
      { attributes: { ...lost, 'holdfast.loss.reason': 'expired' }, value: 1 },
      { attributes: { ...lost, 'holdfast.loss.reason': 'overdue' }, value: 1 },
      { attributes: { ...lost, 'holdfast.loss.reason': 'refused' }, value: 1 },
    ])
    const held = await reports.series('holdfast.hold.duration')
    expect(
      held.map(({ attributes, value }) => [
        attributes['holdfast.hold.outcome'],
        attributes['holdfast.loss.reason'],
        value,
      ]),
    ).toEqual([
      ['lost', 'expired', { count: 1, sum: 0.988 }],
      ['lost', 'refused', { count: 1, sum: expect.any(Number) }],
      ['lost', 'overdue', { count: 1, sum: 2 }],
      ['released', undefined, { count: 1, sum: 5 }],
    ])
    expect(await reports.series('holdfast.lease.count')).toMatchObject([{ value: 0 }])
  })

  it('count losses from zero, so that the first one shows as a rise', async () => {
    const { process } = rig()
    const { holdfast } = process()
    report()
    for (let each = 0; each < 3; each++) await holdfast.mutex('m').run(async () => {})
    const losses = await reports.series('holdfast.lease.losses')
    const seen = losses.map(({ attributes, value }) => [attributes['holdfast.loss.reason'], value])
    expect(seen).toEqual([
      ['expired', 0],
      ['overdue', 0],
      ['refused', 0],
    ])
  })

  it('count the renewals of leases, not of waiters, by what came of them', async () => {
    const { clock, process } = rig()
    const { holdfast } = process({ plan: [{ fromMs: 4000, ...SILENT }] })
    report()
    await holdfast.mutex('m').acquire({ ttlMs: 3000 })
    void holdfast
      .mutex('m')
      .acquire({ ttlMs: 3000 })
      .catch(() => {})
    await clock.advance(3500)
    const outcome = 'holdfast.renewal.outcome'
    const confirmed = await reports.series('holdfast.lease.renewals')
    expect(confirmed).toEqual([
      { attributes: { ...LOCK, [outcome]: 'confirmed' }, value: expect.any(Number) },
    ])
    const [took] = await reports.series('holdfast.renew.duration')
    expect(took?.attributes).toEqual({ 'holdfast.engine': 'faulty memory' })
    await clock.advance(3500)
    const outcomes = (await reports.series('holdfast.lease.renewals')).map(
      ({ attributes }) => attributes[outcome],
    )
    expect(outcomes).toEqual(['confirmed', 'unanswered'])
    const failed = (await reports.series('holdfast.renew.duration'))[1]
    expect(failed?.attributes['error.type']).toBe('HOLDFAST_ENGINE_FAILED')
  })

  it('count a renewal that was refused', async () => {
    const { clock, process } = rig()
    const { holdfast } = process()
    report()
    await holdfast.mutex('m').acquire({ ttlMs: 3000 })
    await process().holdfast.forceRelease('m')
    await clock.advance(3000)
    expect(await reports.series('holdfast.lease.renewals')).toEqual([
      { attributes: { ...LOCK, 'holdfast.renewal.outcome': 'refused' }, value: 1 },
    ])
  })

  it('tell no names of locks unless asked to', async () => {
    const { process } = rig()
    const { holdfast } = process()
    report()
    for (let each = 0; each < 50; each++) await holdfast.mutex(`m${each}`).run(async () => {})
    expect(await reports.series('holdfast.wait.duration')).toHaveLength(1)
    expect(await reports.series('holdfast.hold.duration')).toHaveLength(1)
  })

  it('keep at most 100 names apart, however many the user lets through', async () => {
    const { clock, process } = rig()
    const { holdfast } = process()
    report({ lockName: (name) => name })
    for (let each = 0; each < 250; each++) {
      await holdfast.mutex(`m${each}`).run(async () => {})
    }
    await holdfast.mutex('m7').acquire({ ttlMs: 100 })
    await clock.advance(1000)
    for (const [metric, series] of await reports.metrics()) {
      const names = new Set(series.map(({ attributes }) => attributes['holdfast.lock.name']))
      expect(names.size, metric).toBeLessThanOrEqual(101)
    }
    const waits = await reports.series('holdfast.wait.duration')
    const counts = (name: string) =>
      waits.find(({ attributes }) => attributes['holdfast.lock.name'] === name)?.value
    expect(counts('_OTHER')).toMatchObject({ count: 150 })
    expect(counts('m7')).toMatchObject({ count: 2 })
    // Spans are not kept: they tell every name.
    const named = new Set(reports.spans.map(({ attributes }) => attributes['holdfast.lock.name']))
    expect(named.size).toBe(250)
  })
})

describe('the reports', () => {
  it('listen to nothing before and after', async () => {
    expect(heard()).toBe(false)
    report()
    expect(heard()).toBe(true)
    reports.end()
    reports.end()
    expect(heard()).toBe(false)
  })

  it('count back what is under way when they end', async () => {
    const { clock, process } = rig()
    const { holdfast } = process()
    report()
    const lease = await holdfast.mutex('m').acquire()
    const waiting = holdfast.mutex('m').acquire()
    await clock.advance(10)
    reports.end()
    expect(await reports.series('holdfast.waiter.count')).toMatchObject([{ value: 0 }])
    expect(await reports.series('holdfast.lease.count')).toMatchObject([{ value: 0 }])
    await lease.release()
    await (await waiting).release()
    expect(await reports.series('holdfast.lease.count')).toMatchObject([{ value: 0 }])
  })

  it('pass over what began before them', async () => {
    const { clock, process } = rig()
    const { holdfast } = process()
    const early = new Reports()
    const lease = await holdfast.mutex('m').acquire()
    const waiting = holdfast.mutex('m').acquire()
    await clock.advance(10)
    report()
    const third = holdfast.mutex('m').acquire()
    await clock.advance(10)
    await lease.release()
    await (await waiting).release()
    await third
    expect(await reports.series('holdfast.waiter.count')).toMatchObject([{ value: 0 }])
    expect(await early.series('holdfast.waiter.count')).toMatchObject([{ value: 0 }])
    expect(await reports.series('holdfast.wait.duration')).toMatchObject([{ value: { count: 1 } }])
    expect(await early.series('holdfast.wait.duration')).toMatchObject([{ value: { count: 3 } }])
    await early.stop()
  })

  it('never fail a call: what goes wrong is told to diag', async () => {
    const { process } = rig()
    const { holdfast } = process()
    const said: string[] = []
    const silent = () => {}
    diag.setLogger(
      {
        error: (text) => said.push(text),
        warn: silent,
        info: silent,
        debug: silent,
        verbose: silent,
      },
      { logLevel: DiagLogLevel.ERROR, suppressOverrideMessage: true },
    )
    report({
      tracerProvider: {
        getTracer: () => ({
          startSpan: () => {
            throw new Error('no spans today')
          },
          startActiveSpan: () => {
            throw new Error('not called')
          },
        }),
      },
    })
    await holdfast.mutex('m').run(async () => {})
    diag.disable()
    expect(said).toEqual([
      'holdfast: a report on tracing:holdfast:acquire:start failed',
      'holdfast: a report on tracing:holdfast:hold:start failed',
    ])
  })

  it('refuse options that cannot be read', () => {
    report()
    expect(() => instrument(7 as never)).toThrow('options must be an object, got 7.')
    expect(() => instrument({ lockName: true as never })).toThrow(
      'lockName must be a function, got true.',
    )
  })

  it('go to the global SDK by default, and to nobody where there is none', async () => {
    const { process } = rig()
    const { holdfast } = process()
    report()
    reports.end()
    const end = instrument()
    await holdfast.mutex('m').run(async () => {})
    expect(reports.spans).toEqual([])
    trace.setGlobalTracerProvider(reports.tracers)
    await holdfast.mutex('m').run(async () => {})
    expect(reports.spans.map(({ name }) => name)).toEqual(['acquire mutex', 'hold mutex'])
    trace.disable()
    end()
  })
})
