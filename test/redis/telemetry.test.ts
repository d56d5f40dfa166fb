import { context, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { connect, type Holdfast } from 'holdfast'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type RunningServer, startServer } from '../support/servers.ts'
import { Reports } from '../support/telemetry.ts'
import { until } from '../support/until.ts'

describe('telemetry on a real server', () => {
  let server: RunningServer
  let reports: Reports
  let [holder, waiter]: Holdfast[] = []

  beforeAll(() => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  })
  beforeEach(async () => {
    server = await startServer()
    holder = await connect(server.url, { requestTimeoutMs: 500 })
    waiter = await connect(server.url, { requestTimeoutMs: 500 })
    reports = new Reports()
  })
  afterEach(async () => {
    await holder?.close()
    await waiter?.close()
    await reports.stop()
    await server.stop()
  })
  afterAll(() => context.disable())

  it('follows a lock from one holder to the next, in the trace of each', async () => {
    const tracer = reports.tracers.getTracer('user')
    const request = tracer.startSpan('request', {}, ROOT_CONTEXT)
    const lease = await holder?.mutex('m').acquire()
    const next = context.with(trace.setSpan(ROOT_CONTEXT, request), () =>
      waiter?.mutex('m').acquire(),
    )
    const waiting = async () => (await reports.series('holdfast.waiter.count'))[0]?.value
    await until(async () => (await waiting()) === 1, { what: 'the waiter to be counted' })
    await lease?.release()
    await (await next)?.release()
    request.end()
    expect(await waiting()).toBe(0)
    const inRequest = reports.spans.filter(
      (span) => span.parentSpanContext?.spanId === request.spanContext().spanId,
    )
    expect(inRequest.map(({ name }) => name)).toEqual(['acquire mutex', 'hold mutex'])
    expect(inRequest[0]?.attributes).toMatchObject({
      'holdfast.engine': 'redis',
      'holdfast.acquire.outcome': 'granted',
      'holdfast.line.joined_ahead': 0,
    })
    const fences = reports.spans
      .filter(({ name }) => name === 'hold mutex')
      .map(({ attributes }) => Number(attributes['holdfast.lease.fence']))
    expect(fences[1]).toBeGreaterThan(fences[0] as number)
  })

  it('ends the span of a lease that is lost with its server', async () => {
    await holder?.mutex('m').acquire({ ttlMs: 1000 })
    await server.kill()
    await until(() => reports.spans.some(({ name }) => name === 'hold mutex'), {
      what: 'the hold to end',
      timeoutMs: 20_000,
    })
    expect(reports.span('hold mutex').attributes).toMatchObject({
      'error.type': 'HOLDFAST_LEASE_LOST',
      'holdfast.hold.outcome': 'lost',
      'holdfast.loss.reason': 'expired',
    })
    expect(await reports.series('holdfast.lease.count')).toMatchObject([{ value: 0 }])
    const renewals = await reports.series('holdfast.lease.renewals')
    const outcomes = renewals.map(({ attributes }) => attributes['holdfast.renewal.outcome'])
    expect(outcomes).toContain('unanswered')
  })
})
