import { AsyncLocalStorage } from 'node:async_hooks'
import { tracingChannel } from 'node:diagnostics_channel'
import { AcquireTimeoutError, EngineError, LeaseLostError } from 'holdfast'
import { afterEach, describe, expect, it } from 'vitest'
import { ChannelLog, type Traced } from '../../test/support/channels.ts'
import { type Process, rig, watch } from '../../test/support/rig.ts'

const WHOLE = ['start', 'end', 'asyncStart', 'asyncEnd']
const FAILED = ['start', 'end', 'error', 'asyncStart', 'asyncEnd']
const SILENT = { loseRequest: 1, patienceMs: 100 }

let log: ChannelLog
const listen = (...kinds: (keyof Traced)[]): ChannelLog => {
  log = new ChannelLog(kinds.length > 0 ? kinds : undefined)
  return log
}
afterEach(() => log.stop())

describe('the acquire channel', () => {
  it('tells a call from its start to its lease, by one object', async () => {
    const { process } = rig()
    const { acquire } = listen().messages
    const pending = process().holdfast.semaphore('s', { capacity: 3 }).acquire({ permits: 2 })
    // At once, in the caller's own context.
    expect(log.take('acquire')).toEqual(['start', 'end'])
    expect(acquire[0]).toEqual({
      engine: 'faulty memory',
      name: 's',
      kind: 'semaphore',
      permits: 2,
      identity: expect.stringMatching(/^[0-9a-f]{32}$/),
      timeoutMs: Number.POSITIVE_INFINITY,
    })
    const lease = await pending
    expect(log.take('acquire')).toEqual(['asyncStart', 'asyncEnd'])
    expect(acquire).toHaveLength(1)
    expect(acquire[0]).toMatchObject({ waitedMs: 0, identity: lease.identity })
    expect(acquire[0]?.result).toBe(lease)
    expect(acquire[0]).not.toHaveProperty('error')
    expect(acquire[0]).not.toHaveProperty('ahead')
  })

  it('tells how long a call waited, where it joined the line and how it moved up', async () => {
    const { clock, process } = rig()
    const { holdfast } = process()
    const first = await holdfast.mutex('m').acquire()
    const second = holdfast.mutex('m').acquire()
    await clock.advance(10)
    const { acquire } = listen().messages
    const third = holdfast.mutex('m').acquire()
    await clock.advance(90)
    expect(acquire[0]).toMatchObject({ joinedAhead: 1, ahead: 1 })
    await first.release()
    await (await second).release()
    await third
    expect(acquire[0]?.waitedMs).toBe(90)
    expect(acquire[0]?.joinedAhead).toBe(1)
    expect(log.ahead[0]).toBe(1)
    expect(log.told.indexOf('waiting')).toBeLessThan(log.told.indexOf('acquire asyncEnd'))
  })

  it('tells moving up', async () => {
    const { clock, process } = rig()
    const { holdfast } = process()
    await holdfast.mutex('m').acquire({ ttlMs: 60_000 })
    const controller = new AbortController()
    const leaver = watch(holdfast.mutex('m').acquire({ signal: controller.signal }))
    await clock.advance(10)
    const { acquire } = listen().messages
    void holdfast
      .mutex('m')
      .acquire({ timeoutMs: 60_000 })
      .catch(() => {})
    await clock.advance(10)
    controller.abort()
    await clock.advance(10_000)
    expect(leaver.settled).toBe(true)
    expect(log.ahead).toEqual([1, 0])
    expect(acquire[0]).toMatchObject({ joinedAhead: 1, ahead: 0 })
  })

  it('ends without an error where tryAcquire finds the lock taken', async () => {
    const { process } = rig()
    const { holdfast } = process()
    await holdfast.mutex('m').acquire()
    const { acquire } = listen().messages
    expect(await holdfast.mutex('m').tryAcquire()).toBe(null)
    expect(log.take('acquire')).toEqual(WHOLE)
    expect(acquire[0]).toMatchObject({ timeoutMs: 0, result: null })
  })

  it('ends with what the call rejects with', async () => {
    const { clock, process } = rig()
    const { holdfast } = process()
    await holdfast.mutex('m').acquire()
    const { acquire } = listen().messages
    const late = watch(holdfast.mutex('m').acquire({ timeoutMs: 50 }))
    await clock.advance(50)
    expect(late.error).toBeInstanceOf(AcquireTimeoutError)
    expect(log.take('acquire')).toEqual(FAILED)
    expect(acquire[0]?.error).toBe(late.error)
    expect(acquire[0]?.waitedMs).toBe(50)
    expect(acquire[0]).not.toHaveProperty('result')
    const aborted = watch(holdfast.mutex('m').acquire({ signal: AbortSignal.abort('enough') }))
    await clock.advance(0)
    expect(aborted.error).toBe('enough')
    expect(log.take('acquire')).toEqual(FAILED)
    expect(acquire[1]?.error).toBe('enough')
    await holdfast.close()
    const closed = watch(holdfast.mutex('m').acquire())
    await clock.advance(0)
    expect(closed.error).toMatchObject({ code: 'HOLDFAST_CLOSED' })
    expect(acquire[2]?.error).toBe(closed.error)
  })

  it('tells each lock of all(), and the campaign of an election', async () => {
    const { process } = rig()
    const { holdfast } = process()
    const { acquire } = listen().messages
    await using _both = await holdfast.all([holdfast.mutex('b'), holdfast.mutex('a')]).acquire()
    await using _leads = await holdfast.election('e').campaign()
    expect(acquire.map(({ name, kind }) => `${kind} ${name}`)).toEqual([
      'mutex a',
      'mutex b',
      'election e',
    ])
    expect(acquire.every(({ result }) => result)).toBe(true)
  })

  it('lets watchers bind their context to the call', async () => {
    const { process } = rig()
    listen()
    const store = new AsyncLocalStorage<string>()
    const { start } = tracingChannel('holdfast:acquire')
    start.bindStore(store, () => 'bound')
    const { engine, holdfast } = process()
    const seen: unknown[] = []
    const ask = engine.acquire.bind(engine)
    engine.acquire = async (claim) => {
      seen.push(store.getStore())
      return await ask(claim)
    }
    await holdfast.mutex('m').acquire()
    start.unbindStore(store)
    expect(seen).toEqual(['bound'])
    expect(store.getStore()).toBe(undefined)
  })
})

describe('the hold channel', () => {
  it('tells a lease from its grant, after its call has ended, to its release', async () => {
    const { clock, process } = rig()
    const { acquire, hold } = listen('acquire', 'hold').messages
    const lease = await process().holdfast.mutex('m').acquire()
    expect(log.told.slice(-3)).toEqual(['acquire asyncEnd', 'hold start', 'hold end'])
    expect(hold[0]).toEqual({ engine: 'faulty memory', lease, acquire: acquire[0] })
    expect(hold[0]?.lease).toBe(lease)
    log.take('hold')
    await clock.advance(500)
    await lease.release()
    await lease.release()
    await clock.advance(60_000)
    expect(log.take('hold')).toEqual(['asyncStart', 'asyncEnd'])
    expect(hold[0]?.heldMs).toBe(500)
    expect(hold[0]).not.toHaveProperty('error')
  })

  it('ends with the loss of a lease that nobody releases', async () => {
    const { clock, process } = rig()
    const { hold } = listen('hold').messages
    await process().holdfast.mutex('m').acquire({ ttlMs: 1000, renew: false })
    await clock.advance(5000)
    expect(log.take('hold')).toEqual(FAILED)
    expect(hold[0]?.error).toBeInstanceOf(LeaseLostError)
    expect(hold[0]?.error).toMatchObject({ reason: 'expired' })
    expect(hold[0]?.heldMs).toBe(988)
    expect(hold[0]?.acquire).toBe(undefined)
  })

  it('ends once, where the loss is noticed first by whoever asks', async () => {
    const { clock, process } = rig()
    const { hold } = listen('hold').messages
    const { holdfast } = process()
    const lease = await holdfast.mutex('m').acquire({ ttlMs: 1000 })
    await holdfast.forceRelease('m')
    await clock.advance(1000)
    expect(await lease.release()).toBe(false)
    expect(log.take('hold')).toEqual(FAILED)
    expect(hold[0]?.error).toMatchObject({ reason: 'refused' })
  })

  it('ends with a loss where the release finds the lock gone', async () => {
    const { process } = rig()
    const { hold } = listen('hold').messages
    const { holdfast } = process()
    const lease = await holdfast.mutex('m').acquire()
    await holdfast.forceRelease('m')
    expect(await lease.release()).toBe(false)
    expect(log.take('hold')).toEqual(FAILED)
    expect(hold[0]?.error).toMatchObject({ code: 'HOLDFAST_LEASE_LOST', reason: 'refused' })
  })

  it('ends with the error of a release that was not confirmed', async () => {
    const { clock, process } = rig()
    const { hold } = listen('hold').messages
    const { holdfast } = process({ plan: [{ fromMs: 10, ...SILENT }], requestTimeoutMs: 300 })
    const lease = await holdfast.mutex('m').acquire()
    await clock.advance(20)
    const released = watch(lease.release())
    await clock.advance(20_000)
    expect(released.error).toBeInstanceOf(EngineError)
    expect(log.take('hold')).toEqual(FAILED)
    expect(hold[0]?.error).toBe(released.error)
  })

  it('ends when the Holdfast is closed', async () => {
    const { process } = rig()
    const { hold } = listen('hold').messages
    const { holdfast } = process()
    await holdfast.mutex('m').acquire()
    await holdfast.close()
    expect(log.take('hold')).toEqual(WHOLE)
    expect(hold[0]).not.toHaveProperty('error')
  })
})

describe('the renew channel', () => {
  it('tells each renewal with what it carried and where that stands', async () => {
    const { clock, process } = rig()
    const { renew } = listen('renew').messages
    const { holdfast } = process()
    await holdfast.mutex('a').acquire({ ttlMs: 1000 })
    void holdfast
      .mutex('a')
      .acquire({ ttlMs: 1000 })
      .catch(() => {})
    await clock.advance(400)
    expect(log.take('renew')).toEqual(WHOLE)
    expect(renew[0]).toMatchObject({ engine: 'faulty memory', tookMs: 0 })
    const seen = renew[0]?.places.map(
      ({ place, leased, standing }) => `${place.name} ${leased} ${standing?.state}`,
    )
    expect(seen).toEqual(['a true held', 'a false waiting'])
    await holdfast.close()
  })

  it('tells a renewal that a caller asked for', async () => {
    const { process } = rig()
    const { renew } = listen('renew').messages
    const lease = await process().holdfast.mutex('m').acquire()
    await lease.renew()
    expect(log.take('renew')).toEqual(WHOLE)
    expect(renew[0]?.places[0]).toMatchObject({ leased: true, standing: { state: 'held' } })
  })

  it('ends with the error where there was no answer', async () => {
    const { clock, process } = rig()
    const { renew } = listen('renew').messages
    const { holdfast } = process({ plan: [{ fromMs: 10, ...SILENT }] })
    await holdfast.mutex('m').acquire({ ttlMs: 1000 })
    await clock.advance(500)
    expect(log.take('renew').slice(0, 5)).toEqual(FAILED)
    expect(renew[0]).toMatchObject({ tookMs: 100, error: { code: 'HOLDFAST_ENGINE_FAILED' } })
    expect(renew[0]?.places[0]).not.toHaveProperty('standing')
  })
})

describe('watchers', () => {
  /** What the user of a Holdfast sees, watched or not. */
  async function story({ holdfast, told }: Process, clock: ReturnType<typeof rig>['clock']) {
    const first = await holdfast.mutex('m').acquire({ ttlMs: 1000 })
    const next = watch(holdfast.mutex('m').acquire({ timeoutMs: 3000 }))
    const late = watch(holdfast.mutex('m').acquire({ timeoutMs: 200 }))
    await clock.advance(1500)
    await first.release()
    await clock.advance(100)
    await holdfast.close()
    const fences = [first.fence, next.value?.fence]
    return { fences, told, late: String(late.error) }
  }

  it('change nothing for those who use the locks', async () => {
    const [quiet, watched] = [rig(7), rig(7)]
    const alone = await story(quiet.process(), quiet.clock)
    listen()
    expect(await story(watched.process(), watched.clock)).toEqual(alone)
  })

  it('that come or go in the middle hear only what began while they were there', async () => {
    const { process } = rig()
    const { holdfast } = process()
    const early = await holdfast.mutex('a').acquire()
    listen()
    await early.release()
    expect(log.told).toEqual([])
    const lease = await holdfast.mutex('b').acquire()
    log.told.length = 0
    log.stop()
    await lease.release()
    expect(log.told).toEqual([])
  })
})
