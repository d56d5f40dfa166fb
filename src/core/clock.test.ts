import { describe, expect, it } from 'vitest'
import { watch } from '../../test/support/rig.ts'
import { SimulatedClock } from '../testing/simulated-clock.ts'
import { sleep } from './clock.ts'

describe('sleep', () => {
  it('ends after its time, and leaves its signal', async () => {
    const clock = new SimulatedClock()
    const { signal } = new AbortController()
    const slept = [watch(sleep(clock, 10)), watch(sleep(clock, 10, signal))]
    await clock.advance(9)
    expect(slept.map(({ settled }) => settled)).toEqual([false, false])
    await clock.advance(1)
    expect(slept.map(({ settled, error }) => settled && error === undefined)).toEqual([true, true])
  })

  it('is cut short by its signal, and leaves no timer', async () => {
    const clock = new SimulatedClock()
    const controller = new AbortController()
    const slept = watch(sleep(clock, 10, controller.signal))
    const reason = new Error('enough')
    controller.abort(reason)
    await clock.advance(0)
    expect(slept.error).toBe(reason)
    expect(clock.timers).toBe(0)
    await expect(sleep(clock, 10, controller.signal)).rejects.toBe(reason)
  })
})
