import { oncePer } from 'holdfast'
import { describe, expect, it } from 'vitest'
import { rig, watch } from '../../test/support/rig.ts'

describe('oncePer', () => {
  it('runs the job once per period, on one of many machines', async () => {
    const { clock, process, store } = rig()
    const machines = [process(), process(), process()].map(({ holdfast }) => holdfast.mutex('job'))
    const ran: string[] = []
    for (let tick = 0; tick < 5; tick++) {
      for (const [index, mutex] of machines.entries()) {
        // No two machines tick in the same moment, nor always in the same order.
        await clock.advance(10)
        const outcome = await oncePer(mutex, 1000, () => ran.push(`${tick}`))
        expect(outcome).toEqual(index === 0 ? { ran: true, value: tick + 1 } : { ran: false })
      }
      machines.push(machines.shift() as (typeof machines)[0])
      await clock.advance(970)
    }
    expect(ran).toEqual(['0', '1', '2', '3', '4'])
    await clock.advance(1000)
    await machines[0]?.tryAcquire()
    expect(store.size.locks).toBe(1)
  })

  it('is not run by a machine whose tick is late, and is by one that is early next time', async () => {
    const { clock, process } = rig()
    const [one, other] = [process().holdfast.mutex('job'), process().holdfast.mutex('job')]
    expect(await oncePer(one, 1000, () => 1)).toMatchObject({ ran: true })
    await clock.advance(499)
    expect(await oncePer(other, 1000, () => 2)).toEqual({ ran: false })
    await clock.advance(2)
    expect(await oncePer(other, 1000, () => 2)).toEqual({ ran: true, value: 2 })
  })

  it('skips the ticks during a job that takes longer than its period', async () => {
    const { clock, process } = rig()
    const [one, other] = [process().holdfast.mutex('job'), process().holdfast.mutex('job')]
    let end = () => {}
    void oncePer(
      one,
      1000,
      () =>
        new Promise<void>((resolve) => {
          end = resolve
        }),
    )
    for (let tick = 0; tick < 3; tick++) {
      await clock.advance(1000)
      expect(await oncePer(other, 1000, () => 1)).toEqual({ ran: false })
    }
    end()
    await clock.advance(1)
    expect(await oncePer(other, 1000, () => 1)).toEqual({ ran: true, value: 1 })
  })

  it('tells the error of the job, and runs it no second time in the period', async () => {
    const { process } = rig()
    const { holdfast } = process()
    const mutex = holdfast.mutex('job')
    await holdfast.mutex('other').acquire()
    // An error that looks like a taken lock, but comes from the job.
    const job = () => holdfast.mutex('other').acquire({ timeoutMs: 0 })
    await expect(oncePer(mutex, 1000, job)).rejects.toMatchObject({ lock: 'other' })
    expect(await oncePer(mutex, 1000, () => 1)).toEqual({ ran: false })
  })

  it('lets options set the time that a machine may be late', async () => {
    const { clock, process } = rig()
    const mutex = process().holdfast.mutex('job')
    await oncePer(mutex, 1000, () => 1, { minHoldMs: 900 })
    await clock.advance(899)
    expect(await oncePer(mutex, 1000, () => 1)).toEqual({ ran: false })
    await clock.advance(1)
    expect(await oncePer(mutex, 1000, () => 1)).toMatchObject({ ran: true })
  })

  it('takes an option that is undefined for one that is not given', async () => {
    const { process } = rig()
    const mutex = process().holdfast.mutex('job')
    await oncePer(mutex, 1000, () => 1, { minHoldMs: undefined as never })
    expect(await oncePer(mutex, 1000, () => 1)).toEqual({ ran: false })
  })

  it('refuses periods and jobs that are none, and tells when the engine does not answer', async () => {
    const { clock, process } = rig()
    const { holdfast } = process({ plan: [{ refuse: 1 }], requestTimeoutMs: 100 })
    const mutex = holdfast.mutex('job')
    await expect(oncePer(mutex, 1, () => 1)).rejects.toThrow('periodMs must be a whole number')
    await expect(oncePer(mutex, 10, 7 as never)).rejects.toThrow('job must be a function')
    await expect(oncePer(mutex, 10, () => 1, null as never)).rejects.toThrow('options must be')
    const unreachable = watch(oncePer(mutex, 1000, () => 1))
    await clock.advance(1000)
    expect(unreachable.error).toMatchObject({ code: 'HOLDFAST_ENGINE_FAILED' })
  })
})
