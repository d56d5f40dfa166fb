import { place } from 'holdfast/testing'
import { afterEach, describe, expect, it } from 'vitest'
import type { Engine, Held } from '../../src/core/engine.ts'
import { MachineClock } from '../../src/engines/sqlite/machine-clock.ts'
import { Machine, scratch } from './support.ts'

const engines: Engine[] = []

afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close()
})

function open(machine: Machine, path: string): Engine {
  const engine = machine.engine(path)
  engines.push(engine)
  return engine
}

const attempt = (engine: Engine, name: string) => engine.acquire({ ...place(name), wait: false })
const take = async (engine: Engine, ...asked: Parameters<typeof place>) =>
  (await engine.acquire({ ...place(...asked), wait: true })) as Held

describe('a lease in a file', () => {
  it.each([-3_600_000, 3_600_000])('outlives a calendar clock set by %d ms', async (stepMs) => {
    using files = scratch()
    const machine = new Machine()
    const [one, other] = [open(machine, files.path), open(machine, files.path)]
    await take(one, 'a', { ttlMs: 10_000 })
    machine.wallOffsetMs += stepMs
    await machine.clock.advance(9_999)
    expect((await attempt(other, 'a')).state).toBe('absent')
    await machine.clock.advance(1)
    expect((await attempt(other, 'a')).state).toBe('held')
  })

  it('ends in a suspend of the machine, for whoever looks first', async () => {
    using files = scratch()
    const machine = new Machine()
    const [one, other] = [open(machine, files.path), open(machine, files.path)]
    const { deadline, fence } = await take(one, 'a', { ttlMs: 10_000 })
    machine.suspendedMs += 10_050
    expect(machine.holderClock().now()).toBeGreaterThan(deadline)
    const next = (await attempt(other, 'a')) as Held
    expect(next.state).toBe('held')
    expect(next.fence).toBeGreaterThan(fence)
  })

  it('ends for a process that cannot tell suspends once another has told of one', async () => {
    using files = scratch()
    const machine = new Machine()
    const uptimeUs = () => {
      throw new Error('no uptime here')
    }
    const deaf = new MachineClock({
      monotonicUs: machine.monotonicUs,
      wallMs: machine.wallMs,
      boot: machine.boot,
      uptimeUs,
    })
    const one = open(machine, files.path)
    const other = machine.engine(files.path, { machine: deaf })
    engines.push(other)
    await take(one, 'a', { ttlMs: 10_000 })
    expect((await attempt(other, 'a')).state).toBe('absent')
    machine.suspendedMs += 10_050
    await attempt(one, 'b')
    expect((await attempt(other, 'a')).state).toBe('held')
  })

  it('is not cut short where its holder runs in a container with an uptime of its own', async () => {
    using files = scratch()
    const machine = new Machine()
    await machine.clock.advance(600_000)
    const container = new MachineClock({
      monotonicUs: machine.monotonicUs,
      wallMs: machine.wallMs,
      boot: machine.boot,
      uptimeUs: () => machine.uptimeUs() - 600_000_000,
    })
    const one = machine.engine(files.path, { machine: container })
    engines.push(one)
    await take(one, 'a', { ttlMs: 10_000 })
    const other = open(machine, files.path)
    expect((await attempt(other, 'a')).state).toBe('absent')
    await machine.clock.advance(9_999)
    expect((await attempt(other, 'a')).state).toBe('absent')
    await machine.clock.advance(1)
    expect((await attempt(other, 'a')).state).toBe('held')
  })

  it('never lasts longer for its holder than for others, whenever the machine sleeps', async () => {
    using files = scratch()
    const machine = new Machine()
    const [one, other] = [open(machine, files.path), open(machine, files.path)]
    const [first, second] = [place('a', { ttlMs: 1_000 }), place('a', { grantTtlMs: 1_000 })]
    await one.acquire({ ...first, wait: true })
    await other.acquire({ ...second, wait: true })
    for (const asleepMs of [30, 40, 300]) machine.suspendedMs += asleepMs
    await one.release(first)
    machine.suspendedMs += 500
    const held = (await other.wait(second, new AbortController().signal)) as Held
    expect(held.deadline - machine.holderClock().now()).toBeLessThanOrEqual(520)
    await machine.clock.advance(held.deadline - machine.holderClock().now() - 1)
    expect((await attempt(one, 'a')).state).toBe('absent')
  })

  it('ends with the boot of the machine; its fence does not', async () => {
    using files = scratch()
    const before = new Machine()
    const first = open(before, files.path)
    const { fence } = await take(first, 'a', { ttlMs: 600_000 })
    await first.acquire({ ...place('a'), wait: true })
    const after = new Machine()
    after.boot = 'second boot'
    after.wallOffsetMs -= 86_400_000
    const second = open(after, files.path)
    const next = await take(second, 'a')
    expect(next.state).toBe('held')
    expect(next.fence).toBe(fence + 1)
    expect((await second.inspect('a'))?.waiting).toBe(0)
  })

  it('ends with the boot also where the system does not name its boots', async () => {
    using files = scratch()
    const before = new Machine()
    before.boot = ''
    const first = open(before, files.path)
    await before.clock.advance(5_000)
    await take(first, 'a', { ttlMs: 600_000 })
    const after = new Machine()
    after.boot = ''
    await after.clock.advance(100)
    expect((await take(open(after, files.path), 'a')).state).toBe('held')
  })

  it('keeps its minHoldMs by the calendar over a boot', async () => {
    using files = scratch()
    const before = new Machine()
    const job = place('job', { minHoldMs: 60_000 })
    const first = open(before, files.path)
    await first.acquire({ ...job, wait: true })
    await first.release(job)
    await take(first, 'other job', { ttlMs: 10_000, minHoldMs: 60_000 })
    const after = new Machine()
    after.boot = 'second boot'
    after.wallOffsetMs += 30_000
    const second = open(after, files.path)
    const free = async () => {
      const names = ['job', 'other job']
      return await Promise.all(names.map(async (name) => (await attempt(second, name)).state))
    }
    expect(await free()).toEqual(['absent', 'absent'])
    await after.clock.advance(29_900)
    expect(await free()).toEqual(['absent', 'absent'])
    await after.clock.advance(200)
    expect(await free()).toEqual(['held', 'held'])
  })

  it('is refused to a second machine on the same file', async () => {
    using files = scratch()
    const [here, there] = [new Machine(), new Machine()]
    there.boot = 'boot of another machine'
    const first = open(here, files.path)
    await take(first, 'a')
    await take(open(there, files.path), 'b')
    for (let again = 0; again < 2; again++) {
      await expect(attempt(first, 'c')).rejects.toThrow(/another machine/)
    }
  })
})

describe('a lock that nobody uses', () => {
  it('is forgotten some time later, one by one', async () => {
    using files = scratch()
    const machine = new Machine()
    const engine = machine.engine(files.path, { fenceTtlMs: 60_000, random: () => 0 })
    engines.push(engine)
    for (let lock = 0; lock < 20; lock++) await take(engine, `old ${lock}`, { ttlMs: 1_000 })
    await machine.clock.advance(61_001)
    for (let lock = 0; lock < 20; lock++) await take(engine, `new ${lock}`)
    const { names } = await engine.list({ prefix: '', limit: 100 })
    expect([...names].sort()).toEqual(Array.from({ length: 20 }, (_, lock) => `new ${lock}`).sort())
    expect(await engine.inspect('old 3')).toBeNull()
  })

  it('is kept as long as somebody holds it', async () => {
    using files = scratch()
    const machine = new Machine()
    const engine = machine.engine(files.path, { fenceTtlMs: 60_000, random: () => 0 })
    engines.push(engine)
    const shape = { kind: 'semaphore', capacity: 2 } as const
    await take(engine, 'mutex', { ttlMs: 600_000 })
    await take(engine, 'semaphore', { ttlMs: 600_000, shape, permits: 2 })
    await machine.clock.advance(61_000)
    await take(engine, 'other')
    expect((await attempt(engine, 'mutex')).state).toBe('absent')
    const more = place('semaphore', { shape })
    expect((await engine.acquire({ ...more, wait: false })).state).toBe('absent')
  })
})
