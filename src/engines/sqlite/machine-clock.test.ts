import { describe, expect, it } from 'vitest'
import { MachineClock, machineSources } from './machine-clock.ts'

class Sources {
  us = 5_000_000
  asleepUs = 0
  wallOffsetMs = 1_000
  reads = 0
  broken = false
  readonly boot = 'boot'
  monotonicUs = () => this.us
  wallMs = () => (this.us + this.asleepUs) / 1000 + this.wallOffsetMs
  uptimeUs = () => {
    this.reads += 1
    if (this.broken) throw new Error('no such file')
    return Math.floor((this.us + this.asleepUs) / 10_000) * 10_000
  }
}

describe('the clock of a machine', () => {
  it('is raised by a suspend at once, and by nothing else', () => {
    const sources = new Sources()
    const clock = new MachineClock(sources)
    expect(clock.suspendedUs(0)).toBe(0)
    sources.wallOffsetMs += 3_600_000
    expect(clock.suspendedUs(0)).toBe(0)
    sources.us += 1_000
    sources.asleepUs += 90_000
    expect(clock.suspendedUs(0)).toBeGreaterThan(79_000)
    expect(clock.suspendedUs(0)).toBeLessThanOrEqual(90_000)
    expect(clock.suspendedUs(95_000)).toBe(95_000)
  })

  it('adds up suspends that are too short to be seen one by one', () => {
    const sources = new Sources()
    const clock = new MachineClock(sources)
    clock.suspendedUs(0)
    for (let time = 0; time < 4; time++) {
      sources.asleepUs += 30_000
      sources.us += 2_000_000
    }
    expect(clock.suspendedUs(0)).toBeGreaterThan(100_000)
  })

  it('reads the uptime once in a while', () => {
    const sources = new Sources()
    const clock = new MachineClock(sources)
    for (let step = 0; step < 1_000; step++) {
      sources.us += 1_000
      clock.suspendedUs(0)
    }
    expect(sources.reads).toBeLessThanOrEqual(2)
  })

  it('goes on without an uptime', () => {
    const sources = new Sources()
    sources.broken = true
    const clock = new MachineClock(sources)
    expect(clock.suspendedUs(7)).toBe(7)
    expect(clock.firstSuspendedUs()).toBe(0)
  })

  it('agrees with itself on this machine', () => {
    const clock = new MachineClock(machineSources())
    const known = clock.firstSuspendedUs()
    expect(clock.suspendedUs(known)).toBe(known)
    expect(new MachineClock(machineSources()).sources.boot).toBe(clock.sources.boot)
    if (process.platform === 'linux') expect(clock.sources.boot).toMatch(/^[0-9a-f-]{36}$/)
  })
})
