import { context, ROOT_CONTEXT, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { rig, watch } from '../../test/support/rig.ts'
import { Reports } from '../../test/support/telemetry.ts'

const ENGINE = 'faulty memory'
const SILENT = { loseRequest: 1, patienceMs: 100 }

let reports: Reports
const report = (...options: ConstructorParameters<typeof Reports>): Reports => {
  reports = new Reports(...options)
  return reports
}
beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
})
afterEach(() => reports.stop())
afterAll(() => context.disable())

const inTrace = (span: ReadableSpan): string => span.spanContext().traceId

/** Runs `work` inside a span of the user, and ends that. */
async function within<T>(work: () => Promise<T>): Promise<T> {
  const span = reports.tracers.getTracer('user').startSpan('request', {}, ROOT_CONTEXT)
  try {
    return await context.with(trace.setSpan(ROOT_CONTEXT, span), work)
  } finally {
    span.end()
  }
}

describe('the span of an acquire', () => {
  it('is a child of the span that is active where the call is made', async () => {
    const { process } = rig()
    const { holdfast } = process()
    report()
    await within(async () => {
      await holdfast.semaphore('s', { capacity: 3 }).run(async () => {}, { permits: 2 })
    })
    const [acquire, request] = [reports.span('acquire semaphore'), reports.span('request')]
    expect(acquire.parentSpanContext?.spanId).toBe(request.spanContext().spanId)
    expect(inTrace(acquire)).toBe(inTrace(request))
    expect(acquire.attributes).toEqual({
      'holdfast.engine': ENGINE,
      'holdfast.lock.kind': 'semaphore',
      'holdfast.lease.permits': 2,
      'holdfast.lease.fence': expect.any(Number),
      'holdfast.acquire.outcome': 'granted',
      'holdfast.wait.duration': 0,
    })
    expect(acquire.status).toEqual({ code: SpanStatusCode.UNSET })
    expect(acquire.events).toEqual([])
  })

  it('tells the wait and the place in the line', async () => {
    const { clock, process } = rig()
    const { holdfast } = process()
    const first = await holdfast.mutex('m').acquire()
    const second = holdfast.mutex('m').acquire()
    await clock.advance(10)
    report()
    const third = holdfast.mutex('m').acquire()
    await clock.advance(250)
    await first.release()
    await clock.advance(10_000)
    await (await second).release()
    await third
    expect(reports.span('acquire mutex').attributes).toMatchObject({
      'holdfast.wait.duration': 10.25,
      'holdfast.line.joined_ahead': 1,
      'holdfast.line.ahead': 0,
    })
  })

  it('ends with the error of a call that was not granted', async () => {
    const { clock, process } = rig()
    const { holdfast } = process()
    await holdfast.mutex('secret').acquire({ ttlMs: 60_000 })
    report()
    const late = watch(holdfast.mutex('secret').acquire({ timeoutMs: 100 }))
    await clock.advance(100)
    expect(late.error).toMatchObject({ code: 'HOLDFAST_ACQUIRE_TIMEOUT' })
    const { attributes, events, status } = reports.span('acquire mutex')
    expect(attributes).toMatchObject({
      'error.type': 'HOLDFAST_ACQUIRE_TIMEOUT',
      'holdfast.acquire.outcome': 'timeout',
      'holdfast.wait.duration': 0.1,
      'holdfast.line.joined_ahead': 0,
    })
    expect(status).toEqual({ code: SpanStatusCode.ERROR, message: 'HOLDFAST_ACQUIRE_TIMEOUT' })
    expect(events.map(({ name }) => name)).toEqual(['exception'])
    expect(events[0]?.attributes?.['exception.type']).toBe('HOLDFAST_ACQUIRE_TIMEOUT')
    // The messages of errors name the lock.
    expect(JSON.stringify({ attributes, events, status })).not.toContain('secret')
  })

  it('is no failure where the lock is taken or the caller gives up', async () => {
    const { clock, process } = rig()
    const { holdfast } = process()
    await holdfast.mutex('m').acquire({ ttlMs: 60_000 })
    report()
    await holdfast.mutex('m').tryAcquire()
    const controller = new AbortController()
    const given = watch(holdfast.mutex('m').acquire({ signal: controller.signal }))
    await clock.advance(10)
    controller.abort()
    await clock.advance(10)
    expect(given.settled).toBe(true)
    const outcomes = reports.spans.map(({ attributes }) => attributes['holdfast.acquire.outcome'])
    expect(outcomes).toEqual(['busy', 'aborted'])
    for (const { attributes, status } of reports.spans) {
      expect(status.code).toBe(SpanStatusCode.UNSET)
      expect(attributes).not.toHaveProperty('error.type')
    }
  })

  it('tells a failure of the engine apart', async () => {
    const { clock, process } = rig()
    const { holdfast } = process({ plan: [{ ...SILENT }], requestTimeoutMs: 300 })
    report()
    const failed = watch(holdfast.mutex('m').acquire({ timeoutMs: 1000 }))
    await clock.advance(2000)
    expect(failed.settled).toBe(true)
    expect(reports.span('acquire mutex').attributes).toMatchObject({
      'error.type': 'HOLDFAST_ENGINE_FAILED',
      'holdfast.acquire.outcome': 'failed',
    })
  })
})

describe('the span of a hold', () => {
  it('lasts from the grant to the release, beside the acquire', async () => {
    const { process } = rig()
    const { holdfast } = process()
    report()
    const lease = await within(() => holdfast.mutex('m').acquire())
    expect(reports.spans.map(({ name }) => name)).toEqual(['acquire mutex', 'request'])
    await lease.release()
    const [acquire, hold] = [reports.span('acquire mutex'), reports.span('hold mutex')]
    expect(hold.parentSpanContext?.spanId).toBe(reports.span('request').spanContext().spanId)
    expect(hold.links.map(({ context: linked }) => linked)).toEqual([acquire.spanContext()])
    expect(hold.attributes).toEqual({
      'holdfast.engine': ENGINE,
      'holdfast.lock.kind': 'mutex',
      'holdfast.lease.permits': 1,
      'holdfast.lease.fence': lease.fence,
      'holdfast.hold.outcome': 'released',
    })
    expect(hold.status.code).toBe(SpanStatusCode.UNSET)
  })

  it("belongs to the caller's trace, also where a look of all waiters finds the grant", async () => {
    const { clock, process } = rig()
    const { holdfast } = process({ plan: [{ operations: ['push'], loseRequest: 1 }] })
    const first = await holdfast.mutex('m').acquire()
    report()
    const second = within(() => holdfast.mutex('m').acquire())
    await clock.advance(10)
    const other = reports.tracers.getTracer('user').startSpan('other', {}, ROOT_CONTEXT)
    await context.with(trace.setSpan(ROOT_CONTEXT, other), async () => {
      await first.release()
      await clock.advance(10_000)
    })
    await (await second).release()
    expect(inTrace(reports.span('hold mutex'))).toBe(inTrace(reports.span('request')))
    other.end()
  })

  it('ends with the loss of a lease that is never released', async () => {
    const { clock, process } = rig()
    const { holdfast } = process({ plan: [{ fromMs: 10, ...SILENT }] })
    report()
    await holdfast.mutex('m').acquire({ ttlMs: 1000 })
    await clock.advance(980)
    expect(reports.spans.map(({ name }) => name)).toEqual(['acquire mutex'])
    await clock.advance(20)
    const { attributes, events, status } = reports.span('hold mutex')
    expect(attributes).toMatchObject({
      'error.type': 'HOLDFAST_LEASE_LOST',
      'holdfast.hold.outcome': 'lost',
      'holdfast.loss.reason': 'expired',
    })
    expect(status).toEqual({ code: SpanStatusCode.ERROR, message: 'HOLDFAST_LEASE_LOST' })
    expect(events[0]?.attributes?.['exception.type']).toBe('HOLDFAST_LEASE_LOST')
  })

  it('tells a release that was not confirmed from a loss', async () => {
    const { clock, process } = rig()
    const { holdfast } = process({ plan: [{ fromMs: 10, ...SILENT }], requestTimeoutMs: 300 })
    report()
    const lease = await holdfast.mutex('m').acquire()
    await clock.advance(20)
    const released = watch(lease.release())
    await clock.advance(1000)
    expect(released.error).toMatchObject({ code: 'HOLDFAST_ENGINE_FAILED' })
    expect(reports.span('hold mutex').attributes).toMatchObject({
      'error.type': 'HOLDFAST_ENGINE_FAILED',
      'holdfast.hold.outcome': 'unconfirmed',
    })
  })
})

describe('the name of a lock', () => {
  it('is told as the user maps it, and with it nothing that names it', async () => {
    const { clock, process } = rig()
    const { holdfast } = process()
    report({ lockName: (name) => name.split(':')[0] })
    await holdfast.mutex('invoice:42').acquire({ ttlMs: 1000, renew: false })
    await clock.advance(2000)
    expect(reports.spans).toHaveLength(2)
    for (const { attributes } of reports.spans) {
      expect(attributes['holdfast.lock.name']).toBe('invoice')
    }
    const text = JSON.stringify(reports.spans.map(({ events, status }) => ({ events, status })))
    expect(text).not.toContain('invoice:42')
  })

  it('brings the whole error along where it is told unchanged', async () => {
    const { clock, process } = rig()
    const { holdfast } = process()
    report({ lockName: (name) => name })
    const lease = await holdfast.mutex('nightly').acquire({ ttlMs: 1000, renew: false })
    await clock.advance(2000)
    const { events, status } = reports.span('hold mutex')
    expect(status.message).toBe(String(lease.signal.reason.message))
    expect(events[0]?.attributes?.['exception.message']).toContain('"nightly"')
    expect(events[0]?.attributes?.['exception.stacktrace']).toContain('at ')
  })

  it('is left out where the mapping gives none or throws', async () => {
    const { process } = rig()
    const { holdfast } = process()
    report({
      lockName: (name) => {
        if (name === 'b') throw new Error('mapping')
        return name === 'a' ? undefined : (7 as never)
      },
    })
    for (const name of ['a', 'b', 'c']) await holdfast.mutex(name).run(async () => {})
    expect(reports.spans).toHaveLength(6)
    for (const { attributes } of reports.spans) {
      expect(attributes).not.toHaveProperty('holdfast.lock.name')
    }
  })
})

describe('spans under way', () => {
  it('end when the reports end, and their calls go on', async () => {
    const { process } = rig()
    const { holdfast } = process()
    report()
    const lease = await holdfast.mutex('m').acquire()
    const waiting = holdfast.mutex('m').acquire()
    reports.end()
    expect(reports.spans).toHaveLength(3)
    await lease.release()
    expect((await waiting).held).toBe(true)
    expect(reports.spans).toHaveLength(3)
  })
})
