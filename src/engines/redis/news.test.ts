import { describe, expect, it } from 'vitest'
import type { Place } from '../../core/engine.ts'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import { News } from './news.ts'
import { ServerTimes } from './server-time.ts'

const place = { name: 'm', identity: 'abc' } as Place
const LOOK = { state: 'waiting', lookMs: 0 }

function world() {
  const clock = new SimulatedClock(1000)
  const times = new ServerTimes(clock)
  times.of('').told(1000, 50_000_000)
  const news = new News(clock, times, { final: true })
  const controller = new AbortController()
  return { clock, times, news, controller, next: () => news.next(place, controller.signal) }
}

describe('news', () => {
  it('carry a grant, whose time starts no later than its message came', async () => {
    const { clock, news, next } = world()
    const early = next()
    await clock.advance(30)
    news.deliver('abc 7 50020000 400', '')
    expect(await early).toEqual({ state: 'held', fence: 7, deadline: 1020 + 400 })
    const late = next()
    // By its own clock the server is ahead: it cannot have granted later than now.
    news.deliver('abc 8 99000000 400', '')
    expect(await late).toEqual({ state: 'held', fence: 8, deadline: 1030 + 400 })
  })

  it('are a hint to look where nothing is known of the server clock', async () => {
    const { news, next, times } = world()
    times.forget('')
    const waiting = next()
    news.deliver('abc 7 50020000 400', '')
    expect(await waiting).toMatchObject(LOOK)
  })

  it('are a hint to look when the message is only a name', async () => {
    const { news, next } = world()
    const waiting = next()
    news.deliver('abc', '')
    expect(await waiting).toMatchObject(LOOK)
  })

  it('may come for several places in one message', async () => {
    const { news, controller } = world()
    const places = ['abc', 'abd', 'abe'].map((identity) => ({ ...place, identity }))
    const waiting = places.map((each) => news.next(each, controller.signal))
    news.deliver('abe 9 50000000 400\nabc 7 50000000 300\nabx 8 50000000 400\nabd', '')
    expect(await Promise.all(waiting)).toMatchObject([
      { state: 'held', fence: 7, deadline: 1300 },
      LOOK,
      { state: 'held', fence: 9, deadline: 1400 },
    ])
  })

  it('that came before anybody asked are kept, and told once', async () => {
    const { news, next } = world()
    news.expect(place)
    news.deliver('abc 7 50000000 400', '')
    // A later hint does not cover the grant.
    news.deliver('abc', '')
    expect(await next()).toMatchObject({ state: 'held', fence: 7 })
    let told = false
    void next().then(() => {
      told = true
    })
    await Promise.resolve()
    expect(told).toBe(false)
  })

  it('for others, or for those who left, are dropped', async () => {
    const { news, next } = world()
    news.deliver('abc 7 50000000 400', '')
    news.deliver('', '')
    news.expect(place)
    news.deliver('abd 7 50000000 400', '')
    news.forget('abc')
    news.deliver('abc 7 50000000 400', '')
    const waiting = next()
    news.deliver('abc 9 50000000 400', '')
    expect(await waiting).toMatchObject({ fence: 9 })
  })

  it('forget a hint that was followed, and keep a grant', async () => {
    const { news, next } = world()
    news.looking(place)
    news.expect(place)
    news.lookAll()
    news.looking(place)
    const waiting = next()
    news.deliver('abc 7 50000000 400', '')
    expect(await waiting).toMatchObject({ fence: 7 })
    // Nothing is expected of a place that was granted.
    news.deliver('abc 7 50000000 400', '')
    news.expect(place)
    news.deliver('abc 8 50000000 400', '')
    news.looking(place)
    expect(await next()).toMatchObject({ fence: 8 })
  })

  it('make everybody look when messages may be missing', async () => {
    const { news, next, controller } = world()
    const one = next()
    const other = news.next({ ...place, identity: 'abd' }, controller.signal)
    news.lookAll()
    expect(await Promise.all([one, other])).toMatchObject([LOOK, LOOK])
  })

  it('are waited for until the signal or the end', async () => {
    const { controller, news, next } = world()
    const waiting = next()
    controller.abort('enough')
    await expect(waiting).rejects.toBe('enough')
    await expect(next()).rejects.toBe('enough')
    // Nobody is woken twice.
    news.deliver('abc 7 50000000 400', '')
    const again = new AbortController()
    expect(await news.next(place, again.signal)).toMatchObject({ fence: 7 })
    const last = news.next(place, again.signal)
    news.expect({ ...place, identity: 'abd' })
    news.close()
    await expect(last).rejects.toMatchObject({ code: 'HOLDFAST_CLOSED', lock: 'm' })
    await expect(news.next(place, again.signal)).rejects.toMatchObject({ code: 'HOLDFAST_CLOSED' })
  })
})
