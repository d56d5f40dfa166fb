import type { Leader } from 'holdfast'
import { describe, expect, it } from 'vitest'
import { rig, watch } from '../../test/support/rig.ts'

/** Notes of the leaders that an observer told, `null` where nobody led. */
async function collect(
  leaders: AsyncIterable<Leader | null>,
  seen: (string | null | undefined)[],
): Promise<string> {
  for await (const leader of leaders) seen.push(leader === null ? null : leader.note)
  return 'ended'
}

describe('a campaign', () => {
  it('leads at once when nobody does, and everybody can ask who', async () => {
    const { process, store } = rig()
    const [one, other] = [process({ label: 'web' }), process()]
    const election = other.holdfast.election('scheduler')
    expect(await election.leader()).toBeNull()
    const leadership = await one.holdfast
      .election('scheduler')
      .campaign({ note: 'http://10.0.0.1:8080' })
    expect(leadership).toMatchObject({ kind: 'election', name: 'scheduler', held: true })
    expect(await election.leader()).toMatchObject({
      identity: leadership.identity,
      fence: leadership.fence,
      note: 'http://10.0.0.1:8080',
      about: { label: 'web' },
    })
    expect(await leadership.resign()).toBe(true)
    expect(leadership.signal.aborted).toBe(false)
    expect(await election.leader()).toBeNull()
    expect(store.size.locks).toBe(0)
    {
      await using next = await election.campaign()
      expect(next.fence).toBeGreaterThan(leadership.fence)
      expect((await election.leader())?.note).toBeUndefined()
    }
    expect(await election.leader()).toBeNull()
  })

  it('waits for a resignation, and follows in the order of candidates', async () => {
    const { clock, process } = rig()
    const candidates = ['a', 'b', 'c'].map((note) => {
      const campaign = watch(process().holdfast.election('e').campaign({ note }))
      return { note, campaign }
    })
    const election = process().holdfast.election('e')
    for (const { note, campaign } of candidates) {
      await clock.advance(1)
      expect((await election.leader())?.note).toBe(note)
      await campaign.value?.resign()
    }
  })

  it('follows a leader that vanished within its lease', async () => {
    const { clock, process } = rig()
    const gone = process({ plan: [{ fromMs: 1, loseRequest: 1 }] })
    const leader = await gone.holdfast.election('e').campaign({ ttlMs: 1000 })
    const { signal } = leader
    const next = watch(process().holdfast.election('e').campaign())
    await clock.advance(998)
    expect(signal.reason).toMatchObject({ code: 'HOLDFAST_LEASE_LOST' })
    await clock.advance(10)
    expect(next.value?.fence).toBeGreaterThan(leader.fence)
  })

  it('ends with its time, its signal, or the Holdfast', async () => {
    const { clock, process, store } = rig()
    const { holdfast } = process()
    const leader = await process().holdfast.election('e').campaign()
    const election = holdfast.election('e')
    await expect(election.campaign({ timeoutMs: 0 })).rejects.toMatchObject({
      code: 'HOLDFAST_ACQUIRE_TIMEOUT',
      occupant: { identity: leader.identity },
    })
    const late = watch(election.campaign({ timeoutMs: 50 }))
    const controller = new AbortController()
    const cancelled = watch(election.campaign({ signal: controller.signal }))
    const closed = watch(election.campaign())
    await clock.advance(60)
    expect(late.error).toMatchObject({ code: 'HOLDFAST_ACQUIRE_TIMEOUT', timeoutMs: 50 })
    controller.abort('enough')
    await clock.advance(1)
    expect(cancelled.error).toBe('enough')
    await holdfast.close()
    expect(closed.error).toMatchObject({ code: 'HOLDFAST_CLOSED', lock: 'e' })
    await expect(election.leader()).rejects.toMatchObject({ code: 'HOLDFAST_CLOSED' })
    await leader.resign()
    expect(store.size.locks).toBe(0)
  })

  it('refuses a note that is none', async () => {
    const election = rig().process().holdfast.election('e')
    await expect(election.campaign({ note: 7 as never })).rejects.toThrow('note must be a string')
    await expect(election.campaign({ note: 'x'.repeat(1025) })).rejects.toThrow(
      'at most 1024 bytes',
    )
  })
})

describe('an observer', () => {
  it('sees the leader now and after every change, and ends with its signal', async () => {
    const { clock, process } = rig()
    const candidate = process().holdfast.election('e')
    const controller = new AbortController()
    const seen: (string | null | undefined)[] = []
    const leaders = process().holdfast.election('e').observe({ signal: controller.signal })
    const observing = watch(collect(leaders, seen))
    await clock.advance(1)
    expect(seen).toEqual([null])
    const first = await candidate.campaign({ note: 'first' })
    await clock.advance(1000)
    expect(seen).toEqual([null, 'first'])
    await first.resign()
    await clock.advance(1000)
    await candidate.campaign()
    await clock.advance(1000)
    expect(seen).toEqual([null, 'first', null, undefined])
    await clock.advance(20_000)
    expect(seen.length).toBe(4)
    controller.abort()
    await clock.advance(0)
    expect(observing.value).toBe('ended')
  })

  it('looks at most once in intervalMs, and when the time of the leader is over', async () => {
    const { clock, process } = rig()
    const { engine, holdfast } = process()
    let looks = 0
    const inspect = engine.inspect.bind(engine)
    Object.assign(engine, {
      inspect: (name: string) => {
        looks += 1
        return inspect(name)
      },
    })
    const seen: (string | null | undefined)[] = []
    watch(collect(holdfast.election('e').observe({ intervalMs: 60_000 }), seen))
    await clock.advance(179_000)
    expect(looks).toBe(3)
    const other = process().holdfast.election('e')
    await other.campaign({ note: 'short', ttlMs: 5000, renew: false })
    await clock.advance(1000)
    expect(seen).toEqual([null, 'short'])
    await clock.advance(4100)
    expect(seen).toEqual([null, 'short', null])
    // A leader whose lease is always nearly over makes nobody busy.
    looks = 0
    await other.campaign({ note: 'brief', ttlMs: 20 })
    await clock.advance(61_000)
    looks = 0
    await clock.advance(1000)
    expect(looks).toBeLessThanOrEqual(50)
  })

  it('sees at once what a candidate of the same Holdfast wins, resigns or loses', async () => {
    const { clock, process } = rig()
    const { holdfast } = process()
    const seen: (string | null | undefined)[] = []
    watch(collect(holdfast.election('e').observe({ intervalMs: 60_000 }), seen))
    await clock.advance(1)
    const other = await process().holdfast.election('e').campaign({ note: 'other' })
    watch(holdfast.election('e').campaign({ note: 'own' }))
    await holdfast.election('unrelated').campaign()
    await clock.advance(1)
    await other.resign()
    await clock.advance(1)
    expect(seen).toEqual([null, 'own'])
    await holdfast.forceRelease('e')
    await clock.advance(10_000)
    expect(seen).toEqual([null, 'own', null])
  })

  it('may skip leaders between two looks, and arrives at the last', async () => {
    const { clock, process } = rig()
    const candidate = process().holdfast.election('e')
    const leaders = process().holdfast.election('e').observe()
    expect(await leaders.next()).toEqual({ done: false, value: null })
    for (const note of ['1', '2', '3']) await (await candidate.campaign({ note })).resign()
    await candidate.campaign({ note: 'last' })
    await clock.advance(5000)
    const next = watch(leaders.next())
    await clock.advance(1)
    expect(next.value?.value?.note).toBe('last')
    expect(await leaders.return?.()).toEqual({ done: true, value: undefined })
  })

  it('sees nobody while a minimum hold keeps the place', async () => {
    const { process } = rig()
    const election = process().holdfast.election('e', { minHoldMs: 5000 })
    await (await election.campaign()).resign()
    expect(await election.leader()).toBeNull()
    await expect(election.campaign({ timeoutMs: 0 })).rejects.toThrow('kept for its minimum hold')
  })

  it('goes on through an outage, and tells it once', async () => {
    const { clock, process } = rig()
    const { holdfast, told } = process({
      requestTimeoutMs: 200,
      plan: [{ fromMs: 500, untilMs: 20_000, operations: ['inspect'], refuse: 1 }],
    })
    const seen: (string | null | undefined)[] = []
    watch(collect(holdfast.election('e').observe(), seen))
    await clock.advance(600)
    await process().holdfast.election('e').campaign({ note: 'new' })
    await clock.advance(22_000)
    expect(seen).toEqual([null, 'new'])
    expect(told.filter((each) => each.startsWith('error')).length).toBe(1)
  })

  it('fails when the name is another lock', async () => {
    const { process } = rig()
    const { holdfast } = process()
    await holdfast.mutex('m').acquire()
    const leaders = holdfast.election('m').observe()
    await expect(leaders.next()).rejects.toMatchObject({ code: 'HOLDFAST_SHAPE_MISMATCH' })
    expect(await leaders.next()).toEqual({ done: true, value: undefined })
  })

  it('ends when it is broken off, in whatever it does, and leaves no timer', async () => {
    const { clock, process } = rig()
    const { holdfast } = process({ plan: [{ fromMs: 5000, operations: ['inspect'], delayMs: 50 }] })
    const election = holdfast.election('e')
    for await (const leader of election.observe()) {
      expect(leader).toBeNull()
      break
    }
    const waiting = election.observe()
    await waiting.next()
    const next = watch(waiting.next())
    await clock.advance(10)
    const ended = watch(waiting.return?.() as Promise<unknown>)
    await clock.advance(0)
    expect([next.value, ended.settled]).toEqual([{ done: true, value: undefined }, true])
    expect(clock.timers).toBe(0)
    await clock.advance(5000)
    const controller = new AbortController()
    const looking = election.observe({ signal: controller.signal })
    const looked = watch(looking.next())
    await clock.advance(0)
    controller.abort()
    await clock.advance(100)
    expect(looked.value).toEqual({ done: true, value: undefined })
    const never = election.observe({ signal: AbortSignal.abort() })
    expect(await never.next()).toEqual({ done: true, value: undefined })
  })

  it('ends at once, also while the engine keeps silent', async () => {
    const { clock, process } = rig()
    const { holdfast } = process({ plan: [{ loseRequest: 1 }] })
    const election = holdfast.election('e')
    const controller = new AbortController()
    const signalled = watch(election.observe({ signal: controller.signal }).next())
    const broken = election.observe()
    const returned = [watch(broken.next())]
    const closed = watch(election.observe().next())
    await clock.advance(10)
    controller.abort()
    returned.push(watch(broken.return?.() as ReturnType<typeof broken.next>))
    await clock.advance(0)
    const over = { done: true, value: undefined }
    expect([signalled, ...returned].map(({ value }) => value)).toEqual([over, over, over])
    watch(holdfast.close())
    await clock.advance(0)
    expect(closed.value).toEqual(over)
    await clock.advance(10_000)
    expect(clock.timers).toBe(0)
  })

  it('ends when the Holdfast is closed', async () => {
    const { clock, process } = rig()
    const { holdfast } = process({ plan: [{ fromMs: 5000, operations: ['inspect'], delayMs: 50 }] })
    const election = holdfast.election('e')
    const waiting = watch(collect(election.observe(), []))
    await clock.advance(4900)
    const unborn = election.observe()
    const looking = watch(collect(election.observe({ intervalMs: 200 }), []))
    await clock.advance(201)
    const broken = process({ requestTimeoutMs: 5000, plan: [{ fromMs: 1, refuse: 1 }] }).holdfast
    const failing = watch(collect(broken.election('e').observe(), []))
    await clock.advance(1)
    for (const each of [holdfast, broken]) watch(each.close())
    await clock.advance(10_000)
    expect([waiting.value, looking.value, failing.value]).toEqual(['ended', 'ended', 'ended'])
    expect(await unborn.next()).toEqual({ done: true, value: undefined })
    expect(() => election.observe()).toThrow(expect.objectContaining({ code: 'HOLDFAST_CLOSED' }))
    expect(clock.timers).toBe(0)
  })

  it.each([
    [{ intervalMs: 19 }, RangeError],
    [{ intervalMs: '1s' }, TypeError],
    [{ signal: {} }, TypeError],
    [null, TypeError],
  ])('refuses %j', (options, kind) => {
    const election = rig().process().holdfast.election('e')
    expect(() => election.observe(options as never)).toThrow(kind)
  })
})
