import { expect, it } from 'vitest'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import { ServerTime } from './server-time.ts'

it('reckons the time of the server from what it last told', async () => {
  const clock = new SimulatedClock(100)
  const time = new ServerTime(clock)
  expect(time.known).toBe(false)
  expect(time.serverMs(50)).toBe(Number.MAX_SAFE_INTEGER)
  expect(time.noEarlierThan(5_000_000)).toBeUndefined()
  await clock.advance(10)
  // Sent at 100, answered at 110, at some moment in between.
  time.told(100, 7_000_500)
  expect(time.known).toBe(true)
  expect(time.serverMs(50)).toBe(7051)
  expect(time.noEarlierThan(7_002_500)).toBe(102)
  expect(time.noEarlierThan(6_999_500)).toBe(99)
  time.told(105, 9_000_000)
  expect(time.noEarlierThan(9_001_000)).toBe(106)
  time.forget()
  expect(time.known).toBe(false)
  expect(time.noEarlierThan(9_001_000)).toBeUndefined()
})
