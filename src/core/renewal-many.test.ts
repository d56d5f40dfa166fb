import { describe, expect, it } from 'vitest'
import { rig } from '../../test/support/rig.ts'

const COUNT = 10_000

describe('ten thousand locks of one process', () => {
  it('cost one timer, and are renewed in batches of 250', async () => {
    const { clock, process, store } = rig()
    const { engine, holdfast } = process({ ttlMs: 9000 })
    const sizes: number[] = []
    const renew = engine.renew.bind(engine)
    Object.assign(engine, {
      renew: (places: readonly never[]) => {
        sizes.push(places.length)
        return renew(places)
      },
    })
    const leases = []
    for (let index = 0; index < COUNT; index++) {
      leases.push(await holdfast.mutex(`lock:${index}`).acquire())
      // They are taken over a second, and fall into step.
      if (index % 10 === 9) await clock.advance(1)
    }
    expect(clock.timers).toBe(1)
    await clock.advance(45_000)
    expect(clock.timers).toBe(1)
    expect(leases.every(({ held }) => held)).toBe(true)
    // About 15 rounds in 45 s, each of 40 batches.
    const rounds = sizes.reduce((sum, size) => sum + size, 0) / COUNT
    expect(rounds).toBeGreaterThan(13)
    expect(rounds).toBeLessThan(20)
    expect(sizes.length).toBeLessThan((rounds + 1) * (COUNT / 250) * 1.5)
    await holdfast.close()
    expect(clock.timers).toBe(0)
    expect(store.size.locks).toBe(0)
    // Ten thousand of anything take a while on a busy machine.
  }, 60_000)
})
