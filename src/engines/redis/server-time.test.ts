import { expect, it } from 'vitest'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import { ServerTime, ServerTimes } from './server-time.ts'

it('reckons the time of the server from what it last told', async () => {
  const clock = new SimulatedClock(100)
  const time = new ServerTime(clock)
  expect(time.known).toBe(false)
  expect(time.serverMs(50, clock.now())).toBe(Number.MAX_SAFE_INTEGER)
  expect(time.noEarlierThan(5_000_000)).toBeUndefined()
  await clock.advance(10)
  // Sent at 100, answered at 110, at some moment in between.
  time.told(100, 7_000_500)
  expect(time.known).toBe(true)
  expect(time.serverMs(50, clock.now())).toBe(7051)
  expect(time.noEarlierThan(7_002_500)).toBe(102)
  expect(time.noEarlierThan(6_999_500)).toBe(99)
  time.told(105, 9_000_000)
  expect(time.noEarlierThan(9_001_000)).toBe(106)
})

it('knows nothing of a server that was forgotten, and goes by the others', () => {
  const times = new ServerTimes(new SimulatedClock(100))
  times.of('a').told(100, 9_000_000)
  times.of('b').told(100, 7_000_000)
  expect(times.latestUs).toBe(9_000_000)
  times.forget('a')
  expect(times.of('a').known).toBe(false)
  expect(times.of('a').noEarlierThan(9_001_000)).toBeUndefined()
  expect(times.latestUs).toBe(7_000_000)
  times.forget('b')
  expect(times.latestUs).toBeUndefined()
})
